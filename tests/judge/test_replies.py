"""Only a reply that says one thing is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.judge import replies


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("4", 4),
        (" 4.\n", 4),
        ("**3**", 3),
        ("Score: 2", 2),
        ("**Score:** 2/5", 2),
        ("The score is 5", 5),
        ("5 out of 5", 5),
        ("3.5", 3.5),
        ("分数：4分", 4),
        ("4分。", 4),
        ("Score: 4\n\nBecause it has 3 errors and 2 slips.", 4),
        ("It has 3 errors.\n\nFinal score: 4", 4),
        ('{"score": 3, "why": "5 errors"}', 3),
        ('```json\n{"score": "3"}\n```', 3),
        ("<think>It may be 1 or 2.\n1?</think>\n3", 3),
    ],
)
def test_a_clear_score_is_read(reply: str, score: float) -> None:
    assert replies.score(reply) == score


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "\n",
        "0",
        "6",
        "10",
        "between 3 and 4",
        "It deserves a 4 for its 5 sentences",
        "3\n4",
        "Score: 2\nScore: 5",
        '{"score": 3, "rating": 5}',
        '{"score": 3',
        "<think>4",
        "４５",
        "[" * 100_000,
        '{"a":' * 100_000,
        "nan",
        "4e0",
    ],
)
def test_anything_else_is_no_answer(reply: str) -> None:
    assert replies.score(reply) is None


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("A", 1),
        ("b.", 2),
        ("Text B", 2),
        ("**Answer: A**", 1),
        ("The better text is A.", 1),
        ("Text A is better.", 1),
        ("B\nIt flows, whereas A repeats itself.", 2),
        ("Tie", 0),
        ("neither", 0),
        ("更好：B", 2),
        ('{"better": "A"}', 1),
    ],
)
def test_a_clear_choice_is_read(reply: str, choice: float) -> None:
    assert replies.choice(reply) == choice


@pytest.mark.parametrize("reply", ["", "A or B", "A\nB", "C", "A text of merit", "5"])
def test_no_choice_is_guessed(reply: str) -> None:
    assert replies.choice(reply) is None


@given(st.text())
def test_whatever_is_replied_is_on_the_scale_or_nothing(reply: str) -> None:
    score, choice = replies.score(reply), replies.choice(reply)
    assert score is None or 1 <= score <= 5
    assert choice in (None, 0.0, 1.0, 2.0)


@given(st.integers(1, 5), st.text(), st.sampled_from(["", " ", "\n", "**"]))
def test_json_is_read_whatever_stands_beside_the_score(value: int, why: str, edge: str) -> None:
    if why.strip() != why:
        return
    assert replies.score(json.dumps({"score": value, "why": why})) == value
    assert replies.score(f"{edge}{value}{edge}") == value
