"""What the audits of the data found: findings, measurements, tests and the pairs most alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradus.report.format import NONE, number, p_value
from gradus.report.reading import Fact
from gradus.report.tables import Cell, Table, Tone, make, measured

SHOWN = 5
SIGNS: dict[str, str] = {"bad": "✕", "warn": "!", "good": "✓"}
TONES: dict[str, Tone] = {"bad": "bad", "warn": "warn", "good": "good"}


@dataclass(frozen=True, slots=True)
class AuditShown:
    """One data set's audit as renderers show it.

    Attributes:
        findings: sign, tone and sentence.
        measurements: a row for each.
        drift: a row for each test.
        truncated: steps that cut texts to their model's window.
        pairs: groups of (title, how many in all, the first of them).
        notes: sentences.
    """

    findings: tuple[tuple[str, Tone, str], ...]
    measurements: Table
    drift: Table
    truncated: Table
    pairs: tuple[tuple[str, int, list[Fact]], ...]
    notes: tuple[str, ...]


def audits(known: Fact) -> dict[str, AuditShown]:
    """The audit of each data set that has one, by name."""
    return {
        name: _shown(facts["audit"], facts.get("measurements", ()), _truncated(known, name))
        for name, facts in known["data"].items()
        if facts.get("audit")
    }


def _shown(found: Fact, everything: Any, truncated: Table) -> AuditShown:
    counts = found["counts"]
    groups = [
        ("Near-duplicates across splits", counts.get("pairs", 0), found["pairs"]),
        ("Near-duplicates under two labels", counts.get("conflicts", 0), found["conflicts"]),
    ]
    return AuditShown(
        findings=tuple(
            (SIGNS.get(f["tone"], ""), TONES.get(f["tone"], ""), f["text"])
            for f in found["findings"]
        ),
        measurements=_measurements(found["measurements"]),
        drift=_drift(found["drift"]),
        truncated=truncated,
        pairs=tuple((title, total, list(rows[:SHOWN])) for title, total, rows in groups if rows),
        notes=tuple(found["notes"]),
    )


def _measurements(found: Any) -> Table:
    spec = [("measurement", False), ("value", True), ("n", True), ("interval by", False)]
    rows = [
        (
            Cell(m["metric"]),
            measured(m),
            Cell(number(m["n"])),
            Cell(m["ci_method"] if m["ci_low"] is not None else NONE),
        )
        for m in found
    ]
    return make(spec, rows)


def _drift(found: Any) -> Table:
    spec = [("drift of", False), ("split", False), ("against", False), ("distance", True)]
    spec += [("p", True), ("corrected", True), ("test", False)]
    rows = [
        (
            Cell(d["of"]),
            Cell(d["split"]),
            Cell(d["against"]),
            Cell(number(d["effect"], "proportion")),
            Cell(_p(d["p"])),
            Cell(_p(d["p_corrected"])),
            Cell(d["test"]),
        )
        for d in found
    ]
    return make(spec, rows)


def _p(value: float | None) -> str:
    return p_value(value).removeprefix("p ").removeprefix("= ") or NONE


def _truncated(known: Fact, data: str) -> Table:
    """Steps on this data set that say which share of its texts their model's window cut."""
    spec = [("step", False), ("texts cut to its window", True)]
    rows = [
        (Cell(step["id"]), Cell(number(share, "proportion")))
        for step in known["steps"]
        for share in [_find(step["facts"])]
        if share is not None and data in (_data_of(step) or [data])
    ]
    return make(spec, rows)


def _data_of(step: Fact) -> list[str]:
    return list(dict.fromkeys(m["data"] for m in step["measurements"] if m["data"]))


def _find(facts: Any) -> float | None:
    """``truncated_share`` of a step's facts, wherever it stands in them."""
    if isinstance(facts, dict):
        share = facts.get("truncated_share")
        if isinstance(share, int | float):
            return float(share)
        facts = list(facts.values())
    if isinstance(facts, list):
        found = [share for value in facts for share in [_find(value)] if share is not None]
        return found[0] if found else None
    return None
