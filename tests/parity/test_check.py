"""Checkpoints and predictors held against one another on the same texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from scipy.special import log_expit

from gradus.errors import CheckpointError, ContractError
from gradus.parity import EXACT, check, texts
from gradus.parity.check import FALLBACK_TEXTS, MOST_TEXTS
from gradus.predict import Predictor, load
from gradus.records import CheckpointRef, Labelled
from gradus.testing.world import World

TEXTS = ["The striker won the final.", "An oil company cut its profit forecast.", "Rain."]
UNITS = {"label": "texts", "labels": "texts", "number": "texts", "spans": "words"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], CheckpointRef]:
    """A tiny tuned checkpoint for data with a target, made once."""
    found: dict[str, CheckpointRef] = {}

    def of(target: Any) -> CheckpointRef:
        if target not in found:
            found[target] = World(tmp_path_factory.mktemp(target), target=target).model("tuned")
        return found[target]

    return of


@pytest.mark.parametrize("target", UNITS)
def test_a_checkpoint_says_what_it_says(target: str, made: Callable[[Any], CheckpointRef]) -> None:
    assert set(UNITS) <= set(get_args(Labelled))
    found = check(made(target), made(target), TEXTS, EXACT, handoff="load", threads=1)
    assert found.unit == UNITS[target]
    assert found.rows == (3 if target != "spans" else len(" ".join(TEXTS).split()) + 3)
    assert found.max_logit == found.mean_logit == 0.0
    if target == "number":
        assert found.kl is found.flips is None
        assert set(found.bounds) == {"max_logit"}
    else:
        assert found.kl == found.flips == 0.0
        assert found.bounds == EXACT.named()
    assert found.holds


def test_a_checkpoint_against_another(made: Callable[[Any], CheckpointRef]) -> None:
    parent = load(made("label"), threads=1).predictor
    before = parent.log_probs(TEXTS)
    after = before[:, ::-1]
    found = check(made("label"), lambda given: after, TEXTS, handoff="turned", threads=1)
    expected = np.abs(
        (before - before.mean(axis=1, keepdims=True)) - (after - after.mean(axis=1, keepdims=True))
    )
    assert found.max_logit == pytest.approx(expected.max())
    flips = (before.argmax(axis=1) != after.argmax(axis=1)).mean()
    assert found.flips == pytest.approx(flips)


class Sigmoids(Predictor):
    """Says fixed logits, each label on its own."""

    kind = "fixed"
    summary = "fixed logits"
    target = "labels"
    labels = ("a", "b")

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits

    @classmethod
    def open(cls, ref: CheckpointRef, **_: Any) -> Sigmoids:
        raise NotImplementedError

    def log_probs(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        return np.asarray(log_expit(self.logits[: len(texts)]))

    @property
    def contract(self) -> Mapping[str, str]:
        return {}

    @property
    def size_bytes(self) -> int:
        return 0


def test_sigmoids_are_turned_back_into_logits() -> None:
    one, two = (Sigmoids(np.array([[9.0, -3.0], [0.5, 0.0]]) + shift) for shift in (0.0, 0.25))
    found = check(one, two, TEXTS[:2], handoff="shifted")
    assert found.max_logit == pytest.approx(0.25, abs=1e-9)
    assert found.mean_logit == pytest.approx(0.25, abs=1e-9)
    assert found.flips == 0.5


def test_what_says_other_things_is_refused(made: Callable[[Any], CheckpointRef]) -> None:
    with pytest.raises(ContractError, match=r"label.*number"):
        check(made("label"), made("number"), TEXTS, handoff="export", threads=1)
    with pytest.raises(ContractError, match="same texts"):
        check(made("label"), lambda given: np.zeros((2, 3)), TEXTS, handoff="export", threads=1)


def test_a_damaged_checkpoint_is_refused(
    made: Callable[[Any], CheckpointRef], tmp_path: Path
) -> None:
    import shutil
    from dataclasses import replace

    ref = made("label")
    copy = Path(shutil.copytree(ref.path, tmp_path / "copy"))
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        check(ref, replace(ref, path=str(copy)), TEXTS, handoff="load", threads=1)


def test_the_fixed_texts_are_of_dev_select(tmp_path: Path) -> None:
    data = World(tmp_path).dataset.for_training()
    found = texts(data)
    assert set(found) <= set(data.select.texts)
    assert found == texts(data)
    assert len(found) == min(MOST_TEXTS, len(data.select))
    assert len(texts(data, 5)) == 5
    assert texts(None) == list(FALLBACK_TEXTS)
