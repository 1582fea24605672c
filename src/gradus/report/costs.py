"""The tables of cost, data, readings and environment."""

from __future__ import annotations

from typing import Any

from gradus.report.format import NONE, duration, number, percent, plain
from gradus.report.reading import Fact, checkpoints, columns, is_cost, key_of
from gradus.report.tables import Cell, Table, make, measured, state

_TOLD = ("seconds", "train_tokens", "tokens_per_second", "ceiling_share", "peak_memory_mb", "flops")
_ABOUT = {"optimistic": "halves of dev joined"}


def of_steps(known: Fact) -> Table:
    """What each step cost to run."""
    spec = [("step", False), ("state", False), ("time", True), ("tokens", True)]
    spec += [("tokens/s", True), ("share of ceiling", True), ("peak memory MB", True)]
    spec += [("TFLOP", True), ("also", False)]
    rows = []
    for step in known["steps"]:
        cost = step["cost"]
        rest = {k: v for k, v in cost.items() if k not in _TOLD and v not in (None, False)}
        rows.append(
            (
                Cell(step["id"], step["step"]),
                state(step["state"]),
                Cell(_time(cost.get("seconds", step["seconds"]))),
                Cell(_number(cost.get("train_tokens"))),
                Cell(_number(cost.get("tokens_per_second"))),
                Cell(_share(cost.get("ceiling_share"))),
                Cell(_number(cost.get("peak_memory_mb"))),
                Cell(_flops(cost.get("flops"))),
                Cell(", ".join(f"{k.replace('_', ' ')} {plain(v)}" for k, v in rest.items())),
            )
        )
    return make(spec, rows)


def _number(value: Any) -> str:
    return number(value) if isinstance(value, int | float) else plain(value)


def _time(value: Any) -> str:
    return duration(value) if isinstance(value, int | float) and value > 0 else NONE


def _share(value: Any) -> str:
    return percent(value) if isinstance(value, int | float) else plain(value)


def _flops(value: Any) -> str:
    return number(value / 1e12) if isinstance(value, int | float) else NONE


def of_checkpoints(known: Fact) -> Table:
    """What each checkpoint costs to use: latency, throughput, memory, size."""
    found = [m for step in known["steps"] for m in step["measurements"] if is_cost(m)]
    heads = columns(found)
    cells = {(m["checkpoint"], key_of(m)): m for m in found}
    rows = [
        [Cell(name)] + [measured(cells.get((name, k))) for _, k in heads]
        for name in checkpoints(found)
    ]
    return make([("checkpoint", False), *((title, True) for title, _ in heads)], rows)


def data(known: Fact) -> list[tuple[str, Table, list[tuple[str, str]]]]:
    """For each data set: its name, the table splits x labels, and what else is known of it."""
    return [
        (name, _splits(facts), _about(name, facts, known)) for name, facts in known["data"].items()
    ]


def _splits(facts: Fact) -> Table:
    splits = facts.get("splits") or {}
    labels = list(dict.fromkeys(label for s in splits.values() for label in s.get("labels") or {}))
    spec = [("label", False), *((name, True) for name in splits)]
    total = [Cell("all rows"), *(Cell(_number(s.get("rows"))) for s in splits.values())]
    rows = [total] + [
        [Cell(label), *(Cell(number(s.get("labels", {}).get(label, 0))) for s in splits.values())]
        for label in labels
    ]
    return make(spec, rows if splits else [])


def _about(name: str, facts: Fact, known: Fact) -> list[tuple[str, str]]:
    """Named values of a data set; what stands elsewhere in the report or is empty is left out."""
    audited = {m["metric"] for m in (facts.get("audit") or {}).get("measurements", ())}
    told = [
        (_ABOUT.get(key, key.replace("_", " ")), flat(value))
        for key, value in facts.items()
        if key not in ("splits", "notes", "gates", "measurements", "audit")
        and value not in (None, [], {}, "")
    ]
    told += [
        (m["metric"].replace("_", " "), str(measured(m)))
        for m in facts.get("measurements", ())
        if m["metric"] not in facts and m["metric"] not in audited
    ]
    return [*told, ("readings of test", plain(known["readings"].get(name, 0)))]


def flat(value: Any) -> str:
    """A value as text; of mappings only what they hold, without a lone ``all``."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if v not in (None, [], {}, "")}
        value = kept["all"] if list(kept) == ["all"] else kept
    return plain(value)


def environment(known: Fact) -> list[tuple[str, str]]:
    """Versions, processor, threads and measured ceilings."""
    told: list[tuple[str, str]] = []
    for name, value in known["environment"].items():
        if name == "ceilings" and isinstance(value, dict):
            told += [_ceiling(kind, v) for kind, v in value.items()]
        else:
            told.append((name.replace("_", " "), plain(value)))
    return told


def _ceiling(kind: str, value: Any) -> tuple[str, str]:
    titles = {
        "matmul_gflops": "matrix product, GFLOP/s",
        "bandwidth_gb_s": "memory bandwidth, GB/s",
    }
    return titles.get(kind, kind.replace("_", " ")), plain(value)


def published(known: Fact) -> Table:
    """Figures as published elsewhere, with their source; none of them was measured here."""
    rows = known["published"]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    spec = [(k.replace("_", " "), k == "value") for k in keys]
    return make(spec, [[Cell(plain(row.get(k))) for k in keys] for row in rows])


def models(known: Fact) -> Table:
    """The models that the plan began with."""
    spec = [("model", False), ("kind", False), ("from", False), ("digest", False)]
    return make(
        spec,
        [
            (
                Cell(m["name"]),
                Cell(m["kind"]),
                Cell(plain(m["origin"])),
                Cell(plain(m["digest"])),
            )
            for m in known["models"]
        ],
    )
