"""The whole way on real texts: Shakespeare's works to tokens."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from gradus.data.corpora import load_corpus, tokenise
from gradus.data.splits import assign_by_hash
from gradus.sources import locate_data


@pytest.fixture(scope="module")
def corpus(plays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("corpora")
    return load_corpus("plays", plays, folder=Path(), seed=13, place=place)


def test_every_work_is_in_the_split_that_its_hash_says(corpus: Any, plays: dict[str, Any]) -> None:
    folder = locate_data(plays["source"], Path()).path
    expected = {}
    for file in folder.glob("*_gut.txt"):
        content = file.read_bytes().decode("utf-8-sig").encode()
        expected[hashlib.sha256(content).hexdigest()] = (file.name, content)
    splits = assign_by_hash(expected, {"train": 0.9, "dev": 0.1, "test": 0.0}, 13)
    found = {
        document.id: (split, document.domain, document.text.encode())
        for split, documents in corpus.splits.items()
        for document in documents
    }
    assert len(found) == len(expected) > 40
    assert found == {id: (splits[id], *expected[id]) for id in expected}


def test_facts_add_up(corpus: Any) -> None:
    facts = corpus.facts
    json.dumps(facts, allow_nan=False)
    by_split = facts["splits"]
    assert sum(part["documents"] for part in by_split.values()) == facts["documents_read"] == 42
    for name, documents in corpus.splits.items():
        assert (
            by_split[name]["bytes"]
            == documents.bytes
            == sum(len(text.encode()) for text in documents.texts())
        )
        assert by_split[name]["languages"]["en"]["documents"] == len(documents)


def test_training_sees_train_and_select_alone(corpus: Any) -> None:
    assert set(corpus.splits) == {"train", "dev.select", "dev.gate"}
    assert set(corpus.for_training().splits) == {"train", "dev.select"}
    assert set(corpus.for_training().split_digests) == {"train", "dev.select"}


def test_tokens_are_those_of_the_library(corpus: Any, wordpiece: Path, tmp_path: Path) -> None:
    documents = corpus.splits["dev.select"]
    shards = tokenise(documents, wordpiece, place=tmp_path, workers=2)
    tokenizer = Tokenizer.from_file(str(wordpiece / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    starts = shards.starts()
    for row, document in enumerate(documents):
        ids = tokenizer.encode(document.text, add_special_tokens=False).ids
        ids.append(tokenizer.token_to_id("[SEP]"))
        start, length = int(starts[row]), int(shards.lengths[row])
        assert np.array_equal(shards.ids(start, start + length), ids)
    assert shards.total == shards.lengths.sum()
