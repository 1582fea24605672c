"""The section of cross-validation: tables, bars, and that texts stay texts in both renderers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradus.records import State
from gradus.report import facts, write_report
from gradus.report.charts.bars import Part, stacked
from gradus.report.crossval import SHOWN, crossvals

from .pages import HOSTILE
from .runs import step
from .sample import Sample


def way(name: str, values: list[list[float]], **components: float | None) -> dict[str, Any]:
    mean = sum(sum(row) / len(row) for row in values) / len(values)
    parts = {"seeds": None, "folds": 4e-4, "items": 1e-4, "training": 3e-4}
    return {
        "name": name,
        "step": "baseline",
        "value": mean,
        "low": mean - 0.05,
        "high": mean + 0.05,
        "values": values,
        "seconds": 1.25,
        "components": {**parts, **components},
    }


def pair(first: str, second: str, **more: Any) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "difference": -0.04,
        "low": -0.07,
        "high": -0.01,
        "p_value": 0.02,
        "p_holm": 0.02,
        "significant": True,
        **more,
    }


def told(name: str = "words", **more: Any) -> dict[str, Any]:
    naive = {"low": -0.06, "high": -0.02, "p_value": 0.001}
    return {
        "metric": "accuracy",
        "unit": "proportion",
        "direction": "higher",
        "level": 0.95,
        "data": "news",
        "items": 90,
        "folds": 3,
        "repeats": 1,
        "seeds_per_fold": 1,
        "scheme": "stratified",
        "group": None,
        "near_duplicates": True,
        "groups": 80,
        "cells": [
            {"repeat": 1, "fold": k, "train": 54, "select": 6, "held": 30} for k in (1, 2, 3)
        ],
        "configurations": [
            way(name, [[0.8], [0.7], [0.75]]),
            way("letters", [[0.8], [0.8], [0.77]], seeds=1e-4),
        ],
        "components_method": "moments",
        "tests": [pair(name, "letters", naive=naive, count=3, factor=0.83)],
        "tests_assume": "of two ways of training",
        "item_tests": [pair(name, "letters", test="exact McNemar", n=90)],
        "item_tests_assume": "of the predictions that were made",
        "chosen": [{"configuration": name, "repeat": 1, "fold": 1, "seed": 1, "chosen": "C 10.0"}],
        "winner": "letters",
        "refit": "all",
        "predictions": "out-of-fold.parquet",
        "doubts": {
            "configuration": "letters",
            "file": "doubts.jsonl",
            "found": 2,
            "expected": 3.2,
            "items": 90,
            "listed": [
                {
                    "id": "00",
                    "text": HOSTILE,
                    "label": HOSTILE,
                    "suggested": "sport",
                    "probability": 0.1,
                    "probability_suggested": 0.8,
                    "margin": -0.7,
                }
            ],
            "labels": [
                {"label": "sport", "items": 90, "doubted": 2, "expected": 3.2, "threshold": None}
            ],
        },
        **more,
    }


def test_both_renderers_show_it_and_texts_stay_texts(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    known = [step("folds", "crossval.v1", facts=told(HOSTILE))]
    folder = sample.write(sample.record(State.DONE, known))
    write_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    plain = (folder / "report.md").read_text(encoding="utf-8")
    assert '<section id="crossval">' in page
    assert '<a href="#crossval">' in page
    assert HOSTILE not in page
    assert "## Cross-validation: folds" in plain
    assert "Labels most likely wrong" in page
    # What the section shows isn't told again among what steps recorded.
    assert set(told()) <= set(SHOWN)
    assert "What folds recorded" not in plain
    assert crossvals(facts(folder))


def test_what_the_page_shows() -> None:
    (shown,) = crossvals({"steps": [{"id": "folds", "step": "crossval", "facts": told()}]})
    assert "90 items of news.train in 3 folds, stratified by label, near-duplicates" in shown.about
    assert [row[0].text for row in shown.values.rows] == ["words", "letters"]
    assert shown.values.rows[1][0].sign == "✓"
    assert len(shown.folds.rows) == 3
    (verdict,) = [cell for cell in shown.tests.rows[0] if cell.sign]
    assert verdict.text == "significant loss"
    assert "by seeds" in shown.components.titles
    assert shown.components.rows[0][1].text == "–"
    assert shown.components.rows[1][1].small == "20%"
    assert [cell.text for cell in shown.chosen.rows[0]] == ["words", "1", "1", "1", "C 10.0"]
    assert "2 labels of 90" in shown.doubts_said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"refit": "ensemble"}, "averages what the folds' checkpoints of letters say"),
        ({"refit": "none"}, "no checkpoint was made"),
        ({"repeats": 4, "seeds_per_fold": 2}, "repeated 4 times, 2 trainings in each"),
        ({"group": "author"}, "grouped by author"),
    ],
)
def test_how_it_was_done(change: dict[str, Any], said: str) -> None:
    known = {"steps": [{"id": "folds", "step": "crossval", "facts": told(**change)}]}
    (shown,) = crossvals(known)
    assert said in shown.about


def test_what_was_not_looked_for() -> None:
    known = told(doubts={"why_not": "these have 'number'"}, tests=[], item_tests=[])
    (shown,) = crossvals({"steps": [{"id": "folds", "step": "crossval", "facts": known}]})
    assert shown.doubts_said == "No labels were doubted: these have 'number'."
    assert not shown.tests
    assert not shown.doubted
    assert crossvals({"steps": [{"id": "folds", "step": "crossval", "facts": {}}]}) == []


def test_a_bar_is_parted_by_shares() -> None:
    parts = [Part("a", 3.0, 1, "a 3"), Part("b", 0.0, 2, "b 0"), Part("c", 1.0, 3, "c 1")]
    drawn = str(stacked("x", parts))
    assert drawn.count("<rect") == 2
    assert 'x="75%"' in drawn
    assert "<rect" not in str(stacked("x", [Part("a", 0.0, 1, "a 0")]))
