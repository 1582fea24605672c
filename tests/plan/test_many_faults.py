"""Several faults at once, references among steps, and faults of whole files and overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradus.errors import PlanError
from gradus.plan import check_plan, load_plan

FLOOR = """\
name: x
data:
  d: {source: {folder: d}}
models:
  m: {package: p}
steps:
"""


def messages(text: str) -> list[str]:
    return [str(fault) for fault in check_plan(text)]


def test_three_typos_are_three_faults(good: str) -> None:
    text = good.replace("seed: 13", "sed: 13").replace("epochs: 3", "epoch: 3")
    text = text.replace("accuracy > floor", "accuracy > flor")
    with pytest.raises(PlanError) as caught:
        load_plan(text)
    assert [str(fault) for fault in caught.value.faults] == [
        "line 2: sed: unknown key 'sed': did you mean 'seed'?",
        "line 23: steps.tuned.stages[0].epoch: unknown key 'epoch': did you mean 'epochs'?",
        "line 25: steps.tuned.gates[1]: unknown model or step 'flor': did you mean 'floor'?",
    ]
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith("the plan has 3 faults:\n  line 2: ")


def test_a_broken_config_still_has_its_references_checked(good: str) -> None:
    text = good.replace("lr: 0.0001", "lr: fast").replace("model: encoder", "model: encodr")
    assert messages(text) == [
        "line 20: steps.tuned.model: unknown model or step 'encodr': did you mean 'encoder'?",
        "line 24: steps.tuned.stages[1].lr: should be a number, is the text 'fast'",
    ]


def test_a_later_step_is_told_from_a_cycle() -> None:
    later = """\
  - {id: a, step: shrink, model: b}
  - {id: b, step: shrink, model: m}
"""
    assert messages(FLOOR + later) == [
        "line 7: steps.a.model: 'b' is defined later: move it before 'a'"
    ]
    cycle = """\
  - {id: a, step: shrink, model: c}
  - {id: b, step: shrink, model: a}
  - {id: c, step: shrink, model: b}
"""
    assert messages(FLOOR + cycle) == ["line 7: steps.a.model: cyclic reference: a -> c -> b -> a"]
    itself = "  - {id: a, step: shrink, model: a}\n"
    assert messages(FLOOR + itself) == ["line 7: steps.a.model: cyclic reference: a -> a"]


def test_a_gate_takes_part_in_cycles() -> None:
    steps = """\
  - {id: a, step: floor, data: d, gates: [accuracy > b]}
  - {id: b, step: floor, data: d, gates: [accuracy > a]}
"""
    assert messages(FLOOR + steps) == ["line 7: steps.a.gates[0]: cyclic reference: a -> b -> a"]
    steps = steps.replace("gates: [accuracy > a]", "gates: [accuracy > 0.5]")
    assert messages(FLOOR + steps) == [
        "line 7: steps.a.gates[0]: 'b' is defined later: move it before 'a'"
    ]


def test_further_checkpoints_of_a_step_can_be_named(good: str) -> None:
    text = good.replace("accuracy > floor", "accuracy > floor.majority")
    text = text.replace("[floor, tuned, small]", "[floor.majority, tuned]")
    assert messages(text) == []
    assert messages(good.replace("accuracy > floor", "accuracy > tuned.head")) == []
    assert messages(good.replace("accuracy > floor", "accuracy > final.x")) == [
        "line 25: steps.tuned.gates[1]: cyclic reference: tuned -> final -> tuned"
    ]


@pytest.mark.parametrize("prefix", ["news", "news.dev.gate", "test", "classify"])
def test_a_gate_may_name_data_split_or_benchmark(good: str, prefix: str) -> None:
    assert messages(good.replace('"accuracy >= 0.95"', f'"{prefix}.accuracy >= 0.95"')) == []


def test_a_broken_model_isnt_also_dangling() -> None:
    text = FLOOR.replace("{package: p}", "gpt2") + "  - {id: a, step: shrink, model: m}\n"
    assert messages(text) == ["line 5: models.m: should be a mapping, is the text 'gpt2'"]


def test_a_bad_gate_says_where(good: str) -> None:
    text = good.replace('"accuracy >= 0.95"', '"accuracy => 0.95"')
    (fault,) = check_plan(text)
    assert (fault.path, fault.line) == ("steps.tuned.gates[0]", 25)
    assert fault.message.startswith("gate 'accuracy => 0.95', column 10: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n", "the plan is empty"),
        ("# nothing\n", "the plan is empty"),
        ("- a\n- b\n", "line 1: a plan is a mapping with the keys name, data, models, steps"),
        ("\n\nnews\n", "line 3: a plan is a mapping with the keys name, data, models, steps"),
        (
            "name: a\n---\nname: b\n",
            "line 2: not valid YAML: but found another document",
        ),
        ("name: \x00\n", "line 1: not valid YAML: the character 0 isn't allowed"),
        (
            'name: "\\UFFFFFFFF"\n',
            "not valid YAML: an escape names a character that doesn't exist",
        ),
        ("name: " + "[" * 5000 + "\n", "not valid YAML: nested too deeply"),
        ("name: x\nsteps:\n", "line 2: steps: a plan needs at least one step"),
        ("name: x\n", "line 1: steps: a plan needs at least one step"),
        (
            "name: x\nsteps: {a: {step: floor}}\n",
            "line 2: steps: should be a list, is a mapping: begin each step with '- id: ...'",
        ),
        (
            "name: x\nsteps:\n  - floor\n",
            "line 3: steps[0]: should be a mapping, is the text 'floor'",
        ),
        ("name: x\n? [a]\n: b\nsteps: 1\n", None),
    ],
)
def test_whole_files(text: str, expected: str | None) -> None:
    found = messages(text)
    if expected is None:
        assert found == [
            "line 2: a key is a list or a mapping; it should be a text",
            "line 4: steps: should be a list, is the number 1",
        ]
    else:
        assert found == [expected]


def test_aliases_that_multiply_are_stopped() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "more than 100,000 values, aliases counted" in messages("\n".join(rows))[0]


def test_files_that_cant_be_read(tmp_path: Path) -> None:
    assert [str(f) for f in check_plan(tmp_path / "none.yaml")] == [
        "can't be read: No such file or directory"
    ]
    assert [str(f) for f in check_plan(tmp_path)] == ["can't be read: Is a directory"]
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: x\n# caf\xe9\n".encode("latin-1"))
    assert [str(f) for f in check_plan(latin)] == ["line 2: isn't UTF-8 from here on"]
    with pytest.raises(PlanError, match=r"none\.yaml has 1 fault:\n  can't be read"):
        load_plan(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps.tuned.stages[0].lr=fast", "should be a number, is the text 'fast'"),
        ("steps.tuned.stages[0].rl=1", "unknown key 'rl': did you mean 'lr'?"),
        ("steps.tunde.stages[0].lr=1", "unknown step 'tunde': did you mean 'tuned'?"),
        ("steps[9].model=x", "steps has 4 items, counted from 0: no [9]"),
        ("steps.tuned.stages[2].lr=1", "steps.tuned.stages has 2 items, counted from 0: no [2]"),
        ("steps.tuned.stages.lr=1", "steps.tuned.stages is a list: write steps.tuned.stages[0]"),
        ("steps.tuned[0]=1", "steps.tuned is no list: [0] can't be set in it"),
        ("steps.tuned.model.x=1", "steps.tuned.model is a single value: 'x' can't be set in it"),
        ("data.new.limit=2", "unknown data set 'new': did you mean 'news'?"),
        ("models.encodr.package=x", "unknown model 'encodr': did you mean 'encoder'?"),
        ("vars.rot=x", "unknown variable 'rot': did you mean 'root'?"),
        ("data.news.limt=2", "unknown key 'limt': did you mean 'limit'?"),
        ("data.news.split.dev=much", "should be a number, is the text 'much'"),
        ("measur.level=0.9", "unknown key 'measur': did you mean 'measure'?"),
        ("measure.levl=0.9", "unknown key 'levl': did you mean 'level'?"),
        ("seed", "write PATH=VALUE, as in steps.tuned.stages[0].lr=2e-4"),
        ("a..b=1", "'a..b' isn't a path such as steps.tuned.stages[0].lr"),
        ("=1", "'' isn't a path such as steps.tuned.stages[0].lr"),
        ("seed=[1", "not valid YAML: expected ',' or ']', but got '<stream end>'"),
        (
            "models.encoder={}",
            "names no source: one of hub, folder, package, gguf, scratch must be there",
        ),
        ("steps.small.model=encodr", "unknown model or step 'encodr': did you mean 'encoder'?"),
    ],
)
def test_a_fault_in_an_override_names_it(good: str, override: str, message: str) -> None:
    found = check_plan(good, overrides=[override])
    assert [(f.path, f.line, f.message) for f in found] == [(f"--set {override}", 0, message)]


def test_faults_of_overrides_come_with_those_of_the_file(good: str) -> None:
    text = good.replace("seed: 13", "seed: x")
    found = check_plan(text, overrides=["steps.tunde.model=m", "measure.level=2"])
    assert [fault.line for fault in found] == [0, 0, 2]
    assert str(found[0]) == "--set steps.tunde.model=m: unknown step 'tunde': did you mean 'tuned'?"
