"""Run by torchrun: trains a tiny task and writes down, on the leader, what came of it.

Arguments: the folder to work in, and a JSON object of settings (see `Spread`).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gradus.errors import GradusError
from gradus.runner import ranks
from gradus.training.config import StageConfig
from gradus.training.exchange import PartDone, current
from gradus.training.loop import train

from .conftest import KeptMonitor, make_task


@dataclass(frozen=True)
class Spread:
    """What is trained: `stages` as in a plan; `stop` kills every process after so many updates."""

    family: str = "llama"
    stages: list[dict[str, Any]] = field(default_factory=list)
    stop: int | None = None
    n: int = 41


def trained(folder: Path, settings: Spread) -> dict[str, Any]:
    """Facts, curves, cost and weights of a training in `folder`."""
    exchange = current()
    work = folder / (f"rank-{exchange.rank}" if exchange.rank else "work")
    work.mkdir(parents=True, exist_ok=True)
    monitor = KeptMonitor(stop_after=settings.stop)
    # Each process begins with a model of its own: the leader's is what counts.
    task = make_task(settings.family, seed=exchange.rank, monitor=monitor, n=settings.n)
    stages = [StageConfig.model_validate(stage) for stage in settings.stages]
    outcome = train(task, stages, seed=3, work=work, monitor=monitor, save_seconds=0.0)
    weights = {name: p.detach().double() for name, p in task.parameters().items()}
    assert all(type(p) is torch.nn.Parameter for p in task.parameters().values())
    with torch.no_grad():
        batch = task.train.batch(range(4))
        hidden = task.backbone.run(batch).double()
    return {
        "world": exchange.world,
        "shards": exchange.shards,
        "stages": [dict(stage) for stage in outcome.stages],
        "rows": monitor.rows,
        "cost": {name: outcome.cost[name] for name in ("train_tokens", "flops")},
        "weights": {name: [float(w.sum()), float(w.norm())] for name, w in weights.items()},
        "bits": {name: w.flatten().tolist() for name, w in weights.items()},
        "hidden": hidden.flatten().tolist(),
    }


def main() -> None:
    torch.set_num_threads(1)
    folder, settings = Path(sys.argv[1]), Spread(**json.loads(sys.argv[2]))
    with ranks.joined() as leads:
        try:
            found = trained(folder, settings)
        except PartDone:
            return
        except GradusError as error:
            found = {"error": str(error)}
        if leads:
            (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
