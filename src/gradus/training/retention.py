"""What a stage of long training keeps on disk beside its state.

Snapshots are whole (weights, optimiser, average) and made at validations, so that a training can
go back to one; the best are the weights as they were validated. Files are written before the state
that names them and removed after it, so a full disk or a kill leaves what the state needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gradus.training.exchange import Exchange
from gradus.training.pretraining import PretrainStage
from gradus.training.state import Progress
from gradus.training.storage import load_tensors, save_tensors


class Retention:
    """The files of one stage; which there are is in the stage's state."""

    def __init__(
        self, stage: PretrainStage, index: int, progress: Progress, work: Path, exchange: Exchange
    ) -> None:
        """For the stage number `index`, in the folder `work`."""
        self._stage, self._index, self._progress = stage, index, progress
        self._work, self._exchange = work, exchange

    def snapshot(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Keep all that a training needs to go on from here; the oldest beyond `keep_last` goes."""
        if not self._stage.keep_last:
            return
        row = self._row("snapshot")
        whole = self._exchange.whole(tensors)
        if self._exchange.leads:
            save_tensors(self._work / row["file"], whole, {"step": row["step"]})
        watched = self._progress.watched
        others = [old for old in watched.snapshots if old["file"] != row["file"]]
        watched.snapshots = [*others, row][-self._stage.keep_last :]

    def best(self, merit: Sequence[float], keep: Callable[[str], None]) -> None:
        """Keep the weights as they stand, by `keep` with a file's name, if they are among the
        best `keep_best` validations; counts validations since the best."""
        progress, watched = self._progress, self._progress.watched
        if progress.best is None or list(merit) > progress.best:
            progress.best, progress.worse = list(merit), 0
        else:
            progress.worse += 1
        row = {
            **self._row("best"),
            "merit": list(merit),
            "values": dict(progress.evaluation),
        }
        ranked = [old for old in watched.best if old["file"] != row["file"]]
        # Of equals the earlier one stays ahead.
        place = sum(old["merit"] >= row["merit"] for old in ranked)
        if place < self._stage.keep_best:
            keep(row["file"])
            watched.best = [*ranked[:place], row, *ranked[place:]][: self._stage.keep_best]
        if self._stage.keeps_best:
            progress.best_file = watched.best[0]["file"]

    def newest(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        """Step and tensors of the last snapshot; None where there is none yet."""
        if not self._progress.watched.snapshots:
            return None
        row = self._progress.watched.snapshots[-1]
        tensors, _ = self._exchange.share(lambda: load_tensors(self._work / row["file"]))
        return int(row["step"]), tensors

    def facts(self) -> list[dict[str, Any]]:
        """What is kept, for the report."""
        watched = self._progress.watched
        last = [{"why": "last", **row} for row in watched.snapshots]
        best = [
            {"why": "best", **{k: row[k] for k in ("file", "step", "tokens")}, **row["values"]}
            for row in watched.best
        ]
        return [*last, *best]

    def _row(self, what: str) -> dict[str, Any]:
        progress = self._progress
        return {
            "file": f"{what}-{self._index}-{progress.update}.safetensors",
            "step": progress.update,
            "tokens": progress.tokens,
        }


def milestone_file(update: int) -> str:
    """Name of the file with the weights as they stood after that many updates."""
    return f"milestone-{update}.safetensors"


class Stopwatch:
    """Adds the seconds of its blocks to a stage's state."""

    def __init__(self, progress: Progress, name: str) -> None:
        """`name` is a field of `Watched`."""
        self._watched, self._name = progress.watched, name

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        spent = getattr(self._watched, self._name) + time.monotonic() - self._began
        setattr(self._watched, self._name, spent)
