"""A plan with a small search, for tests that run it here or in a process that is killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.runner.tiny_run import plan

STAGES = [
    {"train": "head", "epochs": 1, "lr": {"log": [1e-3, 1e-1]}},
    {"train": "top-1", "epochs": 1, "lr": {"log": [1e-4, 1e-2]}, "dropout": {"choice": [0.0, 0.1]}},
    {"train": "all", "epochs": 1, "lr": 1e-3},
]


def searched(world: Path, *, stages: Any = STAGES, **more: Any) -> dict[str, Any]:
    """The plan; `more` are keys of the step."""
    inner = {"step": "finetune", "model": "encoder", "data": "news", "stages": stages}
    settings: dict[str, Any] = {"pruner": {"name": "halving", "eta": 2}, "budget": {"trials": 6}}
    return plan(world, {"id": "tuned", "step": "tune", "inner": inner, **settings, **more})


def numbers(run: Path) -> dict[str, Any]:
    """What a search that was killed must have in common with one that wasn't."""
    record = json.loads((run / "run.json").read_text("utf-8"))
    step = record["steps"][0]
    rows = [
        {key: value for key, value in row.items() if key not in ("cost", "notes")}
        for row in step["facts"]["inner"]
    ]
    measured = [[m["metric"], m["value"], m["ci_low"], m["ci_high"]] for m in step["measurements"]]
    return {
        "state": record["state"],
        "tuning": step["facts"]["tuning"],
        "winner": step["facts"]["winner"],
        "digest": step["facts"]["digest"],
        "inner": rows,
        "tokens": step["cost"]["train_tokens"],
        "measured": measured,
    }


def main() -> None:
    """``python -m tests.tuning.search_run WORLD RUNS``: run it, or go on with it."""
    import gradus

    world, runs = map(Path, sys.argv[1:3])
    gradus.run(searched(world), runs_dir=runs)


if __name__ == "__main__":
    main()
