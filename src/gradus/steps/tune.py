"""Step `tune`: search the settings of another step."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic import ValidationError as Invalid

from gradus import hardware
from gradus.errors import TrainingError, UsageError
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome
from gradus.steps.inner import (
    COSTS,
    Inner,
    compares_by_of,
    needs_of,
    produces_of,
    read_step,
    times_of,
)
from gradus.tuning import space as spaces
from gradus.tuning.checking import check_objectives, first, inner_faults, variants
from gradus.tuning.config import (
    TRIALS,
    BudgetConfig,
    ObjectiveConfig,
    PrunerConfig,
    RangeTestConfig,
    SamplerConfig,
    as_list,
    named,
    objective,
)
from gradus.tuning.space import Place, Space, spaces_in

if TYPE_CHECKING:
    from gradus.tuning.halving import Halving, Trial
    from gradus.tuning.ranges import Range

MANY: Final = 10_000


def _objectives(raw: Any) -> Any:
    listed = as_list(raw)
    return [objective(one) for one in listed] if isinstance(listed, list | tuple) else listed


class TuneConfig(StepConfig):
    """What a plan says about a search.

    Attributes:
        inner: the step that is tuned, as a plan has it (``step`` and its keys), with spaces in the
            place of values: ``{log: [1.0e-5, 1.0e-3]}``, ``{uniform: [0, 0.3]}``,
            ``{int: [8, 64]}`` (with ``log: true`` or ``step: 8``), ``{choice: [adamw, lion]}``,
            whose choices may be whole stages; ``{same_as: "stages[0].lr"}`` takes a space's value.
        objectives: what is searched for on dev.select: a metric or several, or mappings with
            ``metric`` and ``direction``; accuracy when left out. The first one decides.
        sampler: ``tpe``, ``grid``, ``random``, ``cma-es`` or ``gp``, or a mapping with its options.
        pruner: ``halving`` or ``hyperband``, or a mapping with its options: at the end of a stage
            only the best go on at once.
        budget: ``trials``, ``minutes``, ``tokens``.
        patience: the search ends after so many trials in a row without a better one.
        storage: a database of trials, ``postgresql://USER:PASSWORD@HOST/NAME``, or ``env:NAME`` for
            the variable that holds it; SQLite in the run folder when left out.
        lr_range_test: a range test before the first trial.
        keep: weights of the ``best`` (with several objectives, of the front) or of ``all`` trials.
    """

    inner: Mapping[str, Any]
    objectives: Annotated[
        tuple[ObjectiveConfig, ...], BeforeValidator(_objectives), Field(min_length=1)
    ] = (ObjectiveConfig(metric="accuracy"),)
    sampler: Annotated[SamplerConfig, BeforeValidator(named)] = SamplerConfig()
    pruner: Annotated[PrunerConfig, BeforeValidator(named)] | None = None
    budget: BudgetConfig = BudgetConfig()
    patience: Annotated[int, Field(ge=1)] | None = None
    storage: str | None = None
    lr_range_test: RangeTestConfig | None = None
    keep: Literal["best", "all"] = "best"

    @model_validator(mode="before")
    @classmethod
    def _checked_inner(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and "inner" in raw:
            faults = list(inner_faults(raw["inner"]))
            if faults:
                raise Invalid.from_exception_data("tune", faults)
        return raw

    @model_validator(mode="after")
    def _fits(self) -> TuneConfig:
        stages = self.stages()
        if self.pruner is not None:
            if len(self.objectives) > 1:
                raise ValueError("pruner: compares by one objective; there are several")
            if self.sampler.name == "cma-es":
                raise ValueError("pruner: cma-es needs the end of every trial; take tpe")
            if stages < 2:
                raise ValueError("pruner: compares at the end of a stage; give two stages or more")
            if self.pruner.rungs is not None and self.pruner.rungs[-1] >= stages:
                raise ValueError(f"pruner: a rung stands before the end of the {stages} stages")
        if self.sampler.name == "cma-es" and len(self.objectives) > 1:
            raise ValueError("sampler: cma-es takes one objective; take tpe")
        if self.sampler.name == "cma-es" and sum(s.kind != "choice" for s in self.spaces()) < 2:
            raise ValueError("sampler: cma-es needs two ranges or more; take tpe or gp")
        if self.sampler.name == "grid" and len(self.cells()) > MANY:
            raise ValueError(f"sampler: a grid of more than {MANY:,} cells; give fewer points")
        test = self.lr_range_test
        if test is not None and test.stage >= len(self.example().get("stages") or ()):
            raise ValueError(f"lr_range_test: the step has no stage {test.stage}, counted from 0")
        check_objectives(
            self.example(), [one.metric for one in self.objectives], pruned=self.pruner is not None
        )
        if self.storage is not None and not self.storage.startswith("env:"):
            scheme, colon, rest = self.storage.partition("://")
            if not (scheme and colon and rest):
                raise ValueError("storage: write sqlite:///FILE, postgresql://... or env:NAME")
        return self

    def spaces(self) -> list[Space]:
        """The spaces of the inner step."""
        return spaces_in(self.inner)[0]

    def cells(self) -> list[dict[Place, Any]]:
        """The cells of a grid; counted first, since there may be far too many."""
        found = self.spaces()
        count = 1
        for one in found:
            count *= len(one.points(self.sampler.points))
        return spaces.grid(found, self.sampler.points) if count <= MANY else [{}] * (MANY + 1)

    def example(self) -> dict[str, Any]:
        """The inner step with the first value of every space."""
        return first(dict(self.inner), self.spaces())

    def stages(self) -> int:
        """The most stages that a trial may have; 0 where the step has none."""
        counts = [len(one.get("stages") or ()) for _, one in variants(self.inner)]
        return max(counts)


class Tune(Step):
    """Search the settings of a step, on dev.select; the checkpoint is the winner's.

    Each trial is an ordinary step inside this one, with the same seed, so that settings are
    compared under the same draws. Trials share tokens and frozen activations, rest at the end of a
    stage while others are better (Li et al. 2020), and are kept in a database, from which a killed
    search goes on. The winner's score is the best of many draws: on dev.select it is optimistic,
    and the gates judge it on dev.gate as any step's.
    """

    Config: ClassVar[type[StepConfig]] = TuneConfig
    summary: ClassVar[str] = "search the settings of another step"
    example: ClassVar[str] = """\
id: tuned
step: tune
inner:
  step: finetune
  model: encoder
  data: news
  stages:
    - {train: head, epochs: 2, lr: {log: [1.0e-3, 1.0e-1]}}
sampler: {name: tpe, startup: 2}
budget: {trials: 3}
gates: ["accuracy >= 0.2"]
"""

    @classmethod
    def needs(cls, config: TuneConfig) -> Needs:
        """What the inner step needs, for every value of its spaces."""
        found = needs_of(read_step(config.example()))
        models, data = dict(found.models), dict(found.data)
        for place, step in variants(config.inner):
            own = needs_of(read_step(step))
            for known, names in ((models, own.models), (data, own.data)):
                for key, name in names.items():
                    if name not in known.values():
                        known[f"inner.{place}" if place else key] = name
        return replace(found, models=models, data=data)

    @classmethod
    def times(cls, config: TuneConfig) -> bool:
        """Whether an objective is a cost."""
        return any(one.metric in COSTS for one in config.objectives) or times_of(config.example())

    @classmethod
    def compares_by(cls, config: TuneConfig) -> Mapping[str, str]:
        """The objectives that are no costs, and those of a search inside."""
        own = {f"objectives[{i}]": one.metric for i, one in enumerate(config.objectives)}
        return {
            **{place: name for place, name in own.items() if name not in COSTS},
            **compares_by_of(config.example(), "inner"),
        }

    @classmethod
    def produces(cls, config: TuneConfig) -> frozenset[str]:
        """What the inner step produces."""
        return produces_of(read_step(config.example()))

    def run(self, config: TuneConfig, context: StepContext) -> StepOutcome:
        """Search, or go on with the search, and take over the winner's checkpoint."""
        from gradus.tuning.optuna_backend import Proposer, Storage, importance, require
        from gradus.tuning.search import Search, best_of, winners
        from gradus.tuning.told import told

        assert context.inner is not None, "the runner hands it to every step"
        require()
        found = None
        own = config.spaces()
        if config.lr_range_test is not None:
            found = range_test(config, own, context.inner)
            own = [_narrowed(one, config.lr_range_test, found) for one in own]
        higher = tuple(one.higher() for one in config.objectives)
        budget = _budget(config)
        startup = config.sampler.startup or min(10, max(4, (budget.trials or TRIALS) // 4))
        search = Search(
            step=config.inner,
            spaces=own,
            inner=context.inner,
            storage=Storage(_url(config, context), _study(config, own, context), own, higher),
            proposer=Proposer(
                own, config.sampler.name, context.seed, higher, startup, config.sampler.points
            ),
            objectives=config.objectives,
            budget=budget,
            halving=halving(config, higher[0]),
            patience=config.patience,
            keep=config.keep,
            say=context.monitor.progress,
        )
        search.storage.open()
        trials = search.run()
        (best,) = best_of(trials, higher)
        winner = context.inner.run(best.name, search.config(best), metrics=search.asked())
        checkpoint = context.inner.adopt(winner, context.out)
        _tidy(search, trials, winners(trials, higher))
        shares = [importance(trials, own, index, context.seed) for index in range(len(higher))]
        facts = told(config, search, trials, best, shares, found)
        return StepOutcome(
            checkpoint=checkpoint,
            facts={**facts, "digest": winner.checkpoint.digest if winner.checkpoint else ""},
            notes=(_note(best, trials, config),),
            cost=_cost(context.inner.records()),
        )


def _note(best: Trial, trials: Sequence[Trial], config: TuneConfig) -> str:
    shown = ", ".join(
        f"{one.metric} {value:.4g}"
        for one, value in zip(config.objectives, best.values, strict=True)
    )
    done = sum(trial.state == "done" for trial in trials)
    return (
        f"{best.name} won: {shown} on dev.select, the best of {len(trials)} trials ({done} went "
        "through all stages) and so optimistic; dev.gate says what it is worth"
    )


def _tidy(search: Any, trials: Sequence[Trial], kept: Sequence[Trial]) -> None:
    """Have every trial's record, and drop what nobody will go on with."""
    from gradus.tuning.search import losers

    lost = {trial.number for trial in losers(trials, kept)}
    for trial in trials:
        known = search.inner.known(
            trial.name, search.config(trial), metrics=search.asked(), costs=search.timed()
        )
        if known is not None and search.keep == "best" and trial.number in lost:
            search.inner.drop(known)


def _cost(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """All trials' costs together."""
    found: dict[str, float] = {}
    for row in {row["fingerprint"]: row for row in rows}.values():
        for name in ("train_tokens", "train_seconds", "flops"):
            if name in row["cost"]:
                found[name] = found.get(name, 0) + row["cost"][name]
    return found


def halving(config: TuneConfig, higher: bool) -> Halving | None:
    """The pruner with its rungs."""
    from gradus.tuning.halving import Halving

    if config.pruner is None:
        return None
    rungs = config.pruner.rungs or tuple(range(1, config.stages()))
    brackets = len(rungs) + 1 if config.pruner.name == "hyperband" else 1
    return Halving(config.pruner.eta, rungs, brackets, higher)


def _budget(config: TuneConfig) -> BudgetConfig:
    """The budget with what follows where it says nothing."""
    given = config.budget
    if config.sampler.name == "grid":
        cells = len(config.cells())
        return given.model_copy(update={"trials": min(cells, given.trials or cells)})
    if given.trials is None and given.minutes is None and given.tokens is None:
        return given.model_copy(update={"trials": TRIALS})
    return given


def _url(config: TuneConfig, context: StepContext) -> str:
    """Where trials are stored."""
    assert context.inner is not None, "said above"
    if config.storage is None:
        return f"sqlite:///{context.inner.place / 'trials.db'}"
    if not config.storage.startswith("env:"):
        return config.storage
    name = config.storage.removeprefix("env:")
    if not os.environ.get(name):
        raise UsageError(f"storage: the environment variable {name} isn't set: set it to a URL")
    return os.environ[name]


def _study(config: TuneConfig, own: Sequence[Space], context: StepContext) -> str:
    """The name of the study: the same as long as the same is searched in the same run folder.

    The budget, patience and the storage aren't in it: a search with more trials goes on.
    """
    from gradus.checkpoints.hashing import hash_json
    from gradus.tuning.optuna_backend import version

    assert context.inner is not None, "said above"
    mark = context.inner.place / "search.json"
    if not mark.exists():
        partial = mark.with_suffix(".partial")
        partial.write_text(json.dumps({"search": uuid.uuid4().hex}), encoding="utf-8")
        partial.replace(mark)
    token = json.loads(mark.read_text(encoding="utf-8"))["search"]
    parts = {
        "inner": dict(config.inner),
        "spaces": [one.to_json() for one in own],
        "objectives": [one.model_dump() for one in config.objectives],
        "sampler": config.sampler.model_dump(),
        "pruner": None if config.pruner is None else config.pruner.model_dump(),
        "seed": context.seed,
        "data": {name: of.digest for name, of in context.datasets.items()},
        "corpora": {name: of.digest for name, of in context.corpora.items()},
        "models": {name: ref.digest for name, ref in context.models.items()},
        # What a trial's own fingerprint rests on too: others would give the same settings other
        # values, and the winner's checkpoint wouldn't be what was scored.
        "versions": {n: hardware.version(n) for n in ("gradus-lm", "torch", "transformers")},
        "dtype": context.dtype,
        "threads": hardware.threads(),
        **({"timing": context.inner.timing} if Tune.times(config) else {}),
        "optuna": version(),
    }
    return f"{context.id}-{token[:12]}-{hash_json(parts)[:12]}"


def range_test(config: TuneConfig, own: Sequence[Space], inner: Inner) -> Range:
    """Train once with a rising rate; see `gradus.tuning.ranges`."""
    from gradus.tuning import ranges

    test = config.lr_range_test
    assert test is not None, "its caller has looked"
    step = first(dict(config.inner), own)
    stage = {
        key: value
        for key, value in dict(step["stages"][test.stage]).items()
        if key not in ("epochs", "steps", "patience", "keep", "head_lr", "average", "solver")
    }
    stage |= {"steps": test.steps, "lr": test.high, "schedule": "range-test", "warmup": 0}
    step = {**step, "stages": [*step["stages"][: test.stage], stage]}
    found = inner.known("range-test", step)
    if found is None or found.paused is not None:  # killed after a stage before the one tested
        try:
            found = inner.run("range-test", step, weights=False)
        except TrainingError:
            # The loss was no number any more: what came before is what is asked for.
            found = inner.known("range-test", step)
            if found is None:
                raise
    inner.drop(found)
    return ranges.read(found.curve, test.stage)


def _narrowed(one: Space, test: RangeTestConfig, found: Range) -> Space:
    from gradus.tuning import ranges

    own = one.place == ("stages", test.stage, "lr")
    return ranges.narrowed(one, found) if own and test.sets else one
