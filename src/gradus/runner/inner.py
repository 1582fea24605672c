"""Running steps inside a step; what a composite step gets as `StepContext.inner`.

::

    steps/ID/inner/                  beside the outer step's own folders, whose fingerprint changes
      FINGERPRINT/                   one inner step, laid out like any step
        outcome.json  checkpoint/  curves.jsonl  work/
        select-DTYPE.parquet         items on dev.select
        costs-SETTINGS.json          its costs there, by what they were measured with
        paused.json                  where it stands, if it was stopped at a boundary
        failed.json                  why it failed, and what it had cost by then
    steps/ID/FINGERPRINT/work/shared/    frozen activations of all of them

Nothing in an inner fingerprint comes from the outer config: a search with more trials, or a
cross-validation with another metric, finds what an earlier one has done.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus.data.redrawn import rows_digest
from gradus.errors import GradusError, UsageError
from gradus.runner.fingerprint import timing
from gradus.runner.inner_step import InnerStep
from gradus.runner.monitor import Quiet, Reporter, RunMonitor
from gradus.steps.base import StepContext
from gradus.steps.inner import Boundary, InnerResult, read_step
from gradus.training.within import TEXTS

if TYPE_CHECKING:
    from gradus.data.dataset import TrainingData
    from gradus.records import CheckpointRef


@dataclass
class InnerRuns:
    """See `gradus.steps.inner.Inner`.

    Attributes:
        outer: the outer step's context, whose `inner` this is.
        measure: the plan's settings of measuring.
        root: where inner steps are.
        reporter: who watches.
        shared: folder of frozen activations; below the outer step's work when left out.
        tokens: tokens of texts that a training has seen.
    """

    outer: StepContext
    measure: Mapping[str, Any]
    root: Path
    reporter: Reporter = field(default_factory=Quiet)
    shared: Path | None = None
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    _records: dict[str, dict[str, Any]] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)
    _digests: dict[int, tuple[TrainingData, str]] = field(default_factory=dict)

    def run(
        self,
        name: str,
        step: Mapping[str, Any],
        *,
        data: TrainingData | None = None,
        models: Mapping[str, CheckpointRef] | None = None,
        seed: int | None = None,
        boundary: Callable[[Boundary], bool] | None = None,
        metrics: Sequence[str] = (),
        costs: bool = False,
        weights: bool = True,
    ) -> InnerResult:
        """See `Inner.run`."""
        one = self._step(name, step, data, models, seed)
        there = one.done(weights or (costs and not one.timed()))
        try:
            paused = None if there else one.make(boundary)
        except GradusError:
            self._count(one, data)  # what it fails of may come after a score
            raise
        found = one.paused(paused) if paused is not None else one.result(metrics, costs)
        self._records[name] = one.record(found)
        self._count(one, data)
        return found

    def _step(
        self,
        name: str,
        step: Mapping[str, Any],
        data: TrainingData | None,
        models: Mapping[str, CheckpointRef] | None,
        seed: int | None,
    ) -> InnerStep:
        one = InnerStep(self, name, checked(step), data, models or {}, seed)
        outer = self.outer.monitor
        if isinstance(outer, RunMonitor) and self._same_select(data):
            one.monitor.looked = outer.looked
        return one

    def _same_select(self, data: TrainingData | None) -> bool:
        """Whether these data leave the plan's dev.select as it is."""
        own = self.outer.data
        return data is None or (own is not None and data.select.ids == own.select.ids)

    def _count(self, one: InnerStep, data: TrainingData | None) -> None:
        """What steps inside it look up on the plan's dev.select, the outer step has looked up.

        Once each, whether it is done, rests at a boundary or failed behind one.
        """
        scored, outer = one.scored(), self.outer.monitor
        fresh = one.mark not in self._counted and self._same_select(data)
        if not (scored and fresh and isinstance(outer, RunMonitor)):
            return
        self._counted.add(one.mark)
        outer.scored += scored
        outer.configurations.append(one.mark)
        # Of one that runs others inside itself, each of these has been told of.
        if outer.looked is not None and not one.monitor.configurations:
            outer.looked(one.mark, scored)

    def known(
        self,
        name: str,
        step: Mapping[str, Any],
        *,
        data: TrainingData | None = None,
        models: Mapping[str, CheckpointRef] | None = None,
        seed: int | None = None,
        metrics: Sequence[str] = (),
        costs: bool = False,
    ) -> InnerResult | None:
        """See `Inner.known`."""
        one = self._step(name, step, data, models, seed)
        if one.done(weights=False):
            found = one.result(metrics, costs)
        else:
            held = one.held()
            if held is None:
                return None
            found = held
        # Anew, at the end: whoever asks about all of them in order has the records in that order,
        # whatever ran before a kill and what after.
        self._records.pop(name, None)
        self._records[name] = one.record(found)
        self._count(one, data)
        return found

    def taken(
        self,
        name: str,
        step: Mapping[str, Any],
        *,
        data: TrainingData | None = None,
        models: Mapping[str, CheckpointRef] | None = None,
        seed: int | None = None,
    ) -> dict[str, float]:
        """See `Inner.taken`."""
        return InnerStep(self, name, checked(step), data, models or {}, seed).taken()

    def drop(self, result: InnerResult) -> None:
        """See `Inner.drop`."""
        if result.checkpoint is not None:
            # The manifest first: without it the folder is no checkpoint, whatever is left of it.
            (Path(result.checkpoint.path) / "gradus.json").unlink(missing_ok=True)
        for path in (result.folder / "checkpoint", result.folder / "work"):
            shutil.rmtree(path, ignore_errors=True)
        for path in result.extras.values():
            shutil.rmtree(path, ignore_errors=True)

    def forget(self) -> None:
        """See `Inner.forget`."""
        for place in self.folder().iterdir():
            if place.is_file():
                place.unlink()
            elif place.name != TEXTS:
                shutil.rmtree(place, ignore_errors=True)

    def adopt(self, result: InnerResult, out: Path) -> Path:
        """See `Inner.adopt`."""
        if result.checkpoint is None:
            raise UsageError(f"{result.name} has no weights that could be taken over")
        target, partial = out / "checkpoint", out / ".checkpoint.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(result.checkpoint.path, partial, copy_function=_link)
        partial.rename(target)
        return target

    @property
    def timing(self) -> dict[str, Any]:
        """See `Inner.timing`."""
        return timing(self.measure)

    @property
    def place(self) -> Path:
        """See `Inner.place`."""
        self.root.mkdir(parents=True, exist_ok=True)
        return self.root

    def records(self) -> list[dict[str, Any]]:
        """See `Inner.records`."""
        return list(self._records.values())

    def rows(self, data: TrainingData) -> str:
        """The digest of a data set's rows, computed once."""
        known = self._digests.get(id(data))
        if known is None or known[0] is not data:
            known = self._digests[id(data)] = (data, rows_digest(data))
        return known[1]

    def folder(self) -> Path:
        """Where frozen activations are shared."""
        place = self.shared or self.outer.work / "shared"
        place.mkdir(parents=True, exist_ok=True)
        return place


def checked(step: Mapping[str, Any]) -> dict[str, Any]:
    """The step's mapping with every default.

    Raises:
        UsageError: it isn't one.
    """
    from pydantic import ValidationError

    try:
        return read_step(step)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)
        )
        raise UsageError(f"step inside a step: {faults}") from error


def _link(source: str, target: str) -> str:
    """The same bytes, without a second copy where the disk allows that."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def with_inner(
    context: StepContext,
    measure: Mapping[str, Any],
    root: Path,
    reporter: Reporter,
    *,
    shared: Path | None = None,
    tokens: dict[str, dict[str, Any]] | None = None,
) -> StepContext:
    """The context with `inner`, whose steps lie below `root`."""
    runs = InnerRuns(
        outer=context,
        measure=measure,
        root=root,
        reporter=reporter,
        shared=shared,
        tokens={} if tokens is None else tokens,
    )
    return replace(context, inner=runs)


def inner_facts(context: StepContext) -> dict[str, Any]:
    """What ran inside a step, for its facts; nothing of most."""
    rows = context.inner.records() if context.inner is not None else []
    return {"inner": rows} if rows else {}
