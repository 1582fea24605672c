"""Records come back from JSON as they were, and need nothing but the standard library."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.records import (
    Answer,
    CheckpointRef,
    Fault,
    Measurement,
    Plan,
    Record,
    RunRecord,
    State,
    StepRecord,
    StepSpec,
    Verdict,
)

text = st.text(max_size=8)
number = st.floats(allow_nan=False, allow_infinity=False)
facts = st.dictionaries(text, st.one_of(text, number, st.lists(number, max_size=2)), max_size=2)
names = st.lists(text, max_size=3).map(tuple)
measurements = st.builds(
    Measurement,
    metric=text,
    value=st.none() | number,
    unit=text,
    direction=st.sampled_from(["higher", "lower"]),
    n=st.integers(0, 9),
    contract=st.dictionaries(text, text, max_size=2),
    items=st.none() | text,
)
verdicts = st.builds(
    Verdict, gate=text, verdict=st.sampled_from(Answer), why=text, p_value=st.none() | number
)
steps = st.builds(
    StepRecord,
    id=text,
    step=text,
    state=st.sampled_from(State),
    measurements=st.lists(measurements, max_size=2).map(tuple),
    gates=st.lists(verdicts, max_size=2).map(tuple),
    parents=names,
    notes=names,
    facts=facts,
    checkpoints=st.dictionaries(text, text, max_size=2),
)
specs = st.builds(StepSpec, id=text, kind=text, config=facts, models=names, data=names, gates=names)
records = st.one_of(
    measurements,
    verdicts,
    steps,
    specs,
    st.builds(CheckpointRef, name=text, kind=text, path=text, labels=names, origin=facts),
    st.builds(Fault, path=text, line=st.integers(0, 9), message=text),
    st.builds(
        Plan,
        name=text,
        seed=st.integers(),
        data=st.dictionaries(text, facts, max_size=2),
        models=st.dictionaries(text, facts, max_size=2),
        steps=st.lists(specs, max_size=2).map(tuple),
    ),
    st.builds(
        RunRecord,
        run=text,
        plan=text,
        state=st.sampled_from(State),
        steps=st.lists(steps, max_size=2).map(tuple),
        readings=st.dictionaries(text, st.integers(0, 9), max_size=2),
        notes=names,
    ),
)


@given(records)
def test_they_come_back_from_json_as_they_were(record: Record) -> None:
    written = json.dumps(record.to_json(), allow_nan=False)
    assert type(record).from_json(json.loads(written)) == record


def test_unknown_keys_are_refused() -> None:
    raw: dict[str, Any] = Fault(path="a", line=1, message="b").to_json()
    with pytest.raises(TypeError, match="colour"):
        Fault.from_json({**raw, "colour": "red"})


def test_records_do_not_change() -> None:
    fault = Fault(path="a", line=1, message="b")
    with pytest.raises(dataclasses.FrozenInstanceError):
        fault.line = 2  # type: ignore[misc]  # what is refused here


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(path="steps.a", line=3, message="bad"), "line 3: steps.a: bad"),
        (Fault(path="", line=3, message="bad"), "line 3: bad"),
        (Fault(path="--set x=1", line=0, message="bad"), "--set x=1: bad"),
    ],
)
def test_a_fault_as_one_line(fault: Fault, said: str) -> None:
    assert str(fault) == said


def test_steps_and_checkpoints_are_found_by_id() -> None:
    made = StepRecord(id="tuned", step="finetune.v1", state=State.DONE, checkpoint="steps/c")
    none = StepRecord(id="final", step="evaluate.v1", state=State.DONE)
    run = RunRecord(run="/r", plan="p", state=State.DONE, steps=(made, none))
    assert run.step("tuned") is made
    assert run.checkpoint("tuned") == Path("/r/steps/c")
    with pytest.raises(KeyError, match="made no checkpoint"):
        run.checkpoint("final")
    with pytest.raises(KeyError, match="absent"):
        run.step("absent")


@pytest.mark.parametrize("module", ["records", "errors", "catalog"])
def test_the_standard_library_is_enough(module: str) -> None:
    code = (
        f"import sys; import gradus.{module}\n"
        "print([m for m in sys.modules if m.partition('.')[0] in "
        "('numpy', 'torch', 'pydantic', 'yaml', 'typer', 'rich', 'pyarrow')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
