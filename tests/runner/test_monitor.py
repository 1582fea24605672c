"""Curves that are cut back after a resume, and metrics on dev.select alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss

from gradus.data.dataset import Dataset
from gradus.runner.monitor import Quiet, RunMonitor


def rows(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@given(first=st.integers(0, 6), keep=st.integers(0, 8), more=st.integers(0, 4))
def test_rewind_keeps_the_first_rows(
    tmp_path_factory: pytest.TempPathFactory, first: int, keep: int, more: int
) -> None:
    path = tmp_path_factory.mktemp("curves") / "curves.jsonl"
    monitor = RunMonitor(path, None, Quiet())
    for i in range(first):
        monitor.point(row=i, text="é")
    monitor.rewind(keep)
    for i in range(more):
        monitor.point(row=100 + i)
    kept = [row["row"] for row in rows(path)]
    assert kept == [*range(min(first, keep)), *(100 + i for i in range(more))]


def test_a_row_that_was_cut_short_goes_with_the_rewind(tmp_path: Path) -> None:
    path = tmp_path / "curves.jsonl"
    monitor = RunMonitor(path, None, Quiet())
    monitor.point(row=0)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"row": 1, "lo')
    monitor.rewind(1)
    monitor.point(row=1)
    assert rows(path) == [{"row": 0}, {"row": 1}]


def test_scores_are_those_of_scikit_learn(dataset: Dataset, tmp_path: Path) -> None:
    training = dataset.for_training()
    monitor = RunMonitor(tmp_path / "curves.jsonl", training, Quiet())
    draw = np.random.default_rng(0)
    gold = training.select.labels
    probabilities = draw.dirichlet([1.0, 1.0], len(gold))
    predicted = probabilities.argmax(axis=1)
    scores = monitor.score(np.log(probabilities))
    assert scores == pytest.approx(
        {
            "accuracy": accuracy_score(gold, predicted),
            "f1_macro": f1_score(gold, predicted, average="macro"),
            "log_loss": log_loss(gold, probabilities, labels=[0, 1]),
        }
    )


def test_rows_that_do_not_fit_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    monitor = RunMonitor(tmp_path / "curves.jsonl", dataset.for_training(), Quiet())
    with pytest.raises(ValueError, match=r"shape \(1, 2\), dev.select has"):
        monitor.score(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="no data"):
        RunMonitor(tmp_path / "c", None, Quiet()).score(np.zeros((1, 2)))


def test_a_sentence_is_kept_once(tmp_path: Path) -> None:
    said: list[str] = []

    class Heard(Quiet):
        def note(self, text: str) -> None:
            said.append(text)

    monitor = RunMonitor(tmp_path / "c", None, Heard())
    for text in ("one", "two", "one"):
        monitor.note(text)
    assert monitor.notes == ["one", "two"]
    assert said == ["one", "two", "one"]
