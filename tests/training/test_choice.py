"""Names and options in a stage: what is understood, and what is told of everything else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from gradus import registry
from gradus.errors import PlanError
from gradus.plan import load_plan, schema
from gradus.training.choice import ChoiceConfig
from gradus.training.config import StageConfig
from gradus.training.optimisers.sgd import SgdConfig

SECTIONS = {"optimisers": "optimiser", "losses": "loss"}

PLAN = """\
name: p
data: {d: {source: {file: d.csv}}}
models: {m: {folder: m}}
steps:
  - id: s
    step: finetune
    model: m
    data: d
    stages:
      - {train: head}
      - %s
"""


def faults(stage: str, folder: Path) -> list[tuple[str, str]]:
    (folder / "plan.yaml").write_text(PLAN % stage, encoding="utf-8")
    with pytest.raises(PlanError) as raised:
        load_plan(folder / "plan.yaml")
    assert {fault.line for fault in raised.value.faults} == {11}
    return [(fault.path, fault.message) for fault in raised.value.faults]


@pytest.mark.parametrize(
    ("stage", "path", "message"),
    [
        ("{optimiser: moun}", "optimiser", "unknown optimiser 'moun': did you mean 'muon'?"),
        ("{optimiser: {name: sdg}}", "optimiser.name", "unknown optimiser 'sdg': did you mean"),
        ("{loss: focla}", "loss", "unknown loss 'focla': did you mean 'focal'?"),
        ("{loss: focal.v9}", "loss", "unknown loss 'focal.v9': did you mean 'focal'?"),
        (
            "{optimiser: {name: sgd, momentun: 0.9}}",
            "optimiser.momentun",
            "unknown option of sgd 'momentun': did you mean 'momentum'?",
        ),
        ("{optimiser: {name: sgd, momentum: 1.0}}", "optimiser.momentum", "should be less than 1"),
        ("{optimiser: {name: sgd, momentum: x}}", "optimiser.momentum", "should be a number"),
        ("{optimiser: {momentum: 0.9}}", "optimiser.name", "'name' is missing"),
        ("{optimiser: 3}", "optimiser", "should be a text or a mapping, is the number 3"),
        ("{loss: [focal]}", "loss", "should be a text or a mapping, is a list"),
        ("{loss: {name: 3}}", "loss.name", "should be a text, is the number 3"),
        ("{loss: {name: focal, gamma: true}}", "loss.gamma", "should be a number, is true"),
        (
            "{loss: {name: focal, class_weights: balancd}}",
            "loss.class_weights",
            "did you mean 'balanced'?",
        ),
        (
            "{loss: {name: focal, class_weights: {a: 0}}}",
            "loss.class_weights.a",
            "should be greater than 0",
        ),
        (
            "{optimiser: {name: sgd, momentum: 0, nesterov: true}}",
            "optimiser",
            "nesterov needs a momentum above 0",
        ),
        ("{optimiser: sgd, beta2: 0.9}", "", "beta2: the optimiser sgd has no such option"),
        ("{loss: focal, label_smoothing: 0}", "", "label_smoothing: the loss focal has no such"),
        ("{optimiser: {name: lion, beta2: 0.9}, beta2: 0.8}", "", "give beta2 once"),
        ("{train: head, loss: supcon}", "", "loss supcon works on layers: train: head has none"),
        ("{train: head, optimiser: muon}", "", "optimiser muon works on layers"),
        ("{train: head, solver: lbfgs, loss: focal}", "", "minimises cross-entropy, not focal"),
        ("{train: head, solver: lbfgs, optimiser: sgd}", "", "takes no optimiser"),
    ],
)
def test_check_tells_it_at_its_place(stage: str, path: str, message: str, tmp_path: Path) -> None:
    ((where, told),) = faults(stage, tmp_path)
    assert where == f"steps.s.stages[1]{'.' + path if path else ''}"
    assert message in told


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    stage = "{optimiser: {name: sgd, momentum: 2, nestrov: true}, loss: {name: focal, gamma: -1}}"
    assert len(faults(stage, tmp_path)) == 3


def test_the_resolved_plan_has_versions_and_reads_again(tmp_path: Path) -> None:
    stage = "{optimiser: {name: sgd, momentum: 0.5}, loss: supcon, label_smoothing: 0.3}"
    (tmp_path / "plan.yaml").write_text(PLAN % stage, encoding="utf-8")
    resolved = load_plan(tmp_path / "plan.yaml").step("s").config["stages"]
    assert resolved[0]["optimiser"]["name"] == "adamw.v1"
    assert resolved[1]["optimiser"] == {"name": "sgd.v1", "momentum": 0.5, "nesterov": False}
    assert resolved[1]["loss"]["name"] == "supcon.v1"
    for raw in resolved:
        again = StageConfig.model_validate(json.loads(json.dumps(raw)))
        assert again.model_dump(mode="json") == raw
    assert again.chosen_loss.model_dump()["label_smoothing"] == 0.3


@pytest.mark.parametrize("section", SECTIONS)
def test_every_entry_is_chosen_by_name_version_and_example(section: str) -> None:
    key = SECTIONS[section]
    for name in registry.names(section):
        entry = registry.load(section, name)
        by_name = getattr(StageConfig.model_validate({key: registry.plain(name)}), key)
        assert by_name == getattr(StageConfig.model_validate({key: name}), key)
        assert by_name.name == name
        example = yaml.safe_load(entry.example)
        assert getattr(StageConfig.model_validate({key: example}), key).name == name
        config: type[ChoiceConfig] = entry.Config
        assert config.model_fields["name"].default == registry.plain(name)


def test_a_config_is_taken_as_it_is() -> None:
    assert StageConfig(optimiser=SgdConfig(name="sgd.v1", momentum=0.1)).optimiser == SgdConfig(
        name="sgd.v1", momentum=0.1
    )


def test_short_keys_reach_what_they_are_short_for() -> None:
    stage = StageConfig(optimiser="muon", beta2=0.95, label_smoothing=0.0)
    assert stage.chosen_optimiser.model_dump()["beta2"] == 0.95
    assert stage.chosen_loss.model_dump()["label_smoothing"] == 0.0
    assert StageConfig().chosen_optimiser.model_dump()["beta2"] == 0.999
    assert StageConfig().chosen_loss.model_dump()["label_smoothing"] == 0.1


@pytest.mark.parametrize(
    ("raw", "solved"),
    [
        ({}, True),
        ({"loss": {"name": "cross-entropy", "class_weights": "balanced"}}, True),
        ({"loss": "focal"}, False),
        ({"optimiser": "sgd"}, False),
        ({"optimiser": {"name": "adamw", "beta1": 0.8}}, False),
        ({"optimiser": "adamw"}, True),
    ],
)
def test_what_a_solver_cant_do_is_descended_to(raw: dict[str, Any], solved: bool) -> None:
    assert StageConfig.model_validate({"train": "head", **raw}).solved is solved


def test_rates_left_out_are_what_is_usual() -> None:
    assert (StageConfig().rate, StageConfig(train="head").rate) == (2e-4, 1e-3)
    assert StageConfig(optimiser="sgd").rate == SgdConfig.usual_rate
    assert StageConfig(optimiser="sgd", train="head").rate == SgdConfig.usual_head_rate
    assert StageConfig(optimiser="sgd", lr=0.3).rate == 0.3


def test_the_schema_of_a_plan_knows_names_and_options() -> None:
    stage = schema()["$defs"]["finetune.v1.StageConfig"]["properties"]
    for section, key in SECTIONS.items():
        names, *options = stage[key]["anyOf"]
        assert set(names["enum"]) >= {"adamw", "muon.v1"} or set(names["enum"]) >= {"focal"}
        assert [option["title"] for option in options] == registry.names(section)
        assert all(option["additionalProperties"] is False for option in options)


def test_choosing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from gradus import registry; from gradus.training.config import StageConfig;"
        "[StageConfig.model_validate({k: n}) for s, k in {'optimisers': 'optimiser', 'losses': "
        "'loss'}.items() for n in registry.names(s)];"
        "assert not {'torch', 'numpy', 'transformers'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_error_of_an_entrys_own_kind_keeps_its_words() -> None:
    from pydantic_core import PydanticCustomError

    from gradus.training.choice import _again

    detail = {"type": "odd_kind", "loc": ("a",), "msg": "is odd", "input": 3}
    fault = _again(detail, SgdConfig, "sgd")  # type: ignore[arg-type]  # as pydantic gives it
    assert isinstance(fault["type"], PydanticCustomError)
    with pytest.raises(ValidationError, match="is odd"):
        raise ValidationError.from_exception_data("x", [fault])
