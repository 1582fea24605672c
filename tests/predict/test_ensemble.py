"""Averaged checkpoints: means of what members say, and what can't be averaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gradus.checkpoints import read_manifest
from gradus.errors import CheckpointError, TrainingError
from gradus.predict import load
from gradus.predict.ensemble import save_ensemble
from gradus.predict.linear import save_constant, save_majority

TEXTS = ["one text", "another", "a third"]


def members(folder: Path, *counts: list[int]) -> list[Path]:
    return [
        Path(save_majority(folder / f"m{i}", labels=["bad", "good"], counts=c).path)
        for i, c in enumerate(counts)
    ]


def test_the_mean_of_probabilities(tmp_path: Path) -> None:
    made = save_ensemble(tmp_path / "e", members(tmp_path, [1, 3], [1, 1], [9, 1]))
    model, seen = load(made), []
    rows = model.predict_proba(TEXTS, progress=seen.append)
    assert rows == pytest.approx(np.tile([(0.25 + 0.5 + 0.9) / 3, (0.75 + 0.5 + 0.1) / 3], (3, 1)))
    assert seen == sorted(seen)
    assert seen[-1] == 3
    assert model.predict(TEXTS)[0].label == "bad"
    assert model.predictor.size_bytes > 0
    assert model.contract["backend"] == "scikit-learn"
    assert [a.generation for a in read_manifest(tmp_path / "e").lineage] == [1, 1, 1]


def test_numbers_and_label_sets(tmp_path: Path) -> None:
    numbers = [
        Path(save_constant(tmp_path / f"n{i}", np.array([v]), "number").path)
        for i, v in enumerate((1.0, 4.0))
    ]
    assert load(save_ensemble(tmp_path / "en", numbers)).predict_numbers(TEXTS) == pytest.approx(
        2.5
    )
    sets = [
        Path(save_constant(tmp_path / f"s{i}", np.array(v), "labels", labels=["x", "y"]).path)
        for i, v in enumerate(([0.0, 2.0], [1.0, -2.0]))
    ]
    made = load(save_ensemble(tmp_path / "es", sets))
    expected = (1 / (1 + np.exp([-0.0, -2.0])) + 1 / (1 + np.exp([-1.0, 2.0]))) / 2
    assert made.predict_proba(TEXTS[:1])[0] == pytest.approx(expected)
    assert made.predictor.thresholds == (0.5, 0.5)


def test_the_same_members_give_the_same_digest(tmp_path: Path) -> None:
    """A member's time of making and what it says of itself have no part in the weights."""
    one = members(tmp_path, [1, 3], [1, 1])
    two = members(tmp_path / "again", [1, 3], [1, 1])
    for member in two:
        raw = json.loads((member / "gradus.json").read_text("utf-8"))
        raw |= {"created": "2001-01-01T00:00:00+00:00", "facts": {"seconds": 7}}
        (member / "gradus.json").write_text(json.dumps(raw), "utf-8")
        (member / "README.md").write_text("# A card", "utf-8")
    digests = [save_ensemble(tmp_path / f"e{i}", m).digest for i, m in enumerate((one, two))]
    assert digests[0] == digests[1]


def test_what_cannot_be_averaged(tmp_path: Path) -> None:
    first = members(tmp_path, [1, 3])
    other = Path(save_majority(tmp_path / "o", labels=["x", "y"], counts=[1, 2]).path)
    with pytest.raises(TrainingError, match="the same labels in one order"):
        save_ensemble(tmp_path / "e", [*first, other])
    with pytest.raises(TrainingError, match="needs a member"):
        save_ensemble(tmp_path / "e", [])
    assert not (tmp_path / "e").exists()


def test_damage_is_told(tmp_path: Path) -> None:
    made = save_ensemble(tmp_path / "e", members(tmp_path, [1, 3], [1, 1]))
    (tmp_path / "e" / "members" / "1" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="safetensors"):
        load(made)
