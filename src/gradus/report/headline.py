"""The sentences at the top: where the run stands, what is best, what each step brought."""

from __future__ import annotations

from typing import Any

from gradus.report.format import count, duration, interval, number, p_value, quantity, signed
from gradus.report.reading import (
    Fact,
    all_gates,
    by_step,
    directions,
    find,
    on_file,
    significance,
    units,
)

LONGEST = 160  # characters
_DONE = ("done", "reused")


def best(known: Fact) -> Fact | None:
    """The checkpoint with the best main metric on dev.gate, so that test doesn't choose.

    Checkpoints of steps that are done come before those behind a closed gate. Without any value
    on dev.gate the final measurements choose, and `chosen_on` says so. Ties go to the first.
    """
    main = known["main"]
    if main is None:
        return None
    name, sign = main["metric"], 1 if main["direction"] == "higher" else -1

    def usable(m: Fact) -> bool:
        return m["metric"] == name and m["value"] is not None

    after = [(s["state"] in _DONE, m) for s in known["steps"] for m in by_step(s) if usable(m)]
    ranked = [(d, m) for d, m in after if m["split"] == "dev.gate"] or after
    if not ranked:
        ranked = [(True, m) for g in known["final"] for m in g["measurements"] if usable(m)]
    if not ranked:
        return None
    _, chosen = max(ranked, key=lambda row: (row[0], sign * row[1]["value"]))
    test = [m for g in known["final"] if g["split"] == "test" for m in g["measurements"]]
    return {
        "checkpoint": chosen["checkpoint"],
        "chosen_on": chosen["split"],
        "measurement": chosen,
        "test": find(test, name, chosen["checkpoint"]),
    }


def headline(known: Fact) -> dict[str, Any]:
    """``{"state": sentence, "best": sentence or None, "brought": [sentences]}``."""
    return {
        "state": _state(known),
        "best": _best_sentence(known),
        "brought": [s for step in known["steps"] for s in _brought(step, known)],
    }


def _named(known: Fact, *states: str) -> list[str]:
    return [s["id"] for s in known["steps"] if s["state"] in states]


def _state(known: Fact) -> str:
    run, steps = known["run"], known["steps"]
    if not steps:
        return f"The run of {run['plan']} is {run['state']}; no step is recorded."
    done = f"{len(_named(known, *_DONE))} of {count(len(steps), 'step')} done"
    text = {
        "done": f"The run is done: {done} in {duration(run['seconds'])}.",
        "closed": f"The run ended at a closed gate, {done}.",
        "failed": f"The run failed, {done}.",
        "waiting": f"The run waits for people, {done}; running the plan again continues it.",
        "interrupted": f"The run was interrupted, {done}; running the plan again continues it.",
        "running": f"The run is going on, {done}.",
        "pending": f"The run has not begun: {count(len(steps), 'step')} pending.",
    }.get(run["state"], f"The run is {run['state']}, {done}.")
    return " ".join([text, *_where(known)])


def _where(known: Fact) -> list[str]:
    """Which steps stand in the way, and why."""
    said = [
        f"{name} is closed by \u201c{g['gate']}\u201d."
        for name, g in all_gates(known)
        if name.startswith("data.") and g["verdict"] == "closed"
    ]
    for step in known["steps"]:
        closed = [g["gate"] for g in step["gates"] if g["verdict"] == "closed"]
        if step["state"] == "failed":
            reason = (step["error"] or "no message was kept").strip().splitlines()[0]
            said.append(f"{step['id']} failed: {_cut(reason)}")
        elif closed:
            quoted = ", ".join(f"\u201c{g}\u201d" for g in closed)
            said.append(f"{step['id']} is closed by {quoted}.")
        elif step.get("waiting"):
            said.append(f"{step['id']} waits: {step['waiting']['why']}.")
        elif step["state"] in ("waiting", "interrupted", "running"):
            said.append(f"{step['id']} is {step['state']}.")
    skipped = _named(known, "skipped")
    if skipped:
        said.append(f"Skipped behind that: {', '.join(skipped)}.")
    return said


def _cut(reason: str) -> str:
    """The first line of an error, not longer than a headline; the whole stands below it."""
    return f"{reason.rstrip('.')}." if len(reason) <= LONGEST else f"{reason[:LONGEST]}\u2026"


def _best_sentence(known: Fact) -> str | None:
    chosen = known["best"]
    if chosen is None:
        return None
    m = chosen["test"] or chosen["measurement"]
    value = f"{m['metric']} {quantity(m['value'], m['unit'])}"
    bounds = interval(m["ci_low"], m["ci_high"], m["unit"])
    text = f"{chosen['checkpoint']} is the best checkpoint: {value} {bounds}".rstrip()
    text += f" on {m['split']}"
    if m["split"] != chosen["chosen_on"]:
        return f"{text}, chosen on {chosen['chosen_on']}."
    return f"{text}." if m["split"] == "test" else f"{text}; test was not read for it."


def _brought(step: Fact, known: Fact) -> list[str]:
    """What the step changed in the main metric, and what benchmarks on files said after it."""
    main, said = known["main"], []
    for change in step["changes"] if main is not None else ():
        if change.get("metric") != main["metric"] or change.get("difference") is None:
            continue
        said.append(_change_sentence(step, change, known))
    return said + _asked(step)


def _asked(step: Fact) -> list[str]:
    """A sentence a benchmark on a file: the metric that it compares, of every checkpoint."""
    said = []
    for about in {row["name"]: row for row in step.get("benchmarks") or ()}.values():
        metric = next(iter(about["compared"]), None)
        values = [
            f"{m['checkpoint']} {quantity(m['value'], m['unit'])} "
            f"{interval(m['ci_low'], m['ci_high'], m['unit'])}".rstrip()
            for m in step["measurements"]
            if on_file(m)
            and (m["data"], m["metric"]) == (about["name"], metric)
            and m["value"] is not None
        ]
        if values:
            said.append(f"{about['name']}, {metric}: {', '.join(values)}.")
    return said


def _change_sentence(step: Fact, change: Fact, known: Fact) -> str:
    metric = change["metric"]
    unit = units(known["steps"]).get(metric, "")
    meaning = {
        "better": "a significant gain",
        "worse": "a significant loss",
        "different": "a significant difference",
        "same": "not significant",
        "untested": "not tested",
    }[significance(change, directions(known["steps"]).get(metric))]
    bounds = interval(change.get("ci_low"), change.get("ci_high"), unit)
    details = ", ".join(x for x in (meaning, p_value(change.get("p_value"))) if x)
    n = change.get("n")
    details += f", n\u00a0=\u00a0{number(n)}" if n else ""
    difference = signed(change["difference"], unit)
    against = change.get("against", "the step before")
    return f"{step['id']}: {metric} {difference} {bounds} against {against} ({details})."
