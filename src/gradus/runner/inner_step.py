"""One step inside a step: its fingerprint, its folder, what it made and what that is worth."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus import benchmarks, hardware, registry
from gradus.checkpoints import is_checkpoint, open_checkpoint, read_manifest
from gradus.errors import GradusError, UnknownName
from gradus.metrics.items import read_items, write_items
from gradus.runner import parity
from gradus.runner.fingerprint import digest
from gradus.runner.monitor import Quiet, Reporter, RunMonitor
from gradus.runner.outcome import outcome_json, set_threads
from gradus.runner.store import read_json, write_json
from gradus.steps.base import StepContext, StepOutcome
from gradus.steps.inner import COSTS, InnerResult, config_of, kind_of
from gradus.training.within import Boundary, Paused, Spent, Within, inside

if TYPE_CHECKING:
    from gradus.data.dataset import TrainingData
    from gradus.metrics.base import Items
    from gradus.predict import Model
    from gradus.records import CheckpointRef
    from gradus.runner.inner import InnerRuns

PREFIX: Final = "select_"
_PAID: Final = ("train_tokens", "train_seconds", "seconds")


class Passed(Quiet):
    """Shows how far an inner step is under its name; notes stay with its record."""

    def __init__(self, name: str, outer: Reporter) -> None:
        self.name, self.outer = name, outer

    def progress(self, done: float, total: float, text: str) -> None:
        """Pass it on."""
        self.outer.progress(done, total, f"{self.name}: {text}" if text else self.name)


class InnerStep:
    """One inner step at its place."""

    def __init__(
        self,
        runs: InnerRuns,
        name: str,
        step: Mapping[str, Any],
        data: TrainingData | None,
        models: Mapping[str, CheckpointRef],
        seed: int | None,
    ) -> None:
        outer = runs.outer
        self.runs, self.name, self.step = runs, name, step
        self.kind, self.config = kind_of(step), config_of(step)
        self.seed = outer.seed if seed is None else seed
        needs = self.kind.needs(self.config)
        known = {**outer.models, **models}
        self.models = {n: known[n] for n in needs.models.values()}
        names = list(dict.fromkeys(needs.data.values()))
        either = set(needs.either.values())
        self.datasets = {n: outer.datasets[n] for n in names if n in outer.datasets}
        if data is not None and names:
            self.datasets[names[0]] = data
        corpora = dict.fromkeys([*needs.corpora.values(), *(either - set(self.datasets))])
        self.corpora = {n: outer.corpora[n] for n in corpora if n in outer.corpora}
        self.data = self.datasets.get(names[0]) if names else None
        self.mark = self._mark()
        self.place = runs.root / self.mark[:12]
        self.monitor = RunMonitor(
            self.place / "curves.jsonl", self.data, Passed(name, runs.reporter)
        )

    def _mark(self) -> str:
        config = {key: value for key, value in self.step.items() if key != "step"}
        return digest(
            {
                "kind": self.step["step"],
                "config": parity.without(config),
                "seed": self.seed,
                "models": {name: [ref.kind, ref.digest] for name, ref in self.models.items()},
                "data": {name: self.runs.rows(of) for name, of in self.datasets.items()},
                "corpora": {name: of.digest for name, of in self.corpora.items()},
                "versions": {
                    name: hardware.version(name) for name in ("gradus-lm", "torch", "transformers")
                },
                "dtype": self.runs.outer.dtype,
                "threads": hardware.threads(),
                **({"timing": self.runs.timing} if self.kind.times(self.config) else {}),
            }
        )

    def done(self, weights: bool) -> bool:
        """Whether an earlier process did it; with `weights`, whether those are there too."""
        if not (self.place / "outcome.json").exists():
            return False
        if (self.place / "work").exists():
            shutil.rmtree(self.place / "work")  # killed between the outcome and the clearing up
        made = self.outcome()["checkpoint"]
        if weights and made is not None and not is_checkpoint(self.place / made):
            (self.place / "outcome.json").unlink()
            return False
        return True

    def outcome(self) -> dict[str, Any]:
        """What is kept of it."""
        found: dict[str, Any] = read_json(self.place / "outcome.json")
        return found

    def scored(self) -> int:
        """How often it was scored on dev.select; once more than it says itself when it is done."""
        if (self.place / "outcome.json").exists():
            return int(self.outcome().get("scored", 0)) + 1
        return max(self.monitor.scored, sum(bool(_selected(row)) for row in self._curve()))

    def make(self, boundary: Callable[[Boundary], bool] | None) -> Boundary | None:
        """Run it, or go on with it; where it stands if it was stopped."""
        context = self._context()
        resumed = any(context.work.iterdir())
        if not resumed and self.monitor.curves.exists():
            self.monitor.rewind(0)

        def asked(standing: Boundary) -> bool:
            # Before the answer: what the outer step has heard of must be there after a kill.
            write_json(self.place / "paused.json", dataclasses.asdict(standing))
            return boundary is None or boundary(standing)

        within = Within(self.runs.folder(), self.runs.tokens, asked, Spent())
        set_threads()
        hardware.reset_peak_memory()
        start = time.perf_counter()
        try:
            with inside(within):
                outcome: StepOutcome = self.kind().run(self.config, context)
        except Paused as stopped:
            return stopped.boundary
        except GradusError as error:
            cost = _paid(within.spent, time.perf_counter() - start)
            write_json(self.place / "failed.json", {"error": str(error), "cost": cost})
            raise
        seconds = time.perf_counter() - start
        if outcome.waiting is not None:
            raise GradusError(f"{self.name}: {outcome.waiting.why}; it can't wait inside a step")
        kept = outcome_json(outcome, self.place, self.monitor, seconds, resumed)
        from gradus.runner.inner import inner_facts

        kept["facts"] = {**kept["facts"], **inner_facts(context)}
        write_json(self.place / "outcome.json", kept)
        shutil.rmtree(context.work)
        for name in ("paused.json", "failed.json"):
            (self.place / name).unlink(missing_ok=True)
        return None

    def held(self) -> InnerResult | None:
        """What is known of one that isn't done: it failed, or it rests at a boundary."""
        if (self.place / "failed.json").exists():
            kept = read_json(self.place / "failed.json")
            return InnerResult(
                name=self.name,
                fingerprint=self.mark,
                folder=self.place,
                curve=self._curve(),
                cost=kept.get("cost", {}),
                error=str(kept["error"]),
            )
        if (self.place / "paused.json").exists():
            return self.paused(Boundary(**read_json(self.place / "paused.json")))
        return None

    def taken(self) -> dict[str, float]:
        """What it has cost by now; see `Inner.taken`."""
        for name in ("outcome.json", "failed.json"):
            if (self.place / name).exists():
                cost = read_json(self.place / name).get("cost", {})
                return {key: float(cost[key]) for key in _PAID if key in cost}
        return {}

    def _context(self) -> StepContext:
        outer, work = self.runs.outer, self.place / "work"
        work.mkdir(parents=True, exist_ok=True)
        context = StepContext(
            id=f"{outer.id}/{self.name}",
            seed=self.seed,
            out=self.place,
            work=work,
            models=self.models,
            data=self.data,
            monitor=self.monitor,
            dtype=outer.dtype,
            threads=outer.threads,
            corpora=self.corpora,
            datasets=self.datasets,
            folder=outer.folder,
            run=outer.run,
        )
        from gradus.runner.inner import with_inner

        return with_inner(
            context,
            self.runs.measure,
            self.runs.root,
            Passed(self.name, self.runs.reporter),
            shared=self.runs.folder(),
            tokens=self.runs.tokens,
        )

    def paused(self, boundary: Boundary) -> InnerResult:
        """What is known of one that was stopped."""
        return InnerResult(
            name=self.name,
            fingerprint=self.mark,
            folder=self.place,
            paused=boundary,
            scores=dict(boundary.values),
            curve=self._curve(),
            cost={"train_tokens": boundary.tokens, "train_seconds": boundary.seconds},
        )

    def result(self, metrics: Sequence[str], costs: bool) -> InnerResult:
        """What is known of one that is done; what wasn't taken yet is taken now."""
        outcome = self.outcome()
        path = None if outcome["checkpoint"] is None else self.place / outcome["checkpoint"]
        there = path is not None and is_checkpoint(path)
        ref = None
        if path is not None and there:
            origin = {"step": f"{self.runs.outer.id}/{self.name}"}
            ref = replace(open_checkpoint(path, name=self.name), origin=origin)
        items = self._items(ref)
        return InnerResult(
            name=self.name,
            fingerprint=self.mark,
            folder=self.place,
            checkpoint=ref,
            extras={n: self.place / p for n, p in outcome["extras"].items()},
            scores=self._scores(items, metrics),
            items=items,
            costs=self._costs(ref) if costs else {},
            curve=self._curve(),
            facts=outcome["facts"],
            cost={**outcome["cost"], "seconds": outcome["seconds"]},
            notes=outcome["notes"],
        )

    def _curve(self) -> list[dict[str, Any]]:
        if not self.monitor.curves.exists():
            return []
        lines = self.monitor.curves.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def _items(self, ref: CheckpointRef | None) -> Items | None:
        """What the checkpoint says of dev.select; None where it says nothing of such data."""
        from gradus.measure import quality
        from gradus.predict.outputs import target_of

        file = self.place / f"select-{self._dtype}.parquet"
        if file.exists():
            return read_items(file)[0]
        if ref is None or self.data is None or not len(self.data.select):
            return None
        if target_of(read_manifest(Path(ref.path)).preprocessing) != self.data.target:
            return None
        predictor = self._model(ref).predictor
        predictor.share(self.runs.folder())
        seen = quality.predictions(
            predictor, self.data.select, self.data.labels, target=self.data.target
        )
        write_items(file, seen, self.data.select.texts)
        return read_items(file)[0]

    @property
    def _dtype(self) -> str:
        return str(self.runs.measure.get("dtype", "float32"))

    def _model(self, ref: CheckpointRef) -> Model:
        from gradus.predict import load

        return load(ref, dtype=self._dtype, threads=hardware.threads())

    def _scores(self, items: Items | None, metrics: Sequence[str]) -> dict[str, float]:
        if items is None:
            rows = (_selected(row) for row in reversed(self._curve()))
            return next((row for row in rows if row), {})
        benchmark = benchmarks.of(items.target)
        for name in metrics:
            if name not in benchmark.metrics:
                raise UnknownName("metric", name, benchmark.metrics)
        names = dict.fromkeys((*benchmark.compared, *metrics))
        values = {name: float(registry.load("metrics", name)()(items)) for name in names}
        return {name: value for name, value in values.items() if math.isfinite(value)}

    def _costs(self, ref: CheckpointRef | None) -> dict[str, float]:
        """Latency and size, taken once: timings differ from one time to the next."""
        if not self.timed():
            if ref is None or self.data is None:
                return {}
            write_json(self._timings, self._time(ref))
        found: dict[str, float] = read_json(self._timings)
        return found

    def timed(self) -> bool:
        """Whether its costs are known, as these settings take them."""
        return self._timings.exists()

    @property
    def _timings(self) -> Path:
        return self.place / f"costs-{digest(self.runs.timing)[:12]}.json"

    def _time(self, ref: CheckpointRef) -> dict[str, float]:
        from gradus.measure import cost

        assert self.data is not None, "its caller has looked"
        asked = self.runs.timing
        texts = self.data.select.sample(asked["texts"]).texts
        seen = cost.observe(
            {self.name: self._model(ref).predictor},
            list(texts),
            repeats=asked["repeats"],
        )[self.name]
        return {name: float(registry.load("metrics", name)()(seen)) for name in COSTS}

    def record(self, found: InnerResult) -> dict[str, Any]:
        """The row of the outer step's facts."""
        run = self.runs.outer.run.resolve()
        folder = self.place.resolve()
        at = folder.relative_to(run).as_posix() if folder.is_relative_to(run) else str(folder)
        names = ("train_tokens", "train_seconds", "seconds", "flops", "peak_memory_mb")
        return {
            "name": self.name,
            "step": self.step["step"],
            "fingerprint": self.mark,
            "folder": at,
            "state": _state(found),
            "stage": None if found.paused is None else found.paused.stage,
            "seed": self.seed,
            "scores": dict(found.scores),
            "costs": dict(found.costs),
            "cost": {name: found.cost[name] for name in names if name in found.cost},
            "notes": list(found.notes),
            "curves": f"{at}/curves.jsonl" if found.curve else None,
        }


def _paid(spent: Spent | None, seconds: float) -> dict[str, float]:
    """What a step has cost that fails after so many seconds of this process."""
    if spent is None or not spent.seconds:
        return {"seconds": seconds}
    return {"train_tokens": spent.tokens, "train_seconds": spent.seconds, "seconds": seconds}


def _state(found: InnerResult) -> str:
    if found.error is not None:
        return "failed"
    return "paused" if found.paused is not None else "done"


def _selected(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        key.removeprefix(PREFIX): float(value)
        for key, value in row.items()
        if key.startswith(PREFIX) and isinstance(value, int | float)
    }
