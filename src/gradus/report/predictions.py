"""What item files say: who was taken for whom, and the worst errors in full. Counting only."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from gradus.errors import CheckpointError
from gradus.records import State
from gradus.report.reading import Fact, by_step, is_cost, on_corpus

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
        apart = m["benchmark"].startswith("parity") or on_corpus(m)
        if m["items"] and not is_cost(m) and not apart:
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
    from gradus.metrics.items import read_seen
    from gradus.metrics.repeated import Repeated, one_of

    seen, texts = read_seen(run_folder / m["items"])
    items = one_of(seen)
    # Of a repeated step one checkpoint's items are shown, by that checkpoint's own name.
    seed = f".seed{seen.chosen + 1}" if isinstance(seen, Repeated) else ""
    wrong = (~items.right()).nonzero()[0].tolist()
    shown = [items.described(i) for i in range(len(items))] if full else []
    worst = _worst(items, texts, wrong, shown)
    return {
        "checkpoint": m["checkpoint"] + seed,
        "data": m["data"],
        "split": m["split"],
        "items": m["items"],
        "n": len(items),
        "wrong": len(wrong),
        "labels": list(items.labels),
        **_confusion(items, steps, m),
        "ranked": any(w["probability"] is not None for w in worst),
        "worst": worst,
    }


def _confusion(items: Any, steps: list[Fact], m: Fact) -> Fact:
    """Who was taken for whom, where an item has one label or spans; else counts are left empty."""
    labels = list(items.labels)
    if items.target == "spans":
        return _confused_spans(items, steps, m)
    if items.target != "label":
        measured = {label: _measured(steps, m, label) for label in labels}
        return {
            "counts": [],
            "pairs": [],
            "classes": [
                {"label": label, "gold": None, "predicted": None, "correct": None, "measured": of}
                for label, of in measured.items()
                if of
            ],
        }
    pairs = list(zip(items.gold.tolist(), items.predicted.tolist(), strict=True))
    counts = Counter(pairs)
    gold, predicted = Counter(g for g, _ in pairs), Counter(p for _, p in pairs)
    confused = sorted((-c, g, p) for (g, p), c in counts.items() if g != p)
    return {
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
    }


def _confused_spans(items: Any, steps: list[Fact], m: Fact) -> Fact:
    """Spans by type, and what those that weren't found were taken for."""
    counts = items.counts()
    of = {label: int(counts.gold[k]) for k, label in enumerate(items.labels)}
    confused = sorted(items.confused().items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "counts": [],
        "pairs": [
            {"gold": gold, "predicted": predicted, "count": count, "of": of.get(gold)}
            for (gold, predicted), count in confused[:PAIRS]
        ],
        "classes": [
            {
                "label": label,
                "gold": of[label],
                "predicted": int(counts.predicted[k]),
                "correct": int(counts.hits[k]),
                "measured": _measured(steps, m, label),
            }
            for k, label in enumerate(items.labels)
        ],
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


def _worst(items: Any, texts: list[str], wrong: list[int], shown: list[Any]) -> list[Fact]:
    """The errors made with the greatest probability; in file order where there are none."""
    if not shown:
        return []
    wrong.sort(key=lambda i: (-(shown[i][2] or 0.0), i))
    return [
        {
            "id": items.ids[i] if items.ids else None,
            "gold": shown[i][0],
            "predicted": shown[i][1],
            "probability": shown[i][2],
            "text": texts[i][:LONGEST],
            "left_out": max(0, len(texts[i]) - LONGEST),
        }
        for i in wrong[:WORST]
    ]
