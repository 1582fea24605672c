from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gradus.calibrate.temperature import fit_temperature
from gradus.checkpoints import open_checkpoint, read_manifest
from gradus.errors import CheckpointError, GradusError, UsageError
from gradus.predict import load
from gradus.predict.postprocess import Postprocess
from gradus.records import Target
from gradus.steps.calibrate import CalibrateConfig
from gradus.testing import World

_worlds: dict[str, World] = {}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Any:
    def of(target: Target) -> World:
        if target not in _worlds:
            _worlds[target] = World(tmp_path_factory.mktemp(target), target=target)
        return _worlds[target]

    yield of
    _worlds.clear()


def run(world: World, out: Path, **config: Any) -> Any:
    model = "tuned" if world.target == "spans" else "floor"
    return world.run("calibrate", {"model": model, "data": "news", **config}, out)


def test_temperature_is_fitted_on_select_and_stored(worlds: Any, tmp_path: Path) -> None:
    world = worlds("label")
    outcome = run(world, tmp_path / "one")
    select, parent = world.dataset.for_training().select, load(world.model("floor"))
    rows = parent.predictor.log_probs(select.texts)
    to = [parent.labels.index(label) for label in world.dataset.labels]
    expected = fit_temperature(rows, np.array(to)[select.labels], "label")
    post = Postprocess.of(read_manifest(outcome.checkpoint).preprocessing)
    assert post.temperature == pytest.approx(expected or 1.0, rel=1e-9)
    facts = outcome.facts
    assert facts["select"]["after"]["log_loss"] <= facts["select"]["before"]["log_loss"] + 1e-12
    assert facts["select"]["after"]["accuracy"] == facts["select"]["before"]["accuracy"]
    assert sum(row["n"] for row in facts["reliability"]["after"]) == len(select)
    assert facts["answered"]["calibrated"][-1][0] == 1.0
    calibrated = load(outcome.checkpoint)
    texts = world.dataset.splits["test"].texts
    np.testing.assert_allclose(
        np.exp(calibrated.predictor.log_probs(texts)).sum(axis=1), 1, atol=1e-12
    )
    assert [p.label for p in calibrated.predict(texts)] == [p.label for p in parent.predict(texts)]


def test_everything_at_once(worlds: Any, tmp_path: Path) -> None:
    world = worlds("label")
    outcome = run(
        world,
        tmp_path / "all",
        temperature=1.5,
        thresholds="f1_macro",
        abstain={"coverage": 0.5},
        label_map={"tech": "other", "sport": "other"},
    )
    facts, model = outcome.facts, load(outcome.checkpoint)
    assert facts["temperature"] == 1.5
    assert set(model.labels) == {"other", "business"}
    assert facts["thresholds"]["metric"] == "f1_macro"
    assert facts["abstain"]["coverage"] >= 0.5
    said = model.predict(world.dataset.splits["train"].texts)
    assert any(one.abstained for one in said) or facts["abstain"]["coverage"] == 1.0
    assert model.predictor.abstain_below == facts["abstain"]["below"]


def test_sets_of_labels(worlds: Any, tmp_path: Path) -> None:
    world = worlds("labels")
    outcome = run(world, tmp_path / "sets", thresholds="multilabel_f1_macro")
    select = outcome.facts["select"]
    assert select["after"]["multilabel_log_loss"] <= select["before"]["multilabel_log_loss"] + 1e-9
    model = load(outcome.checkpoint)
    kept = outcome.facts["thresholds"]["kept"]
    named = dict(zip(model.labels, model.predictor.thresholds, strict=True))
    assert {label: named[label] for label in kept} == kept
    with pytest.raises(UsageError, match="accuracy and coverage"):
        run(world, tmp_path / "refused", abstain={"coverage": 0.5})


def test_spans(worlds: Any, tmp_path: Path) -> None:
    world = worlds("spans")
    outcome = run(world, tmp_path / "spans", repair="drop", abstain={"below": 0.1})
    select = outcome.facts["select"]
    assert select["after"]["tag_log_loss"] <= select["before"]["tag_log_loss"] + 1e-12
    spans = load(outcome.checkpoint).predictor.spans(world.dataset.splits["test"].texts)
    assert all(span.score is not None and span.score >= 0.1 for of in spans for span in of)


def test_what_can_not_be_calibrated_is_refused(worlds: Any, tmp_path: Path) -> None:
    world = worlds("label")
    done = run(world, tmp_path / "done", temperature=2.0)
    world.put("calibrated", open_checkpoint(done.checkpoint, name="calibrated"))
    with pytest.raises(CheckpointError, match="calibrated already"):
        world.run("calibrate", {"model": "calibrated", "data": "news"}, tmp_path / "twice")
    for config, word in (
        ({"label_map": {"sprt": "x"}}, "no label 'sprt'"),
        ({"repair": "drop"}, "taggers"),
        ({"thresholds": "log_loss"}, "log_loss"),
    ):
        with pytest.raises(UsageError, match=word):
            run(world, tmp_path / f"refused-{word[:3]}", **config)
    number = World(_made(tmp_path / "number"), target="number")
    with pytest.raises(GradusError, match="calibration is of"):
        run(number, tmp_path / "refused-number")


def _made(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    "abstain",
    [{}, {"accuracy": 0.9, "coverage": 0.5}, {"coverage": 0.5, "confidence": 0.9}, {"below": 2}],
)
def test_one_way_to_abstain(abstain: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CalibrateConfig.model_validate({"model": "tuned", "abstain": abstain})


def test_a_temperature_that_nothing_tells_stays_one(worlds: Any, tmp_path: Path) -> None:
    world = worlds("label")
    rows = load(world.model("floor")).predictor.log_probs(world.dataset.splits["dev.select"].texts)
    outcome = run(world, tmp_path / "certain")
    fitted = outcome.facts["temperature"] != 1.0
    assert fitted or any("stays 1" in note for note in outcome.notes)
    assert math.isfinite(float(rows.sum()))
