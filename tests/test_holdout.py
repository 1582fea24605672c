"""A reusable hold-out remembers what it was asked, over processes, and can't be talked round."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from gradus.errors import StorageError, UsageError
from gradus.holdout import Told, holdout_path, question, standing
from gradus.stats.thresholdout import Settings, bound

A = "a" * 64
SETTINGS = Settings(threshold=0.05, sigma=0.001, budget=2)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def asked(name: str, gate: float, settings: Settings = SETTINGS) -> Told:
    return question(A, settings, name, select=0.9, gate=gate, n=500)


def test_the_same_question_gets_the_same_answer_and_costs_once() -> None:
    assert standing(A) is None
    first = asked("x", 0.6)
    assert first.answer.held
    assert asked("x", 0.6) == first
    assert asked("y", 0.6).answer.held
    assert asked("z", 0.9).answer.value is None  # spent
    assert asked("x", 0.6) == first  # what was answered stays answered
    found = standing(A)
    assert found is not None
    assert (found[0], found[1].asked, found[1].spent) == (SETTINGS, 2, 2)


def test_the_budget_cant_be_raised() -> None:
    asked("x", 0.9)
    with pytest.raises(UsageError, match="keep the first, or take fresh data"):
        asked("y", 0.9, Settings(threshold=0.05, sigma=0.001, budget=3))


def test_a_damaged_file_is_named() -> None:
    asked("x", 0.9)
    with holdout_path(A).open("a") as file:
        file.write('{"question"')
    with pytest.raises(StorageError, match=r"line 3: .* is damaged"):
        asked("y", 0.9)


def _ask_many(start: int) -> None:
    for i in range(start, start + 10):
        question(A, Settings(0.05, 0.001, 25), str(i), select=0.9, gate=0.6, n=500)


def test_processes_share_one_budget() -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_ask_many, args=(10 * i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = standing(A)
    assert found is not None
    assert (found[1].asked, found[1].spent) == (25, 25)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_an_answers_bound_leaves_half_of_what_the_level_leaves(level: float) -> None:
    for _ in range(2):  # when it is asked, and when it was
        told = question(A, SETTINGS, "x", select=0.9, gate=0.9, n=500, level=level)
        assert told.bound == bound(SETTINGS, 1, 500, beta=(1 - level) / 2)
