"""Step `panel`: people judge what was written, and the run waits for them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from gradus.panel import setting
from gradus.panel.given import Given, collect
from gradus.panel.records import PREFERENCE
from gradus.records import CheckpointRef, Waiting
from gradus.steps.base import Asking, Made, Needs, Step, StepConfig, StepContext, StepOutcome

KIND: Final = "ratings"
"""Of the checkpoint."""
RATINGS: Final = "ratings.jsonl"
CRITERIA: Final = ("fluency", "coherence", "relevance", "diversity", "accuracy")

Criterion = Literal["fluency", "coherence", "relevance", "diversity", "accuracy"]


class PanelConfig(StepConfig):
    """Config of `panel`.

    Attributes:
        of: the step `sample` whose writings are judged.
        mode: ``likert``: each writing gets 1 to 5 points for each criterion; ``pairs``: of two
            writings to one prompt the better one is chosen.
        criteria: what ``likert`` asks for; all five if left out.
        raters: how many must have finished before the run goes on.
        each: writings, or pairs, that one rater sees.
        language: of the page: ``en``, ``zh``, or ``both``, of which each rater chooses one.
    """

    of: str
    mode: setting.Mode = "likert"
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)] | None = None
    raters: Annotated[int, Field(ge=1, le=1000)] = 3
    each: Annotated[int, Field(ge=1)] = 40
    language: setting.Language = "en"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.criteria is not None and self.mode == "pairs":
            raise ValueError("pairs asks which of two is better as a whole: leave criteria out")
        if self.criteria is not None and len(set(self.criteria)) < len(self.criteria):
            raise ValueError("criteria names one criterion twice")
        return self

    def asked(self) -> tuple[str, ...]:
        """The criteria, in the order in which they are always asked."""
        if self.mode == "pairs":
            return (PREFERENCE,)
        chosen = self.criteria or CRITERIA
        return tuple(name for name in CRITERIA if name in chosen)


class Panel(Step):
    """People judge the writings of a step `sample`, without knowing who wrote which.

    As long as fewer than `raters` have finished, the step waits: the run ends with exit code 4 and
    says what serves the page (``gradus rate RUN``). Steps that don't depend on it have gone on by
    then. Running the plan again counts anew. What the raters said joins the step's fingerprint, so
    that answers which come in later are taken in by the next run.

    A rater who hasn't finished, or who failed more than half of the attention checks, counts for
    nothing and is told of in a note.
    """

    Config: ClassVar[type[StepConfig]] = PanelConfig
    makes: ClassVar[Made] = "ratings"
    seeded: ClassVar[bool] = False
    summary: ClassVar[str] = "people judge what was written; the run waits for them"
    example: ClassVar[str] = """\
id: people
step: panel
of: written
mode: likert
criteria: [fluency, coherence]
raters: 3
each: 20
gates: ["panel_fluency >= human - 1"]
"""

    @classmethod
    def needs(cls, config: PanelConfig) -> Needs:
        """The samples."""
        return Needs(models={"of": config.of}, takes={"of": ("samples",)})

    @classmethod
    def produces(cls, config: PanelConfig) -> frozenset[str]:
        """A score for each criterion, or the share of comparisons won."""
        if config.mode == "pairs":
            return frozenset({"panel_wins"})
        return frozenset(f"panel_{name}" for name in config.asked())

    def answers(self, config: PanelConfig, asking: Asking) -> str:
        """The digest of what the raters said, once enough have finished."""
        about = _setting(config, asking, asking.models[config.of])
        place = setting.place_of(asking.run, about)
        given = collect(setting.Panel(run=asking.run, place=place, setting=about))
        return given.digest if len(given.raters) >= config.raters else ""

    def run(self, config: PanelConfig, context: StepContext) -> StepOutcome:
        """Leave what `gradus rate` needs; with enough answers, reckon up and save them.

        Raises:
            CheckpointError: `of` holds no samples.
            DataError: samples or answers are damaged.
            UsageError: `each` doesn't suffice for one prompt with all its writers.
        """
        from gradus.panel.assignment import deal
        from gradus.writing.records import read_samples

        samples = context.models[config.of]
        written = read_samples(Path(samples.path))
        # Now, not when the page is opened: too few for one prompt is a fault of the plan.
        deal(written, mode=config.mode, each=config.each, seed=context.seed, rater="rater-1")
        panel = setting.leave(context.run, _setting(config, context, samples))
        given = collect(panel)
        if len(given.raters) < config.raters:
            return StepOutcome(waiting=_waiting(config, panel, given))
        from gradus.checkpoints import save_checkpoint
        from gradus.panel.records import write_ratings
        from gradus.panel.results import estimate
        from gradus.writing.records import write_columns

        results = estimate(
            (*given.ratings, *given.careless_ratings),
            written,
            mode=config.mode,
            criteria=config.asked(),
            seed=context.seed,
        )
        facts = {**results.facts, "answers": given.facts()}

        def write(partial: Path) -> None:
            write_ratings(partial / RATINGS, given.ratings)
            write_columns(partial, results.columns)

        save_checkpoint(
            context.out / "checkpoint",
            kind=KIND,
            labels=(),
            preprocessing={},
            parents=(samples,),
            facts=facts,
            write=write,
        )
        return StepOutcome(
            checkpoint=context.out / "checkpoint",
            notes=(*given.notes(), *results.notes),
            facts=facts,
        )


def _setting(
    config: PanelConfig, asking: Asking | StepContext, samples: CheckpointRef
) -> setting.Setting:
    return setting.Setting(
        step=asking.id,
        mode=config.mode,
        criteria=config.asked(),
        language=config.language,
        raters=config.raters,
        each=config.each,
        seed=asking.seed,
        samples=Path(os.path.relpath(samples.path, asking.run)).as_posix(),
        digest=samples.digest,
    )


def _waiting(config: PanelConfig, panel: setting.Panel, given: Given) -> Waiting:
    have, wanted = len(given.raters), config.raters
    why = f"{have} of {wanted} raters {'has' if have == 1 else 'have'} finished"
    if given.unfinished:
        why += f", {len(given.unfinished)} more {_be(given.unfinished)} at it"
    if given.careless:
        why += f"; {', '.join(given.careless)} {_be(given.careless)} not counted, having failed "
        why += "more than half of the attention checks"
    # Links of those who don't count are spent; others need some of their own.
    more = ("--raters", str(wanted + len(given.careless))) if given.careless else ()
    return Waiting(
        why=why,
        have=have,
        wanted=wanted,
        command=shlex.join((*panel.command, *more)),
        link=f"http://{setting.HOST}:{setting.PORT}/",
    )


def _be(those: Sequence[str]) -> str:
    return "is" if len(those) == 1 else "are"
