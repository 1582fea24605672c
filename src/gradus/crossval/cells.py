"""Training on a fold and predicting what it held out, once for each fold, seed and configuration.

What a fold's checkpoint says of its held-out items is written beside the inner step that made it,
under a name that follows from those items and their labels. So what was predicted is never
predicted again: not after a kill, nor when the cross-validation gets another configuration, metric
or seed.

Legend: N items of train, n of them held out.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus import benchmarks
from gradus.crossval.partition import Fold
from gradus.data.redrawn import redrawn, split_digest
from gradus.errors import TrainingError
from gradus.metrics.base import Items
from gradus.metrics.items import read_items, write_items

if TYPE_CHECKING:
    from gradus.data.dataset import Split, TrainingData
    from gradus.steps.base import StepContext
    from gradus.steps.inner import InnerResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One configuration on one fold with one seed.

    Attributes:
        configuration: its name.
        fold: the fold.
        seed: which of the fold's seeds, from 0.
        items: what it says of the n held-out items, in the order of `Fold.held`.
        seconds: of training.
        facts: what the inner step says of itself, e.g. what a search chose.
        result: the inner step.
    """

    configuration: str
    fold: Fold
    seed: int
    items: Items
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    result: InnerResult

    @property
    def name(self) -> str:
        """As the inner step is called."""
        return cell_name(self.configuration, self.fold, self.seed)


def cell_name(configuration: str, fold: Fold, seed: int) -> str:
    """``tuned-r1f3s1``."""
    return f"{configuration}-{fold.name}s{seed + 1}"


def seed_of(seed: int, fold: Fold, number: int) -> int:
    """A seed below 2**31 for one training of a fold: independent by fold, alike for all
    configurations, so that they are compared under the same draws."""
    mark = f"{seed} {fold.repeat} {fold.number} {number}"
    return int(hashlib.sha256(mark.encode()).hexdigest()[:8], 16) % 2**31


def run_cells(
    configurations: Mapping[str, Mapping[str, Any]],
    folds: Sequence[Fold],
    context: StepContext,
    *,
    seeds: int,
    keep: bool,
) -> list[Cell]:
    """Every cell, fold after fold; done ones are found again.

    Args:
        configurations: steps' mappings by name.
        folds: of `partition`.
        context: of the outer step, with `inner` and `data`.
        seeds: trainings of each configuration on each fold.
        keep: whether the weights are needed afterwards; else they go as soon as they have
            predicted.

    Raises:
        TrainingError: the step has no data, or an inner step made no checkpoint.
        GradusError: whatever an inner step raises.
    """
    data = context.data
    assert data is not None, "the step's `run` has asked for it"
    assert context.inner is not None, "the runner gives one"
    total, cells = len(folds) * seeds * len(configurations), list[Cell]()
    for fold in folds:
        drawn = redrawn(
            data,
            train=data.train.take(fold.train.tolist()),
            select=data.train.take(fold.select.tolist()),
        )
        for number in range(seeds):
            for name, step in configurations.items():
                context.monitor.progress(len(cells), total, cell_name(name, fold, number))
                cells.append(_cell(name, step, fold, number, drawn, context, keep=keep))
        # The next fold has other texts: what was kept of these as a whole would but fill the disk.
        context.inner.forget()
    context.monitor.progress(total, total, "folds")
    return cells


def _cell(
    name: str,
    step: Mapping[str, Any],
    fold: Fold,
    number: int,
    drawn: TrainingData,
    context: StepContext,
    *,
    keep: bool,
) -> Cell:
    inner, data = context.inner, context.data
    assert inner is not None, "the runner gives one"
    assert data is not None, "the step's `run` has asked for it"
    held = data.train.take(fold.held.tolist())
    seed = seed_of(context.seed, fold, number)
    called = cell_name(name, fold, number)
    result = inner.run(called, step, data=drawn, seed=seed, weights=keep)
    place = result.folder / f"held-{split_digest(held)[:12]}.parquet"
    if not place.exists():
        if result.checkpoint is None:
            result = inner.run(called, step, data=drawn, seed=seed)
        _predict(called, result, held, drawn, place, context)
    items, _ = read_items(place)
    if not keep:
        inner.drop(result)
    return Cell(
        configuration=name,
        fold=fold,
        seed=number,
        items=items,
        seconds=result.train_seconds,
        facts=result.facts,
        result=result,
    )


def _predict(
    called: str,
    result: InnerResult,
    held: Split,
    data: TrainingData,
    place: Path,
    context: StepContext,
) -> None:
    """Ask the fold's checkpoint about the held-out items, and write what it says."""
    from gradus.predict import load

    if result.checkpoint is None:
        raise TrainingError(
            f"{context.id}: {called} made no checkpoint, so there is nothing that could predict: "
            "a configuration must be a step that makes a model"
        )
    benchmark = benchmarks.of(data.target)
    predictor = load(result.checkpoint, threads=context.threads).predictor
    outputs = benchmark.outputs(predictor, held)
    items = benchmark.observe(outputs, predictor.labels, held, data.labels)
    write_items(place, items, list(held.texts))


def whole(cells: Sequence[Cell], ids: Sequence[str]) -> Items:
    """The out-of-fold items of all N, in the order of train: of one repeat's folds."""
    import numpy as np

    joined = reduce(lambda one, two: one.joined(two), [cell.items for cell in cells])
    order = np.argsort(np.concatenate([cell.fold.held for cell in cells]))
    taken = joined.take(order)
    return dataclasses.replace(taken, ids=tuple(ids))  # type: ignore[type-var]  # every class of items is a dataclass with ids


def runs(cells: Sequence[Cell], configuration: str, ids: Sequence[str]) -> list[Items]:
    """Out-of-fold items of all N, once for each repeat and seed of a configuration."""
    own = [cell for cell in cells if cell.configuration == configuration]
    marks = sorted({(cell.fold.repeat, cell.seed) for cell in own})
    return [whole([c for c in own if (c.fold.repeat, c.seed) == mark], ids) for mark in marks]
