"""LAMBADA: the last word, with and without the filter, against a plain forward pass."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus import registry
from gradus.benchmarks.suite.lambada import Lambada
from gradus.benchmarks.suite.stop_words import STOP_WORDS, begins_answer, is_stop_word
from gradus.errors import DataError
from gradus.metrics.texts import Texts

from . import files
from .plain import PlainEngine, Words

COUNT = 40


def asked(path: Path, engine: Any, **keys: Any) -> Texts:
    config = Lambada.Config(path=str(path), partial=True, **keys)
    return Lambada.ask(config, Lambada.read(config, path), engine)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return files.write(tmp_path, "lambada_test.jsonl", files.lambada(COUNT))


def test_last_word_by_hand(path: Path, engine: PlainEngine) -> None:
    found = asked(path, engine)
    hits = 0
    for passage, nats in zip(files.passages(COUNT), found.nats, strict=True):
        start = passage.rindex(" ")
        ids = list(passage.encode())
        rows = engine.log_probs(ids)
        target = range(start, len(ids))
        assert nats == pytest.approx(sum(rows[p - 1][ids[p]] for p in target), rel=1e-6)
        hits += all(int(rows[p - 1].argmax()) == ids[p] for p in target)
    assert found.right().sum() == hits
    metrics = {name: registry.load("metrics", name)()(found) for name in Lambada.metrics}
    assert metrics["accuracy"] == hits / COUNT
    assert metrics["target_perplexity"] == pytest.approx(math.exp(-found.nats.sum() / COUNT))
    assert found.words.sum() == COUNT
    assert found.characters[0] == len("dog")


def test_the_filter_takes_the_best_word_that_isnt_a_stop_word(path: Path) -> None:
    words = ["the", "dog", "bone", "him", "a", "and", "tail", "his", "of", "cat"]
    engine = PlainEngine(Words(words), seed=5)
    plain, filtered = asked(path, engine), asked(path, engine, stop_words=True)
    assert filtered.nats.tolist() == plain.nats.tolist()
    candidates = ("dog", "bone", "tail", "cat")
    ids = {word: engine.tokenizer.texts.index(f" {word}") for word in words}
    for number, passage in enumerate(files.passages(COUNT)):
        context, _, word = passage.rpartition(" ")
        row = engine.log_probs(engine.tokenizer.encode(context))[-1]
        best = max(candidates, key=lambda one: row[ids[one]])
        assert filtered.right()[number] == (best == word)
        assert plain.right()[number] == (int(row.argmax()) == ids[word])
    assert plain.right().sum() < filtered.right().sum() < COUNT
    # A target that is a stop word can't be right.
    barred = [is_stop_word(passage.split(" ")[-1]) for passage in files.passages(COUNT)]
    assert sum(barred) == 13
    assert not filtered.right()[barred].any()


def test_terms_tell_the_two_apart(engine: PlainEngine) -> None:
    plain = Lambada.terms(Lambada.Config(path=""), engine)
    filtered = Lambada.terms(Lambada.Config(path="", stop_words=True), engine)
    assert plain["prediction"] != filtered["prediction"]
    assert f"{len(STOP_WORDS)} stop words" in filtered["prediction"]


def test_the_published_file(shared_data: Path) -> None:
    documents = Lambada.read(Lambada.Config(path=""), shared_data / "lambada_test.jsonl")
    assert len(documents) == 5153
    for document in documents:
        assert document.fields["context"] + document.fields["target"] == document.text
        assert document.fields["target"][0] == " "
        assert " " not in document.fields["word"]
    assert documents[0].fields["word"] == "signs"
    # The filter loses few targets of its own accord.
    assert sum(is_stop_word(document.fields["word"]) for document in documents) < 60


def test_the_authors_plain_text(tmp_path: Path, engine: PlainEngine) -> None:
    line = "`` do n't , '' he said , -LRB- softly -RRB- . she looked at the dog\n"
    path = files.write(tmp_path, "lambada_test_plain_text.txt", line)
    (document,) = Lambada.read(Lambada.Config(path="", limit=1), path)
    assert document.fields["context"] == '"don\'t," he said, (softly). she looked at the'
    assert document.fields["target"] == " dog"
    (cut,) = Lambada.read(Lambada.Config(path="", limit=1, detokeniser="none"), path)
    assert cut.fields["context"] == line.rpartition(" ")[0]
    assert cut.id == document.id


def test_the_development_set_is_told_apart(tmp_path: Path) -> None:
    path = files.write(tmp_path, "dev", files.lambada(4_869))
    with pytest.raises(DataError, match="4,869 passages: this is the valid split"):
        Lambada.read(Lambada.Config(path="", split="test"), path)
    for split in ("valid", None):
        assert len(Lambada.read(Lambada.Config(path="", split=split), path)) == 4_869


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (files.lambada(5), "5 passages, and LAMBADA .test split. has 5,153: .*'partial: true'"),
        (files.lambada(5_154), "5,154 passages, and .*: this is another file"),
        (files.lambada(5)[:-9], "line 5: the file ends in the middle"),
        ('{"text": "a b"}\n{"text": \n', "line 2: isn't JSON"),
        ('{"text": "a b"}\n["a"]\n', "line 2, field 'text': isn't of the form"),
        ('{"texts": "a b"}\n', "line 1, field 'text'"),
        ('{"text": "word"}\n' * 5153, "line 1, field 'text': a passage of one word"),
    ],
    ids=["short", "long", "cut", "json", "list", "field", "word"],
)
def test_another_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = files.write(tmp_path, "lambada.jsonl", text)
    with pytest.raises(DataError, match=f"lambada.jsonl.*{message}"):
        Lambada.read(Lambada.Config(path=""), path)


_WORD = st.text(alphabet=st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1)


@given(context=st.text(min_size=1).filter(str.strip), word=_WORD.filter(str.strip))
def test_any_passage_is_cut_at_its_last_space(
    tmp_path_factory: pytest.TempPathFactory, context: str, word: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    line = json.dumps({"text": f"{context} {word}"}) + "\n"
    path = files.write(folder, "one.jsonl", line)
    (document,) = Lambada.read(Lambada.Config(path="", partial=True), path)
    assert document.fields["context"] == context
    assert document.fields["word"] == word


def test_which_tokens_begin_an_answer() -> None:
    accepted = [" dog", " Dog", " 7", "\ndog", " Har", " é"]
    refused = [" the", " The", "dog", "s", ",", ' "', " ", "", " don't", " himself", " Don’t"]
    assert all(map(begins_answer, accepted))
    assert not any(map(begins_answer, refused))
    assert all(word == word.lower() and word.isascii() for word in STOP_WORDS)
