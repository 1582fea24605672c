"""The error tree as its docstring draws it."""

from __future__ import annotations

import re

import pytest

from gradus import errors
from gradus.records import Fault


def drawn() -> dict[str, int]:
    found = re.findall(r"([A-Z]\w+)\s+exit (\d+)", errors.__doc__ or "")
    return {name: int(code) for name, code in found}


def defined() -> dict[str, int]:
    kinds = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, BaseException)
    ]
    return {kind.__name__: kind.exit_code for kind in kinds if kind.__module__ == errors.__name__}


def test_the_drawing_is_the_tree() -> None:
    assert drawn() == defined()
    assert len(drawn()) >= 12


def test_interrupted_is_swallowed_by_nobody() -> None:
    assert not issubclass(errors.Interrupted, Exception)
    for name in defined().keys() - {"Interrupted"}:
        assert issubclass(getattr(errors, name), errors.GradusError)


@pytest.mark.parametrize("count", [1, 3])
def test_a_plan_error_holds_and_says_every_fault(count: int) -> None:
    faults = [Fault(path=f"p{i}", line=i, message="bad") for i in range(1, count + 1)]
    error = errors.PlanError(faults, "x.yaml")
    assert error.faults == tuple(faults)
    assert str(error).splitlines()[0] == f"x.yaml has {count} fault{'s' if count > 1 else ''}:"
    assert str(error).splitlines()[1:] == [f"  {fault}" for fault in faults]


def test_data_errors_name_file_line_and_field() -> None:
    error = errors.DataError("is empty", file="a.csv", line=1234, field="text")
    assert str(error) == "a.csv, line 1,234, field 'text': is empty"
    assert (error.file, error.line, error.field) == ("a.csv", 1234, "text")
    assert str(errors.DataError("is empty")) == "is empty"


def test_near_names_are_suggested() -> None:
    assert errors.unknown("step", "finetun", ["finetune", "prompt"]).endswith("mean 'finetune'?")
    assert errors.unknown("step", "zzz", ["b", "a"]) == "unknown step 'zzz': known are a, b"
    assert errors.unknown("run", "x", []).endswith("known are none")
    assert "gradus-lm[onnx]" in str(errors.MissingExtra("onnx", "onnx", "step quantize"))
