"""Properties: resolved plans round-trip, and no input raises anything but PlanError."""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradus.errors import PlanError
from gradus.plan import check_plan, dump, load_plan, plan_from_dict
from gradus.plan.tree import read_value
from gradus.plan.variables import escape

from .conftest import GOOD

# The toy steps are there for the whole test, not for one example.
FAST = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
TREE = yaml.safe_load(GOOD.replace("    on:", "    'on':").replace("1e-3", "1.0e-3"))
TREE["data"]["news"]["source"] = {"folder": "corpora/news"}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "on",
        "no",
        "1e-3",
        "~",
        "null",
        "1_0",
        ".5",
        "${",
        "$${x}",
        "=",
        "<<",
        "0x1",
        "\x85",
        "\u2028 x",
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=6
)
names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("parent", "surely")
)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """Plans without faults, as a person could write them."""
    data, model, *ids = draw(st.lists(names, min_size=3, max_size=6, unique=True))
    stage = st.fixed_dictionaries(
        {},
        optional={
            "train": texts.map(escape),
            "epochs": st.integers(1, 9),
            "lr": st.floats(1e-8, 1.0),
        },
    )
    steps = []
    for i, step_id in enumerate(ids):
        step = {"id": step_id, "step": "fit", "model": draw(st.sampled_from([model, *ids[:i]]))}
        step |= {"data": data, "note": draw(st.none() | texts.map(escape))}
        step |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "stages": st.lists(stage, min_size=1, max_size=3),
                    "shots": st.integers() | st.lists(st.integers(), max_size=2),
                    "gates": st.just(["accuracy >= 0.5", "accuracy >= parent"]),
                    "on_undecided": st.sampled_from(["warn", "stop"]),
                },
            )
        )
        steps.append(step)
    return {
        "name": draw(names),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "vars": draw(st.dictionaries(texts, scalars.map(escape), max_size=3)),
        "data": {data: {"source": {"folder": draw(texts.filter(bool).map(escape))}}},
        "models": {model: {"package": "p"}},
        "steps": steps,
        "about": draw(texts.map(escape)),
        "measure": draw(st.fixed_dictionaries({}, optional={"level": st.floats(0.6, 0.99)})),
    }


@FAST
@given(plans())
def test_resolved_plans_round_trip(raw: dict[str, Any]) -> None:
    plan = plan_from_dict(raw)
    assert load_plan(dump(plan)) == plan


basic = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | basic,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(basic, v, max_size=3),
    max_leaves=6,
)


@FAST
@given(json_values)
def test_json_is_read_as_json_reads_it(value: Any) -> None:
    # PyYAML doesn't join JSON's surrogate pairs, hence the basic plane alone.
    read = read_value(json.dumps(value))
    assert read == value
    assert json.dumps(read) == json.dumps(value)  # 1 == 1.0 == True


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            found += _places(item, (*path, key))
    return found


PLACES = _places(TREE)


@FAST
@given(st.data())
def test_mutated_plans_raise_nothing_but_plan_error(data: st.DataObject) -> None:
    raw = copy.deepcopy(TREE)
    for path in data.draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        _mutate(raw, path, data)
    try:
        plan = plan_from_dict(raw)
    except PlanError:
        return
    assert load_plan(dump(plan)) == plan


def _mutate(raw: Any, path: tuple[Any, ...], data: st.DataObject) -> None:
    container = raw
    for key in path[:-1]:
        if not isinstance(container, dict | list):
            return
        try:
            container = container[key]
        except (KeyError, IndexError, TypeError):
            return
    action = data.draw(st.sampled_from(["replace", "delete", "rename"]))
    if isinstance(container, dict) and path[-1] in container:
        value = container.pop(path[-1])
        if action == "replace":
            container[path[-1]] = data.draw(values)
        elif action == "rename":
            container[data.draw(texts)] = value
    elif isinstance(container, list) and isinstance(path[-1], int) and path[-1] < len(container):
        container[path[-1]] = data.draw(values)


@FAST
@given(st.data())
def test_mutated_texts_raise_nothing_but_plan_error(data: st.DataObject) -> None:
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 6)))
        piece = st.text(max_size=4) | st.sampled_from(
            ["*x", "&x ", "<<: ", "!!int ", "- ", "? ", ": ", "${", "'", '"', "|", "{", "]", "\n"]
        )
        text = text[:start] + data.draw(piece) + text[end:]
    for fault in check_plan(text):
        assert 0 <= fault.line <= len(text.splitlines()) + 1
        assert fault.message


@FAST
@given(st.text(st.characters(codec="utf-8"), max_size=60).map(lambda t: t + "\n"))
def test_any_text_raises_nothing_but_plan_error(text: str) -> None:
    assert check_plan(text)


@FAST
@given(
    st.lists(
        st.text("stepvarmodlfu.[]=0123456789-${} \n", max_size=20)
        | st.builds(
            "{}={}".format,
            st.sampled_from(
                [
                    "steps.tuned.stages[0].lr",
                    "vars.root",
                    "data.news",
                    "models.encoder",
                    "steps[1]",
                    "measure",
                    "name",
                    "steps",
                    "steps.tuned.stages",
                    "steps.tuned.id",
                ]
            ),
            texts,
        ),
        max_size=3,
    )
)
def test_any_override_raises_nothing_but_plan_error(overrides: list[str]) -> None:
    for fault in check_plan(GOOD, overrides=overrides):
        assert fault.message
