"""Step `crossval`: several ways of training, each tested on what it wasn't trained on.

Legend: N items of train, k folds, r repeats, S seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gradus import registry
from gradus.errors import GradusError, TrainingError, UsageError
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome
from gradus.steps.inner import (
    AnyStep,
    compares_by_of,
    config_of,
    kind_of,
    needs_of,
    overall_metric,
    produces_of,
    times_of,
)

if TYPE_CHECKING:
    from gradus.crossval.cells import Cell

LEAST_FOLDS: Final = 2


class CrossvalConfig(StepConfig):
    """Config of `crossval`.

    Attributes:
        data: the data set; its train is folded, dev.gate and test are left alone.
        configurations: by name, the steps that are compared, as a plan has them but without ``id``,
            gates and seeds; ``data`` may be left out. A step that tunes is tuned anew inside each
            fold, so that its value isn't that of what was chosen by the same items (nested
            cross-validation).
        folds: k.
        repeats: r partitions, independent of one another. One makes the corrected test cautious.
        scheme: ``hash`` (adding rows never moves old ones) or ``stratified`` (every fold has its
            exact share of every label, and new rows may move old ones).
        group: a field that the data keep; items with one value stay in one fold.
        near_duplicates: whether texts that are nearly the same stay in one fold.
        select: the share of a fold's training part that early stopping, thresholds and tuning look
            at, cut like the folds.
        seeds_per_fold: S trainings of each configuration on each fold, to tell the spread over
            seeds from that over folds.
        metric: what is compared; left out, what the data's benchmark compares first.
        refit: what the checkpoint is: the best configuration trained on ``all`` of train, an
            ``ensemble`` of its folds' checkpoints, or ``none``.
        doubts: how many of the labels most likely wrong the report lists; the file has all.
        seen_items: why a configuration may begin with a model that was trained on items of train,
            which flatters it; the report repeats it. Refused when left out.
    """

    data: str
    configurations: Annotated[dict[str, AnyStep], Field(min_length=1)]
    folds: Annotated[int, Field(ge=LEAST_FOLDS, le=100)] = 5
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    scheme: Literal["hash", "stratified"] = "hash"
    group: str | None = None
    near_duplicates: bool = False
    select: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    seeds_per_fold: Annotated[int, Field(ge=1, le=100)] = 1
    metric: str | None = None
    refit: Literal["all", "ensemble", "none"] = "all"
    doubts: Annotated[int, Field(ge=0)] = 20
    seen_items: str = ""

    @model_validator(mode="before")
    @classmethod
    def _share_the_data(cls, raw: Any) -> Any:
        """A configuration that doesn't name the data set has the outer step's."""
        if not isinstance(raw, Mapping) or not isinstance(raw.get("configurations"), Mapping):
            return raw
        shared = {
            name: _with_data(step, raw.get("data")) for name, step in raw["configurations"].items()
        }
        return {**raw, "configurations": shared}

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str | None) -> str | None:
        return overall_metric(metric)

    @field_validator("configurations")
    @classmethod
    def _same_data(
        cls, configurations: dict[str, Mapping[str, Any]], info: ValidationInfo
    ) -> dict[str, Mapping[str, Any]]:
        data = info.data.get("data")
        for name, step in configurations.items():
            own = list(kind_of(step).needs(config_of(step)).data.values())
            if data is not None and own != [data]:
                told = f"has '{own[0]}'" if own else "has none"
                raise ValueError(
                    f"{name}: a configuration is trained on folds of '{data}', and this {told}"
                )
        return configurations


def _with_data(step: Any, data: Any) -> Any:
    if not isinstance(step, Mapping) or "data" in step or data is None:
        return step
    try:
        kind: type[Step] = registry.load("steps", str(step.get("step")))
    except GradusError:
        return step  # told where the step itself is read
    if "data" in kind.Config.model_fields:
        return {**step, "data": data}
    # A step around another one, as a search: the data are the inner one's.
    return {**step, "inner": _with_data(step["inner"], data)} if "inner" in step else step


class Crossval(Step):
    """k-fold cross-validation of one or several ways of training, on train alone.

    Each configuration is trained on every fold's training part and predicts what was held out, so
    that every item of train has a prediction by models that haven't seen it. From these: values
    with intervals, tests between configurations (`gradus.crossval.conclude`), where the spread
    comes from (`gradus.stats.components`), and the labels most likely wrong
    (`gradus.stats.confident`).
    """

    Config: ClassVar[type[StepConfig]] = CrossvalConfig
    tests: ClassVar[bool] = True
    unrepeated: ClassVar[str | None] = (
        "it repeats its own trainings: ask for 'repeats' or 'seeds_per_fold'"
    )
    summary: ClassVar[str] = "several ways of training, compared over folds of train"
    example: ClassVar[str] = """\
id: folds
step: crossval
data: news
folds: 3
scheme: stratified
configurations:
  words: {step: baseline}
  characters: {step: baseline, analyzer: char_wb, ngrams: [2, 4]}
"""

    @classmethod
    def needs(cls, config: CrossvalConfig) -> Needs:
        """The data set, and what each configuration needs beside it."""
        parts = [
            needs_of(step, f"configurations.{name}") for name, step in config.configurations.items()
        ]
        return Needs(
            data={"data": config.data},
            models={key: name for part in parts for key, name in part.models.items()},
            corpora={key: name for part in parts for key, name in part.corpora.items()},
            takes={key: made for part in parts for key, made in part.takes.items()},
        )

    @classmethod
    def times(cls, config: CrossvalConfig) -> bool:
        """Whether a configuration searches by a cost."""
        return any(map(times_of, config.configurations.values()))

    @classmethod
    def compares_by(cls, config: CrossvalConfig) -> Mapping[str, str]:
        """Its metric, and what configurations search by."""
        found = {} if config.metric is None else {"metric": config.metric}
        for name, step in config.configurations.items():
            found |= compares_by_of(step, f"configurations.{name}")
        return found

    @classmethod
    def produces(cls, config: CrossvalConfig) -> frozenset[str]:
        """What can be measured of the checkpoint, whichever configuration it is of."""
        if config.refit == "none":
            return frozenset()
        return frozenset.intersection(*map(produces_of, config.configurations.values()))

    def run(self, config: CrossvalConfig, context: StepContext) -> StepOutcome:
        """Train and predict every cell, conclude, and make the checkpoint.

        Raises:
            TrainingError: the step has no data, or a configuration made no checkpoint.
            DataError: the folds can't be made.
            UsageError: a configuration begins with a model that was trained on what is held out.
        """
        from gradus.crossval.cells import run_cells
        from gradus.crossval.facts import concluded
        from gradus.crossval.partition import groups_of, partition
        from gradus.crossval.written import PREDICTIONS, write_predictions
        from gradus.predict.ensemble import TARGETS

        data = context.data
        if data is None or context.inner is None:
            raise TrainingError(f"{context.id}: name a data set in 'data'")
        if config.refit == "ensemble" and data.target not in TARGETS:
            raise TrainingError(
                f"{context.id}: answers with target '{data.target}' can't be averaged; write "
                "'refit: all'"
            )
        seen = self._seen(config, context)
        groups = groups_of(
            data.train, data.name, config.group, near_duplicates=config.near_duplicates
        )
        folds = partition(
            data,
            folds=config.folds,
            repeats=config.repeats,
            scheme=config.scheme,
            select=config.select,
            seed=context.seed,
            groups=groups,
        )
        cells = run_cells(
            config.configurations,
            folds,
            context,
            seeds=config.seeds_per_fold,
            keep=config.refit == "ensemble",
        )
        write_predictions(context.out / PREDICTIONS, cells, data.train)
        facts, notes = concluded(config, cells, folds, groups, context)
        for note in (*seen, *notes):
            context.monitor.note(note)
        checkpoint, refitted = self._checkpoint(config, cells, str(facts["winner"]), context)
        return StepOutcome(
            checkpoint=checkpoint,
            facts=facts,
            cost={"train_seconds": sum(cell.seconds for cell in cells) + refitted},
        )

    def _seen(self, config: CrossvalConfig, context: StepContext) -> list[str]:
        """What is to be said of models that know the folds' items already.

        Raises:
            UsageError: there is one, and the plan doesn't say why.
        """
        from gradus.checkpoints import share_seen

        assert context.data is not None, "`run` has asked for it"
        found = []
        for name, step in config.configurations.items():
            for model in dict.fromkeys(needs_of(step).models.values()):
                share, who = share_seen(context.models[model], context.data.train.ids)
                if not share:
                    continue
                told = f"'{name}': '{who}' was trained on about {share:.0%} of the items"
                if not config.seen_items.strip():
                    raise UsageError(
                        f"{context.id}: {told} of '{config.data}' that the folds hold out: begin "
                        "with a model that has not seen them, or say why with seen_items"
                    )
                found.append(
                    f"{told} that the folds hold out, which flatters it; the plan says: "
                    f"{config.seen_items.strip()}"
                )
        return found

    def _checkpoint(
        self,
        config: CrossvalConfig,
        cells: Sequence[Cell],
        winner: str,
        context: StepContext,
    ) -> tuple[Path | None, float]:
        """The step's checkpoint, and the seconds that were trained for it beyond the folds."""
        from gradus.predict.ensemble import save_ensemble

        assert context.inner is not None, "`run` has asked for it"
        if config.refit == "none":
            return None, 0.0
        if config.refit == "all":
            result = context.inner.run(f"{winner}-refit", config.configurations[winner])
            return context.inner.adopt(result, context.out), result.train_seconds
        own = [cell for cell in cells if cell.configuration == winner]
        members = [Path(c.result.checkpoint.path) for c in own if c.result.checkpoint is not None]
        facts = {"configuration": winner, "members": [cell.name for cell in own]}
        made = save_ensemble(context.out / "checkpoint", members, facts=facts)
        for cell in cells:
            context.inner.drop(cell.result)
        return Path(made.path), 0.0
