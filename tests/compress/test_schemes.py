"""Every scheme through the step, on a tiny encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gradus.checkpoints import read_manifest, verify
from gradus.errors import CheckpointError
from gradus.predict import load
from gradus.steps.base import StepOutcome
from gradus.steps.quantize import QuantizeConfig

from .classifiers import make_data, make_texts
from .steps import Pair, quantise

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def flips(outcome: StepOutcome) -> float:
    assert outcome.checkpoint is not None
    texts = make_texts(60, seed=9)
    one, two = (
        load(path).predictor.log_probs(texts)
        for path in (Pair.of("bert").parent, outcome.checkpoint)
    )
    return float((one.argmax(1) != two.argmax(1)).mean())


@pytest.mark.parametrize(
    ("scheme", "kind", "most"),
    [
        ("int8-weights", "onnx", 0.05),
        ("int4-weights", "onnx", 0.3),
        ("bf16", "transformer", 0.05),
    ],
)
def test_weights_alone(scheme: str, kind: str, most: float, tmp_path: Path) -> None:
    outcome = quantise(Pair.of("bert").parent, tmp_path, data=make_data(), scheme=scheme)
    assert outcome.checkpoint is not None
    assert verify(outcome.checkpoint).kind == kind
    assert outcome.facts["size_ratio"] < 0.7
    assert flips(outcome) <= most
    (found,) = outcome.facts["parity"]
    assert found["handoff"] == scheme
    assert found["rows"] == 30


def test_bfloat16_computes_in_it(tmp_path: Path) -> None:
    outcome = quantise(Pair.of("bert").parent, tmp_path, scheme="bf16")
    assert outcome.checkpoint is not None
    assert load(outcome.checkpoint).contract["dtype"] == "bfloat16"
    assert outcome.facts["size_ratio"] == 0.5


def test_a_trimmed_vocabulary_by_itself(tmp_path: Path) -> None:
    data = make_data()
    outcome = quantise(
        Pair.of("bert").parent,
        tmp_path,
        data=data,
        scheme="float32",
        vocabulary="trim",
        data_name="toy",
    )
    facts = outcome.facts["vocabulary"]
    assert facts["tokens_after"] <= facts["tokens_before"]
    assert facts["select_before"].keys() == facts["select_after"].keys() != set()
    assert any("trimmed from" in note for note in outcome.notes)
    assert outcome.checkpoint is not None
    one, two = (
        load(path).predictor.log_probs(list(data.train.texts))
        for path in (Pair.of("bert").parent, outcome.checkpoint)
    )
    # Train's texts have the tokens that they had, and their embeddings.
    np.testing.assert_allclose(one, two, atol=1e-5)
    assert [a.name for a in read_manifest(outcome.checkpoint).lineage] == ["tuned"]


def test_training_under_rounding_goes_on_from_the_head(tmp_path: Path) -> None:
    outcome = quantise(
        Pair.of("bert").parent,
        tmp_path,
        data=make_data(),
        scheme="int8-qat",
        data_name="toy",
        stages=[{"train": "all", "steps": 3, "lr": 1e-5}],
    )
    assert outcome.facts["rounded_layers"] >= 12
    (stage,) = outcome.facts["stages"]
    assert stage["updates"] == 3
    assert flips(outcome) <= 0.3


def test_more_room_gives_fewer_bits(tmp_path: Path) -> None:
    bits = []
    for lose in (0.0, 1.0):
        outcome = quantise(
            Pair.of("bert").parent,
            tmp_path / str(lose),
            data=make_data(),
            scheme="mixed",
            data_name="toy",
            budget={"lose": lose},
        )
        found = outcome.facts["mixed"]
        bits.append(found["bits_per_weight"])
        assert len(found["products"]) == sum(found["forms"].values()) >= 12
        assert found["metric"] == "accuracy"
        if found["keeps_budget"]:
            assert found["value"] >= found["parent"] - lose - 1e-9
    # With all the room there is, everything takes four bits.
    assert bits[0] >= bits[1] == 5.0


def test_schemes_are_chosen_by_measurement(tmp_path: Path) -> None:
    names = ["int8-dynamic", "int8-static", "int4-weights"]
    options: dict[str, Any] = {"scheme": "auto", "data_name": "toy", "budget": {"lose": 1.0}}
    options["candidates"] = names
    outcome = quantise(
        Pair.of("bert").parent, tmp_path / "a", data=make_data(), target="size", **options
    )
    tried = outcome.facts["tried"]
    assert [row["scheme"] for row in tried] == [f"{name}.v1" for name in names]
    least = min(tried, key=lambda row: row["size_mb"])
    assert outcome.facts["scheme"] == least["scheme"]
    assert any("was chosen for size out of" in note for note in outcome.notes)
    assert outcome.checkpoint is not None
    verify(outcome.checkpoint)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"stages": [{"train": "all"}]}, "stages: scheme int8-dynamic.v1 doesn't train"),
        ({"budget": {"lose": 0.1}}, "budget: scheme int8-dynamic.v1 doesn't search"),
        ({"scheme": "auto", "candidates": ["mixed"]}, "mixed.v1 can't be one"),
        ({"candidates": ["bf16"]}, "candidates: scheme int8-dynamic.v1 doesn't choose"),
        ({"target": "size"}, "target: scheme int8-dynamic.v1 doesn't choose"),
        ({"calibration": {"data": "b"}, "scheme": "int8-static"}, "in data, too"),
    ],
)
def test_what_a_scheme_has_no_use_for_is_a_fault(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        QuantizeConfig.model_validate({"model": "tuned", **config})


def test_a_corrupt_export_is_refused(tmp_path: Path) -> None:
    import shutil

    from gradus.predict.onnx import open_session

    folder = shutil.copytree(Pair.of("bert").child, tmp_path / "copy")
    content = bytearray((folder / "model.onnx").read_bytes())
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"model\.onnx"):
        load(folder)
    with pytest.raises(CheckpointError, match="can't read it"):
        open_session(folder / "model.onnx", 1)
