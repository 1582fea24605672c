"""The arithmetic of scores against Python's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.metrics.formula import FormulaError, parse

NUMBERS = st.floats(0, 100, allow_nan=False).map(lambda x: f"{x:.3f}")
TEXTS = st.recursive(
    st.one_of(NUMBERS, st.sampled_from(["accuracy", "f1_macro", "recall[not urgent]"])),
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("({})".format, inner),
        st.builds("-{}".format, inner),
    ),
    max_leaves=12,
)
VALUES = {"accuracy": 0.75, "f1_macro": 0.5, "recall[not urgent]": 0.125}


@given(TEXTS)
def test_it_is_pythons_arithmetic(text: str) -> None:
    try:
        formula = parse(text)
    except FormulaError as error:
        refused = error.reason
    else:
        refused = ""
    if refused:
        assert "constant zero" in refused or "names no metric" in refused
        return
    source = text.replace("recall[not urgent]", "r")
    try:
        expected = eval(source, {"__builtins__": {}}, {**VALUES, "r": 0.125})
    except ZeroDivisionError:
        expected = math.nan
    found = float(formula(VALUES))
    assert (math.isnan(found) and math.isnan(expected)) or found == pytest.approx(expected)
    drawn = formula({name: np.array([value, value]) for name, value in VALUES.items()})
    np.testing.assert_allclose(np.broadcast_to(drawn, 2), [found, found])


@given(TEXTS)
def test_a_weighted_sum_is_told_from_other_formulas(text: str) -> None:
    try:
        formula = parse(text)
    except FormulaError:
        return
    affine = formula.affine()
    if affine is None:
        return
    constant, factors = affine
    other = {name: value + 1.5 for name, value in VALUES.items()}
    for values in (VALUES, other):
        expected = constant + sum(factor * values[name] for name, factor in factors.items())
        assert float(formula(values)) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "something is missing"),
        ("1 + 2", 1, "names no metric"),
        ("accuracy / 0", 12, "constant zero"),
        ("accuracy / (2 - 2)", 12, "constant zero"),
        ("accuracy / (f1_macro - f1_macro)", 12, "constant zero"),
        ("accuracy +", 11, "something is missing"),
        ("accuracy f1_macro", 10, "'f1_macro' stands where"),
        ("(accuracy", 10, "a ) is missing"),
        ("accuracy)", 9, "closes nothing"),
        ("accuracy ** 2", 11, "'*' stands where"),
        ("__import__('os')", 1, "'_' has no place here"),
        ("accuracy; 1", 9, "';' has no place here"),
        ("1e999 * accuracy", 1, "too large a number"),
        ("(" * 60 + "accuracy" + ")" * 60, 52, "nested more than 50 deep"),
        ("accuracy + " * 100 + "1", 1000, "longer than 1,000 characters"),
    ],
)
def test_what_cannot_be_read(text: str, column: int, reason: str) -> None:
    with pytest.raises(FormulaError, match="formula") as caught:
        parse(text)
    assert caught.value.column == column
    assert reason in caught.value.reason
