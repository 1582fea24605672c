"""Looks at dev are counted by content, beside the ledger of test readings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradus import ledger, looks
from gradus.errors import StorageError

A, B = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "gradus" / "looks.jsonl"


def look(mark: str, digest: str = A, split: str = "dev.gate", gates: int = 1) -> int:
    return looks.note(digest, split, mark, data="news", run="run", step="tuned", gates=gates)


def test_the_same_look_counts_once() -> None:
    assert [look("x"), look("x"), look("y"), look("x", B), look("x", split="dev.select")] == [
        1,
        1,
        2,
        1,
        1,
    ]
    known = looks.everything()
    assert looks.count(known, A, "dev.gate") == 2
    assert looks.count(known, A, "dev.select") == 1
    assert looks.count(known, B, "dev.select") == 0


def test_looks_leave_the_ledger_of_test_readings_as_it_was(state: Path) -> None:
    ledger.read(A, data="news", run="run", reading="r", models=["m"])
    before = ledger.ledger_path().read_bytes()
    look("x")
    assert ledger.ledger_path().read_bytes() == before
    assert set(json.loads(before)) == {"digest", "data", "run", "reading", "models", "time"}
    assert len(state.read_bytes().splitlines()) == 1


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b'{"cut', b'{"gates": "1"}\n'])
def test_a_damaged_line_is_named(state: Path, line: bytes) -> None:
    look("x")
    state.write_bytes(state.read_bytes() + line)
    with pytest.raises(StorageError, match=r"looks\.jsonl, line 2: .* is damaged"):
        looks.everything()
