"""What the report says of looks and optimism, in both renderers."""

from __future__ import annotations

from typing import Any

from gradus.report.html import html
from gradus.report.looks import looks, optimism
from gradus.report.markdown import markdown


def row(value: float, low: float, high: float) -> dict[str, Any]:
    half = {"value": 0.9, "ci_low": 0.85, "ci_high": 0.93, "n": 200}
    return {
        "checkpoint": "tuned",
        "data": "news",
        "metric": "accuracy",
        "unit": "proportion",
        "select": half,
        "gate": {**half, "value": 0.9 - value},
        "optimism": value,
        "ci_low": low,
        "ci_high": high,
    }


def test_looks_and_optimism_stand_in_both_pages(known: dict[str, Any]) -> None:
    steps = [{**known["steps"][0], "optimism": [row(0.05, 0.01, 0.09)]}, *known["steps"][1:]]
    of = {"news": {"dev.gate": 4, "dev.select": 12, "test": 1}, "old": {}}
    shown = {**known, "looks": of, "steps": steps}
    (said,) = looks(shown)
    assert said == (
        "news: dev.gate has been looked at 4 times, test 1 time, "
        "12 configurations have been compared on dev.select."
    )
    for page in (html(shown), markdown(shown)):
        assert said in page
        assert "optimistic" in page
    assert str(optimism(shown).rows[0][4]).startswith("+0.05")


def test_only_a_significant_difference_is_called_one(known: dict[str, Any]) -> None:
    for value, low, high, word in (
        (0.05, 0.01, 0.09, "▲ optimistic"),
        (0.05, -0.01, 0.09, "≈ not significant"),
        (-0.05, -0.09, -0.01, "▼ pessimistic"),
    ):
        steps = [{**known["steps"][0], "optimism": [row(value, low, high)]}]
        assert str(optimism({**known, "steps": steps}).rows[0][-1]) == word
    assert not looks({**known, "looks": {}})
