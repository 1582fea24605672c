"""A run as scripts read it, and as a person reads it in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradus import benchmarks
from gradus.errors import (
    EXIT_CLOSED,
    EXIT_DONE,
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_WAITING,
    UsageError,
    unknown,
)
from gradus.records import Measurement, RunRecord, State, StepRecord
from gradus.registry import plain
from gradus.runner.store import RunFolder

SHOWN_TOO = ("ece", "latency_p50_ms", "size_mb")
_CODES = {
    State.CLOSED: EXIT_CLOSED,
    State.WAITING: EXIT_WAITING,
    State.FAILED: EXIT_ERROR,
    State.INTERRUPTED: EXIT_INTERRUPTED,
}


def exit_code(record: RunRecord) -> int:
    """The exit code of `gradus run` for a run in this state."""
    return _CODES.get(record.state, EXIT_DONE)


def find_run(name: str, runs_dir: Path) -> tuple[RunFolder, RunRecord]:
    """The run that `name` stands for: a folder, or a name in `runs_dir`.

    Raises:
        UsageError: there is no such run; names near ones.
    """
    for path in (Path(name), runs_dir / name):
        folder = RunFolder(path.resolve())
        record = folder.load()
        if record is not None:
            return folder, record
    known = [p.parent.name for p in runs_dir.glob("*/run.json")]
    raise UsageError(f"{unknown('run', name, known)} (looked for {name} and {runs_dir / name})")


def run_json(record: RunRecord, folder: Path) -> dict[str, Any]:
    """The stable form that `gradus run --json` and `gradus show --json` print.

    `step` is the kind as plans write it, `kind` the same with its version; `checkpoint` is a
    folder that `gradus predict` takes; `items` of a measurement is relative to `run`; `waiting`
    says of a step that waits for people whom, what opens the way for them, and where they go.
    """
    return {
        "run": str(folder),
        "plan": record.plan,
        "state": str(record.state),
        "steps": [_step_json(step, folder) for step in record.steps],
        "readings": dict(record.readings),
        "looks": {name: dict(of) for name, of in record.looks.items()},
    }


def _step_json(step: StepRecord, folder: Path) -> dict[str, Any]:
    return {
        "id": step.id,
        "step": plain(step.step),
        "kind": step.step,
        "state": str(step.state),
        "checkpoint": None if step.checkpoint is None else str(folder / step.checkpoint),
        "seconds": step.seconds,
        "measurements": [m.to_json() for m in step.measurements],
        "gates": [v.to_json() for v in step.gates],
        "error": step.error,
        "waiting": None if step.waiting is None else step.waiting.to_json(),
    }


def waiting_lines(record: RunRecord) -> list[str]:
    """For each step that waits for people: whom, the command and the link; then what to do."""
    lines = []
    for step in record.steps:
        if step.waiting is not None:
            lines.append(f"{step.id} waits: {step.waiting.why}")
            lines.append(f"  {step.waiting.command}")
            lines.append(f"  opens {step.waiting.link} and prints a link for each of them")
    if lines:
        lines.append("run the plan again when they have answered: it goes on from here")
    return lines


def table(record: RunRecord) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a row for every step and every checkpoint measured in it."""
    taken = [m for step in record.steps for m in step.measurements]
    scores = dict.fromkeys(m.metric for m in taken if "score" in m.contract)
    compared = dict.fromkeys(name for m in taken for name in benchmarks.compared(m.benchmark))
    names = dict.fromkeys((*compared, *SHOWN_TOO, *scores))
    shown = [name for name in names if any(m.metric == name for m in taken)]
    columns = ["step", "state", "checkpoint", "on", *shown, "gates"]
    rows = []
    for step in record.steps:
        places = list(dict.fromkeys((m.checkpoint, m.data, m.split) for m in step.measurements))
        if not places:
            rows.append([step.id, str(step.state), "-", "-", *["-"] * len(shown), _gates(step)])
        for i, place in enumerate(places):
            found = [m for m in step.measurements if (m.checkpoint, m.data, m.split) == place]
            rows.append(
                [
                    step.id if i == 0 else "",
                    str(step.state) if i == 0 else "",
                    place[0],
                    ".".join(part for part in place[1:] if part),
                    *(_cell(found, name) for name in shown),
                    _gates(step) if i == 0 else "",
                ]
            )
    return columns, rows


def _cell(found: Sequence[Measurement], name: str) -> str:
    for measurement in found:
        if measurement.metric == name:
            return number(measurement)
    return "-"


def number(measurement: Measurement) -> str:
    """A value with its interval, e.g. ``0.973 [0.943, 0.988]``."""
    if measurement.value is None:
        return "undefined"
    digits = 1 if measurement.unit in ("ms", "MB", "texts/s") else 3
    text = f"{measurement.value:.{digits}f}"
    if measurement.ci_low is None or measurement.ci_high is None or measurement.n == 1:
        return text
    return f"{text} [{measurement.ci_low:.{digits}f}, {measurement.ci_high:.{digits}f}]"


def _gates(step: StepRecord) -> str:
    signs = {"open": "✓", "closed": "✗", "undecided": "?"}
    return " ".join(f"{signs[str(v.verdict)]} {v.gate}" for v in step.gates) or "-"
