"""What the report shows of an audit."""

from __future__ import annotations

from typing import Any

from gradus.report.audits import SHOWN, audits


def known(step_facts: dict[str, Any]) -> dict[str, Any]:
    pair = {
        "similarity": 0.91,
        "first": {"split": "train", "label": "a", "text": "one <b>"},
        "second": {"split": "test", "label": None, "text": "two"},
    }
    drift = {"of": "labels", "split": "test", "against": "train", "effect": 0.1, "test": "t"}
    found = {
        "findings": [{"tone": "bad", "about": "leak", "text": "leaks"}],
        "measurements": [],
        "drift": [{**drift, "p": 0.0001, "p_corrected": 0.034}],
        "pairs": [pair] * (SHOWN + 2),
        "conflicts": [],
        "counts": {"pairs": 40, "conflicts": 0},
        "notes": ["sampled"],
    }
    step = {"id": "tuned", "facts": step_facts, "measurements": [{"data": "news"}]}
    return {"data": {"news": {"audit": found}, "other": {}}, "steps": [step]}


def test_findings_tests_and_pairs() -> None:
    shown = audits(known({}))
    assert list(shown) == ["news"]
    assert shown["news"].findings == (("✕", "bad", "leaks"),)
    (row,) = shown["news"].drift.rows
    assert [cell.text for cell in row][3:6] == ["0.100", "< 0.001", "0.034"]
    ((title, total, pairs),) = shown["news"].pairs
    assert (title, total, len(pairs)) == ("Near-duplicates across splits", 40, SHOWN)
    assert not shown["news"].truncated


def test_texts_that_a_step_cut_are_told_beside_its_data() -> None:
    facts = {"stages": [{"train": "all"}], "tokens": {"truncated_share": 0.25}}
    (row,) = audits(known(facts))["news"].truncated.rows
    assert [cell.text for cell in row] == ["tuned", "0.250"]
    elsewhere = known(facts)
    elsewhere["steps"][0]["measurements"] = [{"data": "other"}]
    assert not audits(elsewhere)["news"].truncated
