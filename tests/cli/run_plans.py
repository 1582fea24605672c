"""A run of one baseline on sentences, made in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gradus.testing.world import default_rows

FLOOR: dict[str, Any] = {"id": "floor", "step": "baseline", "data": "news", "ngrams": [1, 1]}


def write_plan(folder: Path, *steps: dict[str, Any], name: str = "mini", **top: Any) -> Path:
    """A plan (JSON is YAML) and its data in `folder`."""
    lines = (json.dumps({"text": t, "label": c}) for t, c in default_rows())
    (folder / "news.jsonl").write_text("\n".join(lines), encoding="utf-8")
    plan = {
        "name": name,
        "seed": 1,
        "data": {"news": {"source": {"file": "news.jsonl"}, "split": {"dev": 0.3, "test": 0.2}}},
        "measure": {"cost": False, "bootstrap": 100},
        "steps": list(steps or (FLOOR,)),
        **top,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(plan, indent=1), encoding="utf-8")
    return path
