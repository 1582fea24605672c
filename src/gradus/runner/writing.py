"""Measuring what writers wrote: features once for each writer, then metrics of `written.v1`.

Features are kept in the run folder under ``writings/KEY.npz``, where KEY covers the samples, the
writer and what the feature asks (reference, embedder, training text), dtype, threads and versions:
another gate or another judge computes nothing again. ``writings/shared`` is the features' own, for
what is the same for every writer of a step.

Steps that have writings judged leave ``columns.json`` in their checkpoint; what it holds is
measured of the same writers on the same prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradus import hardware, registry
from gradus.benchmarks.written import WrittenBenchmark
from gradus.errors import CheckpointError, UsageError
from gradus.measure import quality
from gradus.measure.changes import changes
from gradus.metrics.items import write_items
from gradus.metrics.writings import TEXTS_EACH, Writings
from gradus.records import CheckpointRef, StepSpec
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.runner.keys import environment, settings
from gradus.runner.monitor import Reporter
from gradus.runner.taken import Taken, once
from gradus.steps.base import Target
from gradus.writing import features
from gradus.writing.features.base import Feature, FeatureContext
from gradus.writing.records import (
    COLUMNS,
    HUMAN,
    KIND,
    Samples,
    Writing,
    read_columns,
    read_samples,
)

if TYPE_CHECKING:
    from gradus.steps.sample import SampleConfig

SHOWN: Final = 8
"""Prompts whose texts stand side by side in a report."""
RATINGS: Final = "ratings"
"""Kind of the checkpoint that holds what people said."""


def about(targets: Sequence[Target]) -> bool:
    """Whether targets are writers."""
    return any((t.benchmark or {}).get("name") == WrittenBenchmark.name for t in targets)


def targets(spec: StepSpec, inputs: Inputs) -> list[Target]:
    """The writers to measure after a step that has samples or what was said of them; else none.

    People come first: a step's gates are about the last.
    """
    maker = maker_of(spec, inputs)
    if maker is None:
        return []
    samples = read_samples(Path(inputs.checkpoint(maker).path))
    writers = sorted(samples.writers, key=lambda writer: writer != HUMAN)
    named = {"name": WrittenBenchmark.name}
    return [Target(checkpoint=w, data=maker, split="", benchmark=named) for w in writers]


def maker_of(spec: StepSpec, inputs: Inputs) -> str | None:
    """The step that made the samples which a step has or has had judged; None for any other."""
    made = inputs.checkpoints.get(spec.id)
    if made is None:
        return None
    if made.kind == KIND:
        return spec.id
    if not (Path(made.path) / COLUMNS).is_file():
        return None
    for name in spec.models:
        if name in inputs.checkpoints and inputs.checkpoints[name].kind == KIND:
            return name
    raise CheckpointError(f"'{spec.id}' says something of writings, but names no step 'sample'")


def all_writers(
    spec: StepSpec, targets: Sequence[Target], folder: Path, inputs: Inputs, reporter: Reporter
) -> Taken:
    """Measure every writer; item files that are there already are read instead of made again."""
    measuring = _Measuring.of(spec, targets, inputs, reporter)
    place = folder / "measure" / digest(measuring.mark())[:12]
    done = place / f"writings-{digest(settings(inputs))[:12]}.json"
    return once(done, lambda: measuring.take(place))


@dataclass(frozen=True, slots=True)
class _Measuring:
    """The writers of one step of samples, and the columns that a step adds.

    Attributes:
        spec: the step that is measured.
        targets: its writers.
        maker: the step that made the samples.
        samples: what it made.
        config: of that step.
        inputs: of the run.
        reporter: who watches.
        opened: what features have opened, for all writers.
    """

    spec: StepSpec
    targets: Sequence[Target]
    maker: StepSpec
    samples: Samples
    config: SampleConfig
    inputs: Inputs
    reporter: Reporter
    opened: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, spec: StepSpec, targets: Sequence[Target], inputs: Inputs, reporter: Reporter
    ) -> _Measuring:
        from gradus.steps.sample import SampleConfig

        maker = inputs.plan.step(targets[0].data)
        samples = read_samples(Path(inputs.checkpoint(maker.id).path))
        config = SampleConfig.model_validate(dict(maker.config))
        return cls(spec, targets, maker, samples, config, inputs, reporter)

    def mark(self) -> list[Any]:
        """What the items rest on."""
        contract = self.contract()
        own = self.inputs.checkpoint(self.spec.id).digest
        kinds = [kind.name for kind in self._kinds()]
        beside = [self.inputs.checkpoint(name).digest for name in self._judged()]
        return [own, self.samples.digest, contract, kinds, beside, environment()]

    def contract(self) -> dict[str, str]:
        """What numbers of two writers must have in common."""
        found = {"dtype": str(self.inputs.plan.measure["dtype"])}
        for need in ("reference", "embedder"):
            name = getattr(self.config, need)
            if name is not None:
                found[need] = f"{name} {self.inputs.checkpoint(name).digest[:12]}"
        if self.config.training is not None:
            found["training"] = f"{self.config.training} {self._training()[:12]}"
        return found

    def _training(self) -> str:
        assert self.config.training is not None
        return self.inputs.split_digest(self.config.training, "train")

    def _kinds(self) -> list[type[Feature]]:
        """The features of the samples."""
        from gradus.steps.sample import given

        known = set(given(self.config)) - {"human"}
        return features.known(known | ({"human"} if HUMAN in self.samples.writers else set()))

    def _judged(self) -> list[str]:
        """The steps done so far that say something of the same samples, this one included."""
        steps = {spec.id: spec for spec in self.inputs.plan.steps}
        names = [name for name in self.inputs.checkpoints if name in steps]
        return [
            name
            for name in names
            if name != self.maker.id and maker_of(steps[name], self.inputs) == self.maker.id
        ]

    def take(self, place: Path) -> Taken:
        """Compute, measure and compare."""
        self.inputs.release()
        own = {t.checkpoint: self._own(t.checkpoint) for t in self.targets}
        measured = []
        for target in self.targets:
            items, writer = own[target.checkpoint], target.checkpoint
            path = place / f"{writer}.parquet"
            write_items(path, items, items.texts)
            common = {
                "data": target.data,
                "split": "",
                "benchmark": WrittenBenchmark.name,
                "checkpoint": writer,
                "contract": {**self.contract(), TEXTS_EACH: f"{items.each:g}"},
                "items": self.inputs.folder.relative(path),
            }
            measured += quality.measurements(
                items,
                common=common,
                benchmark=WrittenBenchmark,
                scores=self.inputs.scores,
                **self._draws(),
            )
        return Taken(tuple(measured), written=self._facts(own))

    def _draws(self) -> dict[str, Any]:
        plan = self.inputs.plan
        level, draws = float(plan.measure["level"]), int(plan.measure["bootstrap"])
        return {"level": level, "draws": draws, "seed": plan.seed}

    def _own(self, writer: str) -> Writings:
        """A writer's items with the columns that the step itself gives.

        Texts of which a step says nothing, since no rater was shown them, aren't among the items:
        an interval rests on those that were.
        """
        writings = self.samples.of(writer)
        if self.spec.id == self.maker.id:
            return items_of(writings, self._features(writer))
        columns = self._said(self.spec.id, writings)
        told = np.any([np.isfinite(values) for values in columns.values()], axis=0)
        if not told.any():
            return items_of(writings, columns)
        kept = [one for one, there in zip(writings, told, strict=True) if there]
        return items_of(kept, {name: values[told] for name, values in columns.items()})

    def _said(self, step: str, writings: Sequence[Writing]) -> dict[str, np.ndarray]:
        """What a step says of a writer's texts."""
        said = read_columns(Path(self.inputs.checkpoint(step).path))
        nothing = float("nan")

        def number(value: float | None) -> float:
            return nothing if value is None else value

        return {
            name: np.array([number(values.get(one.id)) for one in writings], dtype=np.float64)
            for name, values in said.items()
        }

    def _features(self, writer: str) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for kind in self._kinds():
            found |= self._kept(kind, writer)
        return found

    def _kept(self, kind: type[Feature], writer: str) -> dict[str, np.ndarray]:
        """A feature of a writer's texts, computed once."""
        context, rests_on = self._context(kind, f"{writer}: {kind.name}")
        mark = [kind.name, self.samples.digest, writer, rests_on, context.dtype, environment()]
        path = context.place.parent / f"{digest(mark)[:16]}.npz"
        if not path.exists():
            writings = self.samples.of(writer)
            columns = checked(kind, kind().compute(writings, context), len(writings))
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                np.savez(file, **columns)  # type: ignore[arg-type]  # columns are named freely
            partial.replace(path)
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kind.columns}

    def _context(self, kind: type[Feature], text: str) -> tuple[FeatureContext, list[str]]:
        """What a feature is given, and the digests of what it needs."""
        inputs, config = self.inputs, self.config
        place = inputs.folder.path / "writings" / "shared"
        place.mkdir(parents=True, exist_ok=True)
        model: dict[str, CheckpointRef] = {}
        training, rests_on = None, list[str]()
        for need in kind.needs:
            if need in ("reference", "embedder"):
                model[need] = inputs.checkpoint(getattr(config, need))
                rests_on.append(model[need].digest)
            elif need == "training":
                assert config.training is not None
                training = inputs.corpus(config.training).splits["train"]
                rests_on.append(self._training())
        human = self.samples.of(HUMAN) if HUMAN in self.samples.writers else ()
        context = FeatureContext(
            place=place,
            reference=model.get("reference"),
            embedder=model.get("embedder"),
            training=training,
            human=human,
            everyone=self.samples.writings,
            opened=self.opened,
            dtype=str(inputs.plan.measure["dtype"]),
            threads=hardware.threads(),
            progress=lambda done, total: self.reporter.progress(done, total, text),
        )
        return context, rests_on

    def _facts(self, own: Mapping[str, Writings]) -> dict[str, Any]:
        """What the report shows beside the measurements."""
        writers = list(self.samples.writers)
        found: dict[str, Any] = {
            "samples": self.maker.id,
            "writers": writers,
            "against": self._against_people(own),
        }
        if self.spec.id == self.maker.id:
            found["shown"] = shown(self.samples)
        if self.inputs.checkpoint(self.spec.id).kind == RATINGS:
            found["agreement"] = self._agreement(own)
        return found

    def _against_people(self, own: Mapping[str, Writings]) -> list[dict[str, Any]]:
        """Every metric of every model held against people's on the same prompts.

        But for numbers of whole sets, where the sets aren't equally large.
        """
        if HUMAN not in own:
            return []
        rows, kinds = [], WrittenBenchmark.kinds()
        for writer in (name for name in self.samples.writers if name != HUMAN):
            both = set(WrittenBenchmark.metrics_on(own[HUMAN]))
            alike = own[writer].each == own[HUMAN].each
            metrics = [
                name
                for name in WrittenBenchmark.metrics_on(own[writer])
                if name in both and (alike or not kinds[name].of_set)
            ]
            found = changes(
                own[writer], own[HUMAN], against=HUMAN, metrics=metrics, **self._draws()
            )
            rows += [{"checkpoint": writer, **row} for row in found]
        return rows

    def _agreement(self, own: Mapping[str, Writings]) -> list[dict[str, Any]]:
        """How all that machines say of the texts goes with what people say."""
        from gradus.writing.agreement import correlations

        everything = {}
        for writer in own:
            writings = self.samples.of(writer)
            columns = self._features(writer)
            for step in self._judged():
                columns |= self._said(step, writings)
            everything[writer] = items_of(writings, columns)
        some = next(iter(everything.values()))
        kinds = [registry.load("metrics", name) for name in WrittenBenchmark.metrics_on(some)]
        said = {name for items in own.values() for name in items.columns}
        scores = [kind() for kind in kinds if set(kind.columns) <= said]
        measures = [kind() for kind in kinds if not set(kind.columns) <= said]
        found = correlations(everything, measures, scores, **self._draws())
        return [row.to_json() for row in found]


def items_of(writings: Sequence[Writing], columns: Mapping[str, np.ndarray]) -> Writings:
    """A writer's writings as items."""
    return Writings(
        prompts=tuple(one.prompt for one in writings),
        texts=tuple(one.text for one in writings),
        sources=tuple(one.source for one in writings),
        ids=tuple(one.item for one in writings),
        columns=columns,
    )


def checked(
    kind: type[Feature], columns: Mapping[str, np.ndarray], count: int
) -> dict[str, np.ndarray]:
    """A feature's columns as float64, in the order in which it declares them.

    Raises:
        UsageError: the feature gives other columns than it declares, another number of rows, or
            infinities.
    """
    if set(columns) != set(kind.columns):
        odd = ", ".join(sorted(set(columns) ^ set(kind.columns)))
        raise UsageError(f"feature {kind.name} gives other columns than it declares: {odd}")
    found = {}
    for name in kind.columns:
        values = np.asarray(columns[name], dtype=np.float64)
        if values.ndim not in (1, 2) or len(values) != count or np.isinf(values).any():
            raise UsageError(
                f"feature {kind.name} gives a column '{name}' of shape {values.shape} for {count} "
                "texts; it should have a row each, and no infinities"
            )
        found[name] = values
    return found


def shown(samples: Samples) -> list[dict[str, Any]]:
    """The first prompts with one text of each writer, for a reader."""
    first = {
        (one.writer, one.prompt_id): one for one in reversed(samples.writings)
    }  # the lowest number stays
    rows = []
    for prompt in samples.prompts[:SHOWN]:
        texts = {w: first[w, prompt] for w in samples.writers if (w, prompt) in first}
        some = next(iter(texts.values()))
        rows.append(
            {
                "prompt": some.prompt,
                "texts": {w: {"text": one.text, "ended": one.ended} for w, one in texts.items()},
            }
        )
    return rows
