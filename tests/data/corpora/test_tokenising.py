"""Shards against the tokenizers library, document by document."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from gradus.data.corpora import Documents, Shards, load_corpus, tokenise, tokenising
from gradus.data.corpora.tokenising import cut, end_of_text, open_tokenizer
from gradus.errors import CheckpointError, DataError, StorageError


@pytest.fixture(scope="module")
def byte_bpe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE tokenizer of 400 entries."""
    folder = tmp_path_factory.mktemp("bpe")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([Path(__file__).read_text()], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"eos_token": {"content": "<|endoftext|>"}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """Documents of one to two thousand characters, some of them Chinese."""
    folder = tmp_path_factory.mktemp("text")
    source = Path(__file__).read_text()
    texts = [source[n * 7 : n * 7 + 1 + n * n % 2000] for n in range(200)]
    texts += [f"第{n}间酒店的早餐很丰富，房间也很干净" * (n + 1) for n in range(20)]
    lines = "".join(json.dumps({"text": f"{n}: {text}"}) + "\n" for n, text in enumerate(texts))
    (folder / "a.jsonl").write_text(lines)
    corpus = load_corpus(
        "c", {"source": {"file": "a.jsonl"}}, folder=folder, seed=1, place=folder / "c"
    )
    return corpus.splits["train"]


def expected(documents: Documents, folder: Path, end: int | None) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    more = [] if end is None else [end]
    return [tokenizer.encode(text).ids + more for text in documents.texts()]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenising, "SHARD_BYTES", 9000)
    monkeypatch.setattr(tokenising, "BATCH_CHARACTERS", 1000)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("end", ["auto", None, 7])
def test_ids_are_those_of_each_document(
    documents: Documents, byte_bpe: Path, tmp_path: Path, end: Any
) -> None:
    shards = tokenise(documents, byte_bpe, place=tmp_path, workers=2, end=end)
    wanted = expected(documents, byte_bpe, 0 if end == "auto" else end)
    assert shards.lengths.tolist() == [len(ids) for ids in wanted]
    flat = np.concatenate(wanted)
    assert shards.total == len(flat)
    assert np.array_equal(shards.ids(0, shards.total), flat)
    assert shards.facts["shards"] > 5
    assert shards.end == (0 if end == "auto" else end)
    assert shards.ids(0, 1).dtype == np.uint16
    for row, start in enumerate(shards.starts().tolist()):
        assert shards.ids(start, start + len(wanted[row])).tolist() == wanted[row]


@pytest.mark.usefixtures("small_shards")
def test_any_stretch(documents: Documents, byte_bpe: Path, tmp_path: Path) -> None:
    shards = tokenise(documents, byte_bpe, place=tmp_path)
    flat = np.concatenate(expected(documents, byte_bpe, 0))
    rng = np.random.default_rng(0)
    edges = np.cumsum([len(part) for part in shards._parts]).tolist()
    places = [0, *edges, *(e - 1 for e in edges), *rng.integers(0, len(flat), 40).tolist()]
    for start in places:
        for stop in places:
            if start <= stop:
                assert np.array_equal(shards.ids(start, stop), flat[start:stop])
    for start, stop in ((-1, 3), (3, 2), (0, shards.total + 1)):
        with pytest.raises(IndexError, match="isn't within"):
            shards.ids(start, stop)


@pytest.mark.usefixtures("small_shards")
def test_workers_change_nothing(documents: Documents, byte_bpe: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    one = tokenise(documents, byte_bpe, place=tmp_path / "1", workers=1)
    many = tokenise(
        documents, byte_bpe, place=tmp_path / "4", workers=4,
        progress=lambda done, total, what: told.append((done, total)),
    )  # fmt: skip
    names = sorted(path.name for path in one.path.iterdir())
    assert names == sorted(path.name for path in many.path.iterdir())
    assert all((one.path / n).read_bytes() == (many.path / n).read_bytes() for n in names)
    assert one.path_digest == many.path_digest
    assert told == sorted(told)
    assert told[-1] == (documents.bytes, documents.bytes)


def test_made_once(
    documents: Documents, byte_bpe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tokenise(documents, byte_bpe, place=tmp_path)
    other = tokenise(documents[:50], byte_bpe, place=tmp_path)
    assert other.path != first.path
    assert other.path_digest != first.path_digest
    monkeypatch.setattr(tokenising, "_write", lambda *_: pytest.fail("tokenised again"))
    again = tokenise(documents, byte_bpe, place=tmp_path)
    assert again.path_digest == first.path_digest
    copy = pickle.loads(pickle.dumps(again))  # noqa: S301, our own bytes
    assert np.array_equal(copy.ids(0, copy.total), first.ids(0, first.total))


@pytest.mark.usefixtures("small_shards")
def test_every_flipped_byte_is_refused_by_name(
    documents: Documents, byte_bpe: Path, tmp_path: Path
) -> None:
    shards = tokenise(documents, byte_bpe, place=tmp_path)
    for file in sorted(shards.path.glob("*.bin")):
        content = bytearray(file.read_bytes())
        content[len(content) // 3] ^= 1
        file.write_bytes(content)
        with pytest.raises(DataError, match="the shard is damaged") as caught:
            tokenise(documents, byte_bpe, place=tmp_path)
        assert caught.value.file == str(file)
        content[len(content) // 3] ^= 1
        file.write_bytes(content)
    file.unlink()
    with pytest.raises(DataError, match="can't be read"):
        Shards(shards.path)


def test_large_vocabularies_take_four_bytes(documents: Documents, tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    vocabulary = {f"w{n}": n for n in range(70_000)} | {"[UNK]": 70_000}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    shards = tokenise(documents, folder, place=tmp_path / "shards")
    assert shards.ids(0, 1).dtype == np.uint32
    assert shards.vocabulary == 70_001
    assert shards.end is None
    assert int(shards.ids(0, shards.total).max()) == 70_000


@settings(max_examples=60)
@given(st.lists(st.sampled_from([*"ab \n\t,早", "  ", "\n\n"]), max_size=60), st.integers(1, 9))
def test_pieces_of_a_long_text_give_the_same_tokens(
    byte_bpe: Path, parts: list[str], most: int
) -> None:
    text = "".join(parts)
    pieces = list(cut(text, most))
    assert "".join(pieces) == text
    assert all(piece[0].isspace() for piece in pieces[1:])
    assert all(len(piece) >= most for piece in pieces[:-1])
    tokenizer = open_tokenizer(byte_bpe)
    parted = [i for p in pieces for i in tokenizer.encode(p, add_special_tokens=False).ids]
    assert parted == tokenizer.encode(text, add_special_tokens=False).ids


def test_ends_of_known_tokenizers(wordpiece: Path, byte_bpe: Path, tmp_path: Path) -> None:
    assert end_of_text(open_tokenizer(byte_bpe), byte_bpe) == 0
    separator = open_tokenizer(wordpiece).token_to_id("[SEP]")
    assert end_of_text(open_tokenizer(wordpiece), wordpiece) == separator
    assert end_of_text(open_tokenizer(byte_bpe), tmp_path) is None


def test_folders_without_a_tokenizer(documents: Documents, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no tokenizer\.json"):
        tokenise(documents, tmp_path, place=tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="can't be read as a tokenizer"):
        tokenise(documents, tmp_path, place=tmp_path)


def test_a_place_that_cannot_be_written(
    documents: Documents, byte_bpe: Path, tmp_path: Path
) -> None:
    (tmp_path / "full").write_text("a file")
    with pytest.raises(StorageError, match="can't be written"):
        tokenise(documents, byte_bpe, place=tmp_path / "full")


def test_documents_are_a_sequence(documents: Documents) -> None:
    every = list(documents)
    part = documents[3:9]
    assert list(part) == every[3:9]
    assert part.bytes == sum(len(d.text.encode()) for d in every[3:9])
    assert part.lengths().tolist() == [len(d.text.encode()) for d in every[3:9]]
    assert list(part[1:3]) == every[4:6]
    assert documents[-1] == every[-1]
    assert len(documents[5:2]) == 0
    assert documents[5:2].bytes == 0
    copy = pickle.loads(pickle.dumps(part))  # noqa: S301, our own bytes
    assert list(copy) == every[3:9]
    assert [d.id for d in every] == sorted(d.id for d in every)
    with pytest.raises(IndexError):
        part[6]
    with pytest.raises(ValueError, match="without a step"):
        documents[::2]
