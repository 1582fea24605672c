"""Conversations: three shapes of records, replies in splits, several data sets mixed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.data.conftest import WriteJsonl

from gradus.api import load_data
from gradus.data.conversations import Conversation, Reply, check_prompt, turns_of
from gradus.data.dataset import Dataset, Split, TrainingData
from gradus.data.mixing import counts, mixed, shares
from gradus.data.packed import Texts
from gradus.data.splits import content_id
from gradus.errors import DataError

ASKED = {"role": "user", "content": "Who wrote Emma?"}
SAID = {"role": "assistant", "content": "Jane Austen."}
LATER = [{"role": "user", "content": "When?"}, {"role": "assistant", "content": "In 1815."}]


def read(path: Path, **config: Any) -> Dataset:
    split = {"train": 0.4, "dev": 0.3, "test": 0.3}
    return load_data({"source": {"file": str(path)}, "split": split, **config}, seed=1)


def everything(data: Dataset) -> dict[str, str]:
    return {
        str(text): str(reply)
        for split in data.splits.values()
        for text, reply in zip(split.texts, split.labels, strict=True)
    }


def many(record: dict[str, Any], number: int = 40) -> list[dict[str, Any]]:
    """The record, its texts numbered."""
    return [json.loads(json.dumps(record).replace("Emma", f"Emma {i}")) for i in range(number)]


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [ASKED, SAID], "id": 7},
        {
            "conversations": [
                {"from": "human", "value": ASKED["content"]},
                {"from": "gpt", "value": SAID["content"]},
            ]
        },
        {"instruction": ASKED["content"], "input": "", "output": SAID["content"]},
        {"instruction": ASKED["content"], "output": SAID["content"], "text": "as printed"},
    ],
)
def test_every_shape_says_the_same(record: dict[str, Any], write_jsonl: WriteJsonl) -> None:
    data = read(write_jsonl("chats.jsonl", many(record)), format="chat")
    assert data.target == "reply"
    assert data.labels == ()
    assert everything(data) == {f"Who wrote Emma {i}?": "Jane Austen." for i in range(40)}


def test_turns_before_the_last_reply_are_the_text(write_jsonl: WriteJsonl) -> None:
    system = {"role": "system", "content": "Be brief.\n\nuser: no"}
    records = many({"messages": [system, ASKED, SAID, *LATER]})
    data = read(write_jsonl("chats.jsonl", records), format="chat")
    text = data.splits["train"].texts[0]
    assert isinstance(text, Conversation)
    assert [role for role, _ in turns_of(text)] == ["system", "user", "assistant", "user"]
    assert turns_of(text)[0][1] == system["content"]
    assert set(data.splits["train"].labels) == {"In 1815."}
    assert data.splits["train"].ids[0] == content_id(text)


def test_an_input_stands_below_its_instruction(write_jsonl: WriteJsonl) -> None:
    record = {"instruction": "Translate.", "input": "Emma", "output": "Emma"}
    data = read(write_jsonl("chats.jsonl", many(record)), format="chat")
    assert "Translate.\n\nEmma 3" in everything(data)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"question": "?"}, "no conversation"),
        ({"messages": []}, "must be a list of turns"),
        ({"messages": [ASKED]}, "must end with a reply"),
        ({"messages": [SAID]}, "nothing that it replies to"),
        ({"messages": [ASKED, SAID, SAID]}, "two replies in a row, at turn 3"),
        ({"messages": [ASKED, {"role": "system", "content": "x"}, SAID]}, "isn't the first"),
        ({"messages": [{"role": "asistant", "content": "x"}, SAID]}, "did you mean 'assistant'"),
        ({"messages": [{"role": "user", "content": ""}, SAID]}, "empty"),
        ({"messages": [{"role": "user"}, SAID]}, "role and content"),
        ({"instruction": "x"}, "is missing in an alpaca record"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    record: dict[str, Any], message: str, write_jsonl: WriteJsonl
) -> None:
    path = write_jsonl("chats.jsonl", [*many({"messages": [ASKED, SAID]}, 3), record])
    with pytest.raises(DataError, match=message) as caught:
        read(path, format="chat")
    assert caught.value.line == 4
    assert caught.value.file == str(path)


def test_any_format_has_replies_and_a_prompt(write_jsonl: WriteJsonl) -> None:
    rows = [{"text": f"article {i} about a dog", "label": f"Dog {i}"} for i in range(40)]
    data = read(
        write_jsonl("rows.jsonl", rows),
        target="reply",
        columns={"label": "label"},
        prompt="Headline for: {text:.10}",
    )
    assert everything(data)["Headline for: article 7 "] == "Dog 7"
    assert data.facts["splits"]["train"]["labels"] == {}


def test_a_files_first_line_is_the_reply(tmp_path: Path) -> None:
    for number in range(40):
        place = tmp_path / "news" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text(f"\nTitle {number}\n\nBody {number}.\n\nMore.\n")
    data = load_data(
        {
            "source": {"folder": str(tmp_path / "news")},
            "format": "folders",
            "options": {"reply": "first-line"},
            "target": "reply",
            "columns": {"keep": ["label"]},
            "split": {"train": 0.4, "dev": 0.3, "test": 0.3},
        }
    )
    assert everything(data)["Body 7.\n\nMore."] == "Title 7"
    assert set(data.splits["train"].columns["label"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"prompt": "x {text}"}, "asks for a reply"),
        ({"target": "reply", "prompt": "no text"}, "once, not 0"),
        ({"target": "reply", "prompt": "{text} {txt}"}, "{txt} stands for nothing"),
        ({"target": "reply", "labels": ["a", "b"]}, "a reply has none"),
        ({"target": "reply", "split": {"stratify": True}}, "stratify"),
    ],
)
def test_what_doesnt_go_with_replies(
    config: dict[str, Any], message: str, write_jsonl: WriteJsonl
) -> None:
    path = write_jsonl("rows.jsonl", [{"text": "a", "label": "b"}])
    with pytest.raises(ValidationError, match=message):
        load_data({"source": {"file": str(path)}, **config})


def test_a_prompt_doesnt_go_with_conversations(write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("chats.jsonl", many({"messages": [ASKED, SAID, *LATER]}))
    with pytest.raises(DataError, match="this is a conversation"):
        read(path, format="chat", prompt="Say: {text}")


@given(st.text())
def test_a_prompt_is_what_python_formats(text: str) -> None:
    assert check_prompt("<{text:.3}>").format(text=text) == f"<{text[:3]}>"


turns = st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text())


@given(st.lists(st.one_of(st.text(), st.lists(turns, min_size=1).map(Conversation)), max_size=6))
def test_conversations_are_kept_as_they_are(texts: list[str]) -> None:
    valid = [t for t in texts if t.isascii() or _encodes(t)]
    kept = Texts.of(valid)
    assert list(kept) == valid
    assert [turns_of(t) for t in kept] == [turns_of(t) for t in valid]


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def one(name: str, size: int) -> TrainingData:
    def split(kind: str, rows: int) -> Split:
        texts = [f"{name} {kind} {i}" for i in range(rows)]
        labels = np.array([Reply("x")] * rows, dtype=object)
        return Split(texts=texts, labels=labels, ids=[content_id(t) for t in texts])

    return TrainingData(name, (), split("train", size), split("select", 3), name, "reply")


def origins(data: TrainingData) -> Counter[str]:
    return Counter(text.split()[0] for text in data.train.texts)


def test_unweighted_every_example_stands_once() -> None:
    data = mixed({"a": one("a", 30), "b": one("b", 10)}, seed=1)
    assert origins(data) == {"a": 30, "b": 10}
    assert len(set(data.train.ids)) == 40
    assert len(data.select) == 6


def test_weights_and_temperature_decide_the_shares() -> None:
    both = {"a": one("a", 90), "b": one("b", 10)}
    data = mixed(both, weights={"a": 1, "b": 3}, seed=1)
    assert origins(data) == {"a": 25, "b": 75}
    often = Counter(t for t in data.train.texts if t.startswith("b"))
    assert set(often.values()) == {7, 8}
    assert origins(mixed(both, temperature=2.0, seed=1)) == {"a": 75, "b": 25}
    assert origins(mixed(both, temperature=1.0, seed=1)) == {"a": 90, "b": 10}
    assert mixed(both, weights={"a": 1, "b": 3}, seed=1).digest == data.digest
    assert mixed(both, seed=1).digest != data.digest


@given(st.integers(0, 500), st.lists(st.floats(0.01, 100), min_size=1, max_size=5))
def test_what_is_dealt_is_all_there_is(total: int, weights: list[float]) -> None:
    dealt = counts(total, weights)
    assert sum(dealt) == total
    for count, weight in zip(dealt, weights, strict=True):
        assert abs(count - total * weight / sum(weights)) < 1


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=5))
def test_a_high_temperature_evens_out(sizes: list[int]) -> None:
    np.testing.assert_allclose(shares(sizes, 1e9), 1 / len(sizes), rtol=1e-6)
    np.testing.assert_allclose(shares(sizes, 1.0), np.array(sizes) / sum(sizes))


def test_other_labels_cant_be_mixed() -> None:
    other = TrainingData("c", ("x", "y"), one("c", 4).train, one("c", 4).select, "c", "label")
    with pytest.raises(DataError, match="can't be trained on together"):
        mixed({"a": one("a", 4), "c": other}, seed=1)
