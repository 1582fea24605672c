"""Progress, and metrics on dev.select, for a step while it works."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gradus import benchmarks, registry
from gradus.data.dataset import TrainingData

if TYPE_CHECKING:
    from gradus.records import RunRecord, StepRecord, StepSpec


class Reporter(Protocol):
    """Whoever watches a run: the terminal, a notebook, nobody."""

    def begin(self, plan: str, folder: Path, total: int) -> None:
        """The run starts (or resumes)."""

    def step(self, spec: StepSpec, index: int, total: int) -> None:
        """A step starts."""

    def progress(self, done: float, total: float, text: str) -> None:
        """How far the current step is."""

    def note(self, text: str) -> None:
        """A sentence worth reading now."""

    def finished(self, record: StepRecord) -> None:
        """A step has ended, in whatever state."""

    def end(self, record: RunRecord) -> None:
        """The run has ended, in whatever state."""


class Quiet:
    """A reporter that says nothing."""

    def begin(self, plan: str, folder: Path, total: int) -> None:
        """Say nothing."""

    def step(self, spec: StepSpec, index: int, total: int) -> None:
        """Say nothing."""

    def progress(self, done: float, total: float, text: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def finished(self, record: StepRecord) -> None:
        """Say nothing."""

    def end(self, record: RunRecord) -> None:
        """Say nothing."""


class RunMonitor:
    """The monitor that the runner hands to a step.

    Curves are JSON lines, appended as they come; `rewind` cuts them back after a resume, so that
    a run that was killed has the same curves as one that wasn't.

    Attributes:
        scored: how often something was scored on dev.select.
        configurations: fingerprints of the steps inside the step that were.
        looked: told of each of these at once, with the number of its scores, so that what was
            seen counts though the step be killed.
    """

    def __init__(self, curves: Path, data: TrainingData | None, reporter: Reporter) -> None:
        self.curves = curves
        self.notes: list[str] = []
        self.scored = 0
        self.configurations: list[str] = []
        self.looked: Callable[[str, int], None] | None = None
        self._data = data
        self._reporter = reporter

    def score(self, outputs: Any) -> dict[str, float]:
        """What the target's benchmark compares, on dev.select; see `Monitor.score`.

        Raises:
            ValueError: the step has no data, or the shape is another.
        """
        if self._data is None:
            raise ValueError("this step has no data to score on")
        self.scored += 1
        data, select = self._data, self._data.select
        benchmark = benchmarks.of(data.target)
        if len(outputs) != len(select) or (
            data.target in ("label", "labels") and outputs.shape[1:] != (len(data.labels),)
        ):
            raise ValueError(
                f"outputs has shape {getattr(outputs, 'shape', len(outputs))}, dev.select has "
                f"{len(select)} items and {len(data.labels)} labels"
            )
        seen = benchmark.observe(outputs, data.labels, select, data.labels)
        values = {
            name: float(registry.load("metrics", name)()(seen)) for name in benchmark.compared
        }
        return {name: value for name, value in values.items() if math.isfinite(value)}

    def point(self, **row: float | int | str) -> None:
        """Append one row to the curves."""
        with self.curves.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def rewind(self, rows: int) -> None:
        """Keep the first `rows` rows of the curves."""
        kept = []
        if self.curves.exists():
            kept = self.curves.read_text(encoding="utf-8").splitlines(keepends=True)[:rows]
        partial = self.curves.with_suffix(".partial")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(self.curves)

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Pass it on to whoever watches."""
        self._reporter.progress(done, total, text)

    def note(self, text: str) -> None:
        """Pass it on and keep it for the report; a sentence said twice is kept once."""
        if text not in self.notes:
            self.notes.append(text)
        self._reporter.note(text)


def counter(reporter: Reporter, total: int, text: str) -> Callable[[int], None]:
    """A callback for predictors that shows how many of `total` texts are done."""
    return lambda done: reporter.progress(done, total, text)
