"""Steps inside a step: how a composite step (a search, a cross-validation) runs others.

A composite step takes the step it wraps as a mapping of its config, and runs it through
`StepContext.inner`, as often as it likes, each time with another config, other data or another
seed::

    class FoldsConfig(StepConfig):
        inner: AnyStep                    # checked by `gradus check`, faults at their own path

    class Folds(Step):
        @classmethod
        def needs(cls, config):
            return needs_of(config.inner)          # {"inner.model": ..., "inner.data": ...}

        @classmethod
        def produces(cls, config):
            return produces_of(config.inner)

        def run(self, config, context):
            data = context.data
            for number, (train, select) in enumerate(folds(data)):
                fold = redrawn(data, train=train, select=select)     # gradus.data.redrawn
                made = context.inner.run(f"fold-{number}", config.inner, data=fold)
                made.scores["accuracy"], made.items.log_probs        # on the fold's own dev.select
            return StepOutcome(checkpoint=context.inner.adopt(best, context.out))

What is done is found again by its fingerprint (config, seed, weights, rows of train and dev.select,
versions, dtype, threads), not by its name: after ``kill -9`` the composite step simply runs again
from its beginning, asks for the same things and gets those that are there at once; the one under
way goes on from its own state. All share the tokens and the frozen activations. Records of what
ran are added to the composite step's facts under ``inner`` by the runner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic import ValidationError as Invalid
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

from gradus import benchmarks, registry
from gradus.errors import GradusError, unknown
from gradus.steps.base import Needs, Step
from gradus.training.within import Boundary

if TYPE_CHECKING:
    from gradus.data.dataset import TrainingData
    from gradus.metrics.base import Items
    from gradus.records import CheckpointRef

_KINDS: Final = frozenset(get_args(core_schema.ErrorType))
OUTER: Final = ("id", "gates", "on_undecided", "seeds")
"""Keys of a plan's step that one inside another step can't have: they are the outer one's."""
COSTS: Final = ("latency_p50_ms", "latency_p95_ms", "throughput_texts_s", "size_mb")
"""What `Inner.run` measures where `costs` are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerResult:
    """What became of a step inside a step.

    Attributes:
        name: as it was asked for.
        fingerprint: names its folder.
        folder: its folder.
        paused: where it stands, when it was stopped at a boundary; None when it is done.
        checkpoint: its weights; None where it made none, was paused, or they were dropped.
        extras: further checkpoints by name.
        scores: metrics of the checkpoint on dev.select: what the data's benchmark compares and
            what was asked for. Without a data set, the last values of its curves; paused, those
            at the boundary.
        items: what the checkpoint says of each item of dev.select, in its order, with ``gold``
            and ``ids``; None without a data set and of one that was paused.
        costs: ``latency_p50_ms``, ``size_mb`` and so on, where asked for.
        curve: rows that it gave its monitor.
        facts: as in `StepOutcome`.
        cost: as in `StepOutcome`, and ``seconds``.
        notes: sentences.
        error: why it failed, of one that `known` finds failed.
    """

    name: str
    fingerprint: str
    folder: Path
    paused: Boundary | None = None
    checkpoint: CheckpointRef | None = None
    extras: Mapping[str, Path] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    items: Items | None = None
    costs: Mapping[str, float] = field(default_factory=dict)
    curve: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    error: str | None = None

    @property
    def train_seconds(self) -> float:
        """Seconds of training; those of the whole step where it tells no others."""
        return float(self.cost.get("train_seconds") or self.cost.get("seconds") or 0.0)


class Inner(Protocol):
    """Runs ordinary steps inside a step; see the module's docstring."""

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
        """Run a step, go on with it, or find it done.

        Args:
            name: for people: ``trial-0003``, ``fold-2``; stands in records and on the screen.
            step: its mapping as a plan has it: ``step`` (its kind) and the keys of its config.
            data: takes the place of the first data set that it names; make it with
                `gradus.data.redrawn.redrawn`, which gives it a stable digest. The data set's own
                train and dev.select when left out.
            models: what its model names stand for, beside those of the outer step.
            seed: the outer step's when left out, so that configs are compared under the same
                draws; give others to repeat it.
            boundary: asked at the end of each stage but the last whether to go on; when it says
                no, the result says `paused`, and the same call goes on later, where the same
                boundary is asked about first. After a kill it is asked again.
            metrics: plain names, to be scored beside what the benchmark compares.
            costs: whether latency and size are measured.
            weights: False takes a result whose weights were dropped; True trains it again.

        Raises:
            GradusError: whatever the step raises, e.g. `TrainingError` for a loss that isn't
                finite, and for a config that isn't one.
            Interrupted: the state is saved; the same call goes on.
        """
        ...

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
        """What `run` would find without running: one that is done, rests at a boundary or failed;
        None of one that never came so far. It joins the records."""
        ...

    def taken(
        self,
        name: str,
        step: Mapping[str, Any],
        *,
        data: TrainingData | None = None,
        models: Mapping[str, CheckpointRef] | None = None,
        seed: int | None = None,
    ) -> dict[str, float]:
        """What one that ended or failed has cost, as far as it is known: ``train_tokens``,
        ``train_seconds``, ``seconds``; empty of one that never began."""
        ...

    def drop(self, result: InnerResult) -> None:
        """Delete its weights and its state; scores, items, curve and record stay."""
        ...

    def forget(self) -> None:
        """Delete the frozen activations that steps have shared and that go by their data: those to
        come have other data. What is kept text by text stays."""
        ...

    def adopt(self, result: InnerResult, out: Path) -> Path:
        """Its checkpoint as the outer step's own: ``out / "checkpoint"``, the same bytes."""
        ...

    @property
    def timing(self) -> dict[str, Any]:
        """The settings that costs are measured with."""
        ...

    @property
    def place(self) -> Path:
        """A folder of the outer step's that outlives a change of its config: what a composite
        step remembers of earlier searches may lie there."""
        ...

    def records(self) -> list[dict[str, Any]]:
        """A JSON row for each name that was run, in order of their first run: name, step,
        fingerprint, folder, state (done, paused, failed), scores, costs, cost, notes, curves."""
        ...


def read_step(raw: Any) -> dict[str, Any]:
    """The mapping of a step, checked by its own config, its kind with the version.

    Raises:
        pydantic.ValidationError: every fault of it, each at its place.
    """
    if not isinstance(raw, Mapping):
        raise _invalid([InitErrorDetails(type="dict_type", loc=(), input=raw)])
    options = dict(raw)
    faults = [
        _told(f"'{key}' belongs to the outer step: move it there", (key,), options[key])
        for key in OUTER
        if key in options
    ]
    kind = options.pop("step", None)
    if not isinstance(kind, str):
        missing = "missing" if kind is None else "string_type"
        raise _invalid([*faults, InitErrorDetails(type=missing, loc=("step",), input=raw)])
    try:
        name = registry.resolve("steps", kind)
        made: type[Step] = registry.load("steps", name)
    except GradusError as error:
        raise _invalid([*faults, _told(str(error), ("step",), kind)]) from error
    if made.makes != "model":
        told = f"{registry.plain(name)} makes no model that could be scored on dev.select"
        faults.append(_told(told, ("step",), kind))
    own = {key: value for key, value in options.items() if key not in OUTER}
    try:
        config = made.Config.model_validate(own)
    except Invalid as error:
        again = [_again(d, made.Config) for d in error.errors(include_url=False)]
        raise _invalid([*faults, *again]) from error
    if faults:
        raise _invalid(faults)
    return {"step": name, **config.model_dump(mode="json", by_alias=True)}


@dataclass(frozen=True, slots=True)
class AsStep:
    """Annotates a config field that holds an ordinary step's mapping; see `read_step`."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(read_step)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "object", "required": ["step"], "properties": {"step": {"type": "string"}}}


AnyStep = Annotated[Mapping[str, Any], AsStep()]
"""A config field that holds an ordinary step's mapping."""


def kind_of(step: Mapping[str, Any]) -> type[Step]:
    """The class of the step that a mapping names."""
    kind: type[Step] = registry.load("steps", str(step["step"]))
    return kind


def config_of(step: Mapping[str, Any]) -> BaseModel:
    """The validated config of a step's mapping."""
    rest = {key: value for key, value in step.items() if key != "step"}
    return kind_of(step).Config.model_validate(rest)


def overall_metric(metric: str | None) -> str | None:
    """The name of a metric of quality that is one number over all labels, or None as it came.

    Raises:
        ValueError: there is no such metric; the message suggests near names.
    """
    known = overall_metrics()
    if metric is not None and metric not in known:
        raise ValueError(unknown("metric", metric, known))
    return metric


def overall_metrics() -> frozenset[str]:
    """The metrics of quality that are one number over all labels."""
    return frozenset(
        name
        for name in benchmarks.quality_metrics()
        if not (kind := registry.load("metrics", name)).per_label or kind.overall
    )


def times_of(step: Mapping[str, Any]) -> bool:
    """Whether the step chooses by timings, for the outer step's `times`."""
    return kind_of(step).times(config_of(step))


def needs_of(step: Mapping[str, Any], place: str = "inner") -> Needs:
    """What the step in the config's field `place` needs, for the outer step's `needs`."""
    own = kind_of(step).needs(config_of(step))

    def below(names: Mapping[str, Any]) -> dict[str, Any]:
        return {f"{place}.{key}": value for key, value in names.items()}

    return Needs(
        models=below(own.models),
        data=below(own.data),
        corpora=below(own.corpora),
        either=below(own.either),
        takes=below(own.takes),
    )


def produces_of(step: Mapping[str, Any]) -> frozenset[str]:
    """What can be measured after the step, for the outer step's `produces`."""
    return kind_of(step).produces(config_of(step))


def compares_by_of(step: Mapping[str, Any], place: str) -> dict[str, str]:
    """What the step in the config's field `place` compares by, for the outer step's
    `compares_by`."""
    own = kind_of(step).compares_by(config_of(step))
    return {f"{place}.{key}": metric for key, metric in own.items()}


def _invalid(faults: list[InitErrorDetails]) -> Invalid:
    return Invalid.from_exception_data("step", faults)


def _told(message: str, place: tuple[int | str, ...], value: Any) -> InitErrorDetails:
    """A fault in our own words."""
    error = ValueError(message)
    return InitErrorDetails(type="value_error", loc=place, input=value, ctx={"error": error})


def _again(detail: ErrorDetails, config: type[BaseModel]) -> InitErrorDetails:
    """pydantic's fault as it was found; for a key that nobody knows, with the nearest known one."""
    place, value, kind = detail["loc"], detail["input"], detail["type"]
    if kind == "extra_forbidden" and len(place) == 1:
        return _told(unknown("key", str(place[0]), config.model_fields), place, value)
    if kind not in _KINDS:
        own = PydanticCustomError("value_error", "{error}", {"error": detail["msg"]})
        return InitErrorDetails(type=own, loc=place, input=value)
    return InitErrorDetails(type=kind, loc=place, input=value, ctx=detail.get("ctx", {}))


__all__ = [
    "COSTS",
    "AnyStep",
    "AsStep",
    "Boundary",
    "Inner",
    "InnerResult",
    "compares_by_of",
    "config_of",
    "kind_of",
    "needs_of",
    "overall_metric",
    "overall_metrics",
    "produces_of",
    "read_step",
    "times_of",
]
