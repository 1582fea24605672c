"""The section on writing: tables of measures, of raters and judges, texts side by side."""

from __future__ import annotations

from typing import Any

import pytest

from gradus.report import raters
from gradus.report.writing import correlations, measures, plots, writings

CRITERIA: dict[str, Any] = {
    "fluency": {
        "alpha": {
            "value": 0.61, "low": 0.4, "high": 0.75, "level": "ordinal", "units": 40, "raters": 3,
            "pairable": 118, "why": "",
        },
        "writers": {
            "base": {"value": 2.4, "low": 2.1, "high": 2.8, "ratings": 60},
            "human": {"value": 4.6, "low": 4.4, "high": 4.9, "ratings": 60},
        },
        "differences": [
            {"writer": "base", "other": "human", "value": -1.5, "low": -1.9, "high": -1.1}
        ],
        "raters": {
            "rater-1": {
                "leniency": {"value": -0.3, "low": -0.5, "high": -0.1},
                "spread": 0.9, "consistency": 0.62,
            }
        },
    },
    "accuracy": {
        "alpha": {
            "value": None, "low": None, "high": None, "level": "ordinal", "units": 0, "raters": 1,
            "pairable": 0, "why": "nothing was rated twice",
        },
        "writers": {},
        "raters": {},
    },
}  # fmt: skip
RATERS = {
    "rater-1": {
        "ratings": 40, "checks": 3, "passed": 3, "left_out": False, "median_seconds": 7.5
    },
    "rater-2": {
        "ratings": 40, "checks": 3, "passed": 1, "left_out": True, "median_seconds": None
    },
}  # fmt: skip


def measured(metric: str, writer: str, value: float | None, **more: Any) -> dict[str, Any]:
    return {
        "metric": metric, "checkpoint": writer, "value": value, "unit": "proportion",
        "direction": "higher", "n": 12, "ci_low": None if value is None else value - 0.1,
        "ci_high": None if value is None else value + 0.1, "ci_method": "", "level": 0.95,
        "data": "written", "split": "", "benchmark": "written.v1", "contract": {}, "items": None,
        **more,
    }  # fmt: skip


def cells(made: Any) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in made.rows]


def test_a_sign_says_how_a_writer_compares_with_people() -> None:
    taken = [
        measured("distinct_2", "base", 0.5),
        measured("distinct_2", "human", 0.9),
        measured("repetition", "base", 0.2, direction="lower"),
        measured("repetition", "human", 0.4, direction="lower"),
        measured("panel_fluency", "base", None, unit="points"),
    ]
    against = [
        {"checkpoint": "base", "metric": "distinct_2", "difference": -0.4, "significant": True},
        {"checkpoint": "base", "metric": "repetition", "difference": -0.2, "significant": True},
    ]
    made = measures(taken, against, ["base", "human"])
    assert made.titles == ("measure", "unit", "base", "human")
    assert cells(made) == [
        ["distinct_2", "proportion", "▼ 0.500 [0.400, 0.600]", "0.900 [0.800, 1.000]"],
        ["repetition ↓", "proportion", "▲ 0.200 [0.100, 0.300]", "0.400 [0.300, 0.500]"],
        ["panel_fluency", "points", "undefined", "–"],
    ]
    drawn = plots(taken, ["base", "human"])
    assert [plot.title for plot in drawn] == ["distinct_2", "repetition ↓"]


def test_correlations_stand_by_what_people_said() -> None:
    row = {
        "measure": "repetition", "score": "panel_fluency", "over": "writings", "value": -0.4,
        "method": "spearman", "ci_low": -0.6, "ci_high": -0.1, "level": 0.95, "n": 36,
        "prompts": 12, "direction": "lower",
    }  # fmt: skip
    rows = [row, {**row, "method": "kendall", "value": None}, {**row, "over": "writers"}]
    made = correlations(rows, "writings")
    assert cells(made) == [["repetition ↓", "36", "−0.400 [−0.600, −0.100]"]]
    # A measure of too few texts has no correlation, and no row.
    none = {**row, "measure": "unsupported", "value": None, "ci_low": None, "ci_high": None}
    assert cells(correlations([*rows, none], "writings")) == cells(made)


def test_what_people_said() -> None:
    told = raters.apart({"criteria": CRITERIA, "raters": RATERS, "mode": "likert", "each": 40})
    assert set(told) == {"criteria", "raters", "mode"}
    found = raters.rated({"id": "people", "step": "panel", "rated": told})
    assert found is not None
    tables = {title: cells(made) for title, made in found.tables}
    agreement, estimates, differences, each, ways = tables.values()
    assert agreement == [
        ["fluency", "0.610 [0.400, 0.750]", "ordinal", "3", "40", ""],
        ["accuracy", "–", "ordinal", "1", "0", "nothing was rated twice"],
    ]
    assert estimates[0][:2] == ["base", "2.400 [2.100, 2.800]"]
    assert differences == [["base", "human", "−1.500 [−1.900, −1.100]"]]
    assert each[0] == ["rater-1", "40", "3 of 3", "", "7.5 s"]
    assert "left out" in each[1]
    assert ways == [["rater-1", "fluency", "−0.300 [−0.500, −0.100]", "0.900", "0.620"]]


def test_what_being_shown_first_adds() -> None:
    ends = {"value": 0.2, "low": -0.1, "high": 0.5}
    told = {"mode": "pairs", "criteria": {"preference": {"first": ends, "ties": 0.25}}}
    found = raters.rated({"id": "people", "step": "panel", "rated": raters.apart(told)})
    assert found is not None
    ((title, made),) = found.tables
    assert title == "What being shown first adds, log-odds"
    assert cells(made) == [["preference", "0.200 [−0.100, 0.500]", "0.250"]]


def test_what_a_judge_adds() -> None:
    of = {"value": 0.7, "low": 0.55, "high": 0.8, "n": 30, "bound": 0.6, "met": False}
    told = {
        "criteria": CRITERIA,
        "trust": {"judge_fluency": {**of, "panel": "people", "measure": "Spearman"}},
        "bias": {
            "first": {"value": 0.6, "low": 0.5, "high": 0.7},
            "fluency": {"turned": {"value": 0.1, "low": None, "high": None}},
        },
    }
    found = raters.rated({"id": "opinion", "step": "judge", "rated": raters.apart(told)})
    assert found is not None
    tables = dict(found.tables)
    assert "✕ no" in cells(tables["Agreement with the panel, as gates ask for it"])[0]
    assert cells(tables["What the way of asking does to answers"]) == [
        ["pairs", "first", "0.600 [0.500, 0.700]"],
        ["fluency", "turned", "0.100"],
    ]


@pytest.mark.parametrize("facts", [{}, {"criteria": ["fluency"]}, {"criteria": {"a": "b"}}])
def test_other_steps_facts_stay_where_they_are(facts: dict[str, Any]) -> None:
    assert raters.apart(facts) == {}
    assert raters.rated({"id": "a", "step": "b", "rated": {}}) is None


def test_a_run_without_writings_has_no_such_section() -> None:
    assert writings({"steps": [{"id": "tuned", "written": {}, "measurements": []}]}) == []
