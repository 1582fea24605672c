"""A plan on a tiny encoder that runs in seconds, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradus.testing.world import World

SCORES: dict[str, Any] = {
    "worth": {"combine": "0.7 * f1_macro + 0.3 * recall[sport]"},
    "money": {"prices": {"sport": {"tech": -5}}, "unit": "EUR"},
}


def world_in(folder: Path) -> Path:
    """The data and the encoder, written there."""
    World(folder).model("encoder")
    return folder


def tuned(seeds: int, *gates: str, **more: Any) -> dict[str, Any]:
    """A fine-tuning step of one epoch, repeated."""
    stages = [{"train": "all", "epochs": 1, "lr": 3e-3, "dropout": 0.1}]
    step = {"id": "tuned", "step": "finetune", "model": "encoder", "data": "news"}
    return {**step, "stages": stages, "seeds": seeds, "gates": list(gates), **more}


def plan(world: Path, *steps: dict[str, Any], **top: Any) -> dict[str, Any]:
    """A plan on that world."""
    return {
        "name": "mini",
        "seed": 13,
        "data": {
            "news": {
                "source": {"file": str(world / "news.jsonl")},
                "split": {"train": 0.4, "dev": 0.4, "test": 0.2, "stratify": True},
                "audit": False,
            }
        },
        "models": {"encoder": {"folder": str(world / "encoder")}},
        "measure": {"cost": False, "bootstrap": 100, **top.pop("measure", {})},
        "steps": list(steps),
        **top,
    }
