"""Compact sequences hold what lists hold; spans and words come back as they were written."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradus import registry
from gradus.data.load import load_dataset
from gradus.data.packed import Ids, Interned, Ranges, RangeStore, Texts, take
from gradus.data.rows import read_rows
from gradus.data.splits import content_id
from gradus.data.words import find_words
from gradus.records import Pair, Span

CHARACTERS = st.characters(exclude_categories=["Cs"])
PIECE = st.text(CHARACTERS, max_size=12)
TEXT = st.one_of(PIECE, st.builds(Pair, PIECE, PIECE))


@given(st.lists(TEXT, max_size=12), st.data())
def test_texts_are_the_list_that_was_put_in(texts: list[str], data: st.DataObject) -> None:
    view = Texts.of(texts)
    assert list(view) == texts
    assert view == texts
    assert view == Texts.of(texts)
    assert len(view) == len(texts)
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=8)) if texts else []
    assert list(view.take(rows)) == list(take(texts, rows)) == [texts[i] for i in rows]
    part = data.draw(st.slices(len(texts)))
    assert list(view[part]) == texts[part]
    assert list(view.take(rows)[::-1]) == [texts[i] for i in rows][::-1]
    for one, two in zip(pickle.loads(pickle.dumps(view)), texts, strict=True):  # noqa: S301 - ours
        assert one == two
        assert isinstance(one, Pair) == isinstance(two, Pair)
        if isinstance(one, Pair) and isinstance(two, Pair):
            assert (one.first, one.second) == (two.first, two.second)
    assert list(copy.copy(view)) == texts
    for text in texts:
        assert text in view


def test_a_view_is_no_other_sequence() -> None:
    view = Texts.of(["a", "b"])
    assert view != ["a"]
    assert view != ["a", "c"]
    assert view != "ab"
    assert view[-1] == "b"
    assert repr(view) == "<2 items: 'a', 'b'>"


@given(st.lists(st.tuples(PIECE, st.integers(0, 2)), max_size=8))
def test_ids_are_hexadecimal(items: list[tuple[str, int]]) -> None:
    digests = [hashlib.sha256(text.encode()).digest() for text, _ in items]
    table = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)
    view = Ids(table, np.array([copy for _, copy in items], dtype=np.int32))
    wanted = [content_id(text) + (f"-{copy}" if copy else "") for text, copy in items]
    assert list(view) == wanted


@given(st.lists(st.lists(st.tuples(st.integers(0, 9**6), st.integers(0, 9**6)))))
def test_ranges(items: list[list[tuple[int, int]]]) -> None:
    store = RangeStore()
    for item in items:
        store.add(item)
    assert [list(found) for found in Ranges(store)] == items


@given(st.lists(st.sampled_from("abc")))
def test_interned(values: list[str]) -> None:
    store: Interned[str] = Interned()
    for value in values:
        store.add(value)
    assert [store[i] for i in range(len(store))] == values
    assert [store.distinct[code] for code in store.codes] == values
    assert store.distinct == list(dict.fromkeys(values))


@st.composite
def marked(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, str]]]:
    """A text and spans in it that don't overlap and have no white space at their ends."""
    pieces = draw(st.lists(st.text(CHARACTERS, min_size=1, max_size=6), min_size=1, max_size=8))
    text, spans = "", []
    for piece in pieces:
        start = len(text)
        text += piece
        if piece == piece.strip() and draw(st.booleans()):
            spans.append((start, len(text), draw(st.sampled_from(["A", "B"]))))
    return text, spans


@given(marked(), st.booleans(), st.randoms())
def test_spans_come_back(
    drawn: tuple[str, list[tuple[int, int, str]]], as_objects: bool, random: object
) -> None:
    text, spans = drawn
    if text.isspace():
        return
    written: list[object] = [
        {"end": end, "label": label, "start": start} if as_objects else [start, end, label]
        for start, end, label in spans
    ]
    random.shuffle(written)  # type: ignore[attr-defined]  # a random.Random
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_text(json.dumps({"text": text, "spans": written}) + "\n")
        (row,) = read_rows(registry.load("formats", "spans")(), [path], target="spans")
    assert row.text == text
    assert row.label == tuple(Span(*span) for span in spans)
    assert row.words is not None
    edges = {place for start, end, _ in spans for place in (start, end)}
    for start, end in row.words:
        assert start < end
        assert not any(start < edge < end for edge in edges)
    covered = [place for start, end in row.words for place in range(start, end)]
    whole = [place for start, end in find_words(text) for place in range(start, end)]
    assert covered == whole


def test_a_row_takes_few_bytes(tmp_path: Path) -> None:
    """Loading holds a row's text, its hash and a few numbers: no objects that stay."""
    rows, tail = 20_000, " is a question as customers of a bank ask it"
    path = tmp_path / "a.csv"
    lines = (f"{i}{tail},{'abc'[i % 3]}\n" for i in range(rows))
    path.write_text("text,label\n" + "".join(lines))
    load_dataset("d", {"source": {"file": "a.csv"}, "limit": 300}, folder=tmp_path, seed=1)
    tracemalloc.start()
    data = load_dataset("d", {"source": {"file": "a.csv"}}, folder=tmp_path, seed=1)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(len(split) for split in data.splits.values()) == rows
    assert held / rows < len(tail) + 130
    assert peak / rows < len(tail) + 330
