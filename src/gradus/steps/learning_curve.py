"""Step `learning-curve`: what more data would give.

Legend: N items of train, n of a draw, S draws.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from gradus import benchmarks, registry
from gradus.errors import GradusError, TrainingError
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome
from gradus.steps.inner import (
    AnyStep,
    compares_by_of,
    needs_of,
    overall_metric,
    produces_of,
    times_of,
)

if TYPE_CHECKING:
    from gradus.data.dataset import Split, TrainingData
    from gradus.metrics.base import Items
    from gradus.stats.learning import Curve, Point
    from gradus.stats.scaling import PowerLaw
    from gradus.steps.inner import InnerResult

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
Share = Annotated[float, Field(gt=0, le=1)]


class LearningCurveConfig(StepConfig):
    """Config of `learning-curve`.

    Attributes:
        data: the data set, of whose train parts are drawn.
        training: the step that is done on each draw, as a plan has it but without ``id``, gates and
            seeds; ``data`` may be left out.
        shares: of train, rising; the whole is always the last.
        draws: S, how often each share is drawn, with another seed each time. Draws are nested: the
            items of a small one are among those of a larger.
        metric: what is plotted; left out, what the data's benchmark compares first.
        bootstrap: number of resamples of draws and items.
        level: of the intervals.
    """

    data: str
    training: AnyStep
    shares: Annotated[tuple[Share, ...], Field(min_length=1)] = SHARES
    draws: Annotated[int, Field(ge=1, le=100)] = 3
    metric: str | None = None
    bootstrap: Annotated[int, Field(ge=100)] = 1000
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    @model_validator(mode="before")
    @classmethod
    def _share_the_data(cls, raw: Any) -> Any:
        """A training that doesn't name the data set has the outer step's."""
        if not isinstance(raw, Mapping) or not isinstance(raw.get("training"), Mapping):
            return raw
        training = raw["training"]
        try:
            kind: type[Step] = registry.load("steps", str(training.get("step")))
        except GradusError:
            return raw  # told where the step itself is read
        if "data" in training or "data" not in kind.Config.model_fields or not raw.get("data"):
            return raw
        return {**raw, "training": {**training, "data": raw["data"]}}

    @field_validator("shares")
    @classmethod
    def _rising(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        rising = tuple(sorted(set(shares)))
        if rising != shares:
            raise ValueError("shares rise, each once")
        return rising if rising[-1] == 1.0 else (*rising, 1.0)

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str | None) -> str | None:
        return overall_metric(metric)

    @model_validator(mode="after")
    def _same_data(self) -> LearningCurveConfig:
        named = list(needs_of(self.training, "training").data.values())
        if named != [self.data]:
            has = f"'{named[0]}'" if named else "none"
            raise ValueError(f"the training's data is {has}, not '{self.data}'")
        return self


class LearningCurve(Step):
    """Train on ever larger shares of train, several times each, and say what more would give.

    Draws are nested by content hash. Each point is the mean over its draws on dev.select, with an
    interval over draws and items; a power law with an offset goes through them. Where the training
    chooses something on dev.select (when to stop), the points are a little optimistic, all alike.
    The checkpoint is that of the whole of train, and is measured on dev.gate as any other.
    """

    Config: ClassVar[type[StepConfig]] = LearningCurveConfig
    unrepeated: ClassVar[str | None] = "it repeats its own trainings: ask for more 'draws'"
    summary: ClassVar[str] = "the metric against the size of train, and what twice as much gives"
    example: ClassVar[str] = """\
id: more
step: learning-curve
data: news
shares: [0.1, 0.2, 0.4, 0.7, 1.0]
draws: 2
training: {step: baseline}
"""

    @classmethod
    def needs(cls, config: LearningCurveConfig) -> Needs:
        """The data set, and what the training needs beside it."""
        own = needs_of(config.training, "training")
        return Needs(
            data={"data": config.data}, models=own.models, corpora=own.corpora, takes=own.takes
        )

    @classmethod
    def times(cls, config: LearningCurveConfig) -> bool:
        """Whether the training searches by a cost."""
        return times_of(config.training)

    @classmethod
    def compares_by(cls, config: LearningCurveConfig) -> Mapping[str, str]:
        """Its metric, and what the training searches by."""
        own = {} if config.metric is None else {"metric": config.metric}
        return {**own, **compares_by_of(config.training, "training")}

    @classmethod
    def produces(cls, config: LearningCurveConfig) -> frozenset[str]:
        """What can be measured after the training."""
        return produces_of(config.training)

    def run(self, config: LearningCurveConfig, context: StepContext) -> StepOutcome:
        """Train on every draw, fit, and take over the checkpoint of the whole.

        Raises:
            TrainingError: the step has no data, or dev.select or every draw is too small.
        """
        from gradus.stats.learning import curve

        data = context.data
        if data is None or context.inner is None:
            raise TrainingError(f"{context.id}: name a data set in 'data'")
        if not len(data.select):
            raise TrainingError(f"{context.id}: dev.select is empty: nothing can be plotted")
        name = config.metric or benchmarks.of(data.target).compared[0]
        metric = registry.load("metrics", name)()
        drawn, notes = _sizes(config, data)
        seen, whole, seconds = _trained(config, drawn, data, context)
        count = float(len(data.train))
        found = curve(
            metric,
            list(drawn),
            [seen[size] for size in drawn],
            at=_at(min(drawn), count),
            draws=config.bootstrap,
            seed=context.seed,
            level=config.level,
            whole=len(data.train),
        )
        facts = {"metric": name, "unit": metric.unit, "draws": config.draws, **_facts(found, count)}
        checkpoint = context.inner.adopt(whole, context.out)
        return StepOutcome(
            checkpoint=checkpoint,
            facts={"learning": {**facts, "items": len(data.select), "level": config.level}},
            notes=[*notes, answer({**facts, "level": config.level})],
            cost={"train_seconds": seconds},
        )


def prefix(split: Split, size: int, draw: int) -> Split:
    """The first `size` items in the order of a hash of their content hash and the draw: nested."""
    marks = [hashlib.sha256(f"{draw} {item}".encode()).digest() for item in split.ids]
    return split.take(sorted(sorted(range(len(split)), key=marks.__getitem__)[:size]))


def _sizes(config: LearningCurveConfig, data: TrainingData) -> tuple[list[int], list[str]]:
    """Numbers of items to draw; those too small to hold two labels are left out, with a note."""
    import numpy as np

    count = len(data.train)
    kept, notes = [], []
    for size in dict.fromkeys(max(1, round(share * count)) for share in config.shares):
        draws = [prefix(data.train, size, draw) for draw in range(config.draws)]
        least = min(len(np.unique(one.labels)) for one in draws) if data.target == "label" else 2
        if size < count and (least < 2 or size < 2):
            notes.append(f"{size:,} of {count:,} texts are left out: a draw has a single label")
        else:
            kept.append(size)
    return kept, notes


def _trained(
    config: LearningCurveConfig, sizes: Sequence[int], data: TrainingData, context: StepContext
) -> tuple[dict[int, list[Items]], InnerResult, float]:
    """What each draw's checkpoint says of dev.select; the first draw of the whole; seconds."""
    from gradus.data.redrawn import redrawn

    assert context.inner is not None, "`run` has asked for it"
    seeded = bool(registry.load("steps", str(config.training["step"])).seeded)
    seen: dict[int, list[Items]] = {size: [] for size in sizes}
    seconds, whole = 0.0, None
    plan = [(size, draw) for size in sizes for draw in range(config.draws)]
    for done, (size, draw) in enumerate(plan):
        everything = size == len(data.train)
        if everything and draw and not seeded:
            continue  # the same items, and nothing is drawn: the same again
        name = f"{size}-draw{draw + 1}"
        context.monitor.progress(done, len(plan), name)
        own = None if everything else redrawn(data, train=prefix(data.train, size, draw))
        first = everything and not draw
        seed = context.seed if not draw else (context.seed + 7919 * draw) % 2**31
        result = context.inner.run(name, config.training, data=own, seed=seed, weights=first)
        if result.items is None:
            raise TrainingError(f"{context.id}: {name} says nothing of dev.select")
        seen[size].append(result.items)
        seconds += float(result.cost.get("seconds", 0.0))
        if first:
            whole = result
        else:
            context.inner.drop(result)
    context.monitor.progress(len(plan), len(plan), "draws")
    assert whole is not None, "the whole is always the last share"
    return seen, whole, seconds


def _at(least: float, count: float) -> list[float]:
    """Where the law is drawn: evenly on a logarithmic axis, then the whole, twice, four times."""
    steps = [least * (count / least) ** (i / 20) for i in range(20)] if least < count else []
    return [*steps, count, 2**0.5 * count, 2 * count, 8**0.5 * count, 4 * count]


def _facts(found: Curve, count: float) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "rows": int(count),
        "points": [
            {
                "n": int(p.x),
                "share": p.x / count,
                "value": p.value,
                "ci_low": p.low,
                "ci_high": p.high,
                "draws": list(p.draws),
            }
            for p in found.points
        ],
    }
    if isinstance(found.law, str):
        return {**facts, "no_law": found.law}
    return {**facts, **_law(found.law, count), **_caution(found.law, found.points)}


def _caution(law: PowerLaw, points: Sequence[Point]) -> dict[str, str]:
    """Where the law goes past more of its points than the one in twenty that chance may take."""
    missed = [int(p.x) for p in points if not p.low <= law(p.x) <= p.high]
    if len(missed) <= len(points) / 5:
        return {}
    sizes = ", ".join(f"{n:,}" for n in missed)
    said = f"The law goes past what was seen at {sizes} texts: a rough guess at best"
    return {"caution": said}


def _law(law: PowerLaw, count: float) -> dict[str, Any]:
    twice = next(p for p in law.predictions if math.isclose(p.x, 2 * count))
    return {
        "law": {
            "limit": law.limit,
            "factor": law.factor,
            "exponent": law.exponent,
            "exponent_low": law.exponent_low,
            "exponent_high": law.exponent_high,
            "explained": law.explained,
        },
        "curve": [[p.x, p.value, p.low, p.high] for p in law.predictions],
        "twice": {
            "n": int(2 * count),
            "value": twice.value,
            "ci_low": twice.low,
            "ci_high": twice.high,
            "gain": twice.gain,
            "gain_low": twice.gain_low,
            "gain_high": twice.gain_high,
        },
    }


def answer(facts: Mapping[str, Any]) -> str:
    """What twice the data would give, in a sentence."""
    metric = facts["metric"]
    if "twice" not in facts:
        return f"what twice the data would give can't be told from {metric}: {facts['no_law']}"
    told = facts["twice"]
    return (
        f"twice the data ({told['n']:,} texts) would give {metric} {told['value']:.3f} "
        f"[{told['ci_low']:.3f}, {told['ci_high']:.3f}], a change of {told['gain']:+.3f} "
        f"[{told['gain_low']:+.3f}, {told['gain_high']:+.3f}] against what the law says of all "
        f"{facts['rows']:,}; as far as the law holds beyond what was seen"
        + (f". {facts['caution']}" if "caution" in facts else "")
    )
