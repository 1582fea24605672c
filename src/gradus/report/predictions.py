"""What item files say: who was taken for whom, and the worst errors in full. Counting only."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from gradus.errors import CheckpointError
from gradus.records import State
from gradus.report.reading import Fact, by_step, is_cost

WORST = 12
PAIRS = 15
LONGEST = 20_000


def predictions(run_folder: Path, known: Fact) -> list[Fact]:
    """Counts and worst errors for each checkpoint: on test where it was read, else on dev.gate.

    The best checkpoint stands first and is the only one whose errors are kept in full.

    Raises:
        CheckpointError: an item file is missing or broken, and its step didn't fail.
    """
    _all_present(run_folder, known["steps"])
    chosen: dict[tuple[str, str], Fact] = {}
    for group in known["final"]:
        _choose(chosen, group["measurements"])
    for step in known["steps"]:
        _choose(chosen, by_step(step))
    best = (known["best"] or {}).get("checkpoint")
    ordered = sorted(chosen.values(), key=lambda m: m["checkpoint"] != best)
    present = [m for m in ordered if (run_folder / m["items"]).exists()]
    return [_read(run_folder, m, known["steps"], full=i == 0) for i, m in enumerate(present)]


def _choose(chosen: dict[tuple[str, str], Fact], measurements: list[Fact]) -> None:
    for m in measurements:
        if m["items"] and not is_cost(m) and not m["benchmark"].startswith("parity"):
            chosen.setdefault((m["checkpoint"], m["data"]), m)


def _all_present(run_folder: Path, steps: list[Fact]) -> None:
    for step in steps:
        for path in sorted({m["items"] for m in step["measurements"] if m["items"]}):
            if not (run_folder / path).exists() and step["state"] != State.FAILED:
                raise CheckpointError(
                    f"{run_folder / path}: the item file of step '{step['id']}' is missing; "
                    "run the plan again with --fresh to measure anew"
                )


def _read(run_folder: Path, m: Fact, steps: list[Fact], full: bool) -> Fact:
    from gradus.metrics.items import read_items

    items, texts = read_items(run_folder / m["items"])
    labels = list(items.labels)
    pairs = list(zip(items.gold.tolist(), items.predicted.tolist(), strict=True))
    counts = Counter(pairs)
    gold, predicted = Counter(g for g, _ in pairs), Counter(p for _, p in pairs)
    wrong = [i for i, (g, p) in enumerate(pairs) if g != p]
    confused = sorted((-c, g, p) for (g, p), c in counts.items() if g != p)
    return {
        "checkpoint": m["checkpoint"],
        "data": m["data"],
        "split": m["split"],
        "items": m["items"],
        "n": len(pairs),
        "wrong": len(wrong),
        "labels": labels,
        "counts": sorted([g, p, c] for (g, p), c in counts.items()),
        "pairs": [
            {"gold": labels[g], "predicted": labels[p], "count": -c, "of": gold[g]}
            for c, g, p in confused[:PAIRS]
        ],
        "classes": [
            {
                "label": label,
                "gold": gold[k],
                "predicted": predicted[k],
                "correct": counts[(k, k)],
                "measured": _measured(steps, m, label),
            }
            for k, label in enumerate(labels)
        ],
        "ranked": items.log_probs is not None,
        "worst": _worst(items, texts, wrong) if full else [],
    }


def _measured(steps: list[Fact], like: Fact, label: str) -> Fact:
    """Metrics of one label (``f1[label]``) measured on the same checkpoint, data and split."""
    place = ("checkpoint", "data", "split")
    return {
        m["metric"].removesuffix(f"[{label}]"): {
            k: m[k] for k in ("value", "unit", "ci_low", "ci_high")
        }
        for step in steps
        for m in step["measurements"]
        if m["metric"].endswith(f"[{label}]") and all(m[k] == like[k] for k in place)
    }


def _worst(items: Any, texts: list[str], wrong: list[int]) -> list[Fact]:
    """The errors made with the greatest probability; in file order where there are none."""

    def probability(i: int) -> float | None:
        if items.log_probs is None:
            return None
        return math.exp(float(items.log_probs[i][items.predicted[i]]))

    rows = [(probability(i), i) for i in wrong]
    rows.sort(key=lambda row: (-(row[0] or 0.0), row[1]))
    return [
        {
            "id": items.ids[i] if items.ids else None,
            "gold": items.labels[items.gold[i]],
            "predicted": items.labels[items.predicted[i]],
            "probability": p,
            "text": texts[i][:LONGEST],
            "left_out": max(0, len(texts[i]) - LONGEST),
        }
        for p, i in rows[:WORST]
    ]
