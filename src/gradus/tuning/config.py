"""What a plan says about a search. Imports nothing heavy: a plan is checked with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gradus import registry
from gradus.errors import GradusError

Positive = Annotated[float, Field(gt=0)]
Direction = Literal["higher", "lower"]
TRIALS: Final = 20


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SamplerConfig(_Part):
    """Who proposes.

    Attributes:
        name: ``tpe`` (Bergstra et al. 2011), ``cma-es`` (Hansen 2016), ``gp`` (a Gaussian process),
            ``random`` or ``grid``.
        startup: of tpe and gp: how many trials are drawn at random first; left out, a quarter of
            the budget's trials, and from 4 to 10.
        points: of a grid: values of each space that isn't a choice.
    """

    name: Literal["tpe", "grid", "random", "cma-es", "gp"] = "tpe"
    startup: Annotated[int, Field(ge=1)] | None = None
    points: Annotated[int, Field(ge=1)] = 4


class PrunerConfig(_Part):
    """Who goes on beyond a stage.

    Attributes:
        name: ``halving`` compares all trials at every rung, ``hyperband`` spreads them over
            brackets that begin to compare later.
        eta: one in so many goes on.
        rungs: after how many stages trials are compared; after each but the last when left out.
    """

    name: Literal["halving", "hyperband"] = "halving"
    eta: Annotated[int, Field(ge=2)] = 3
    rungs: tuple[Annotated[int, Field(ge=1)], ...] | None = None

    @model_validator(mode="after")
    def _rising(self) -> PrunerConfig:
        if self.rungs is not None and (
            not self.rungs or list(self.rungs) != sorted(set(self.rungs))
        ):
            raise ValueError("rungs: should be rising whole numbers")
        return self


class ObjectiveConfig(_Part):
    """What is searched for.

    Attributes:
        metric: of the data's benchmark on dev.select, a cost (``latency_p50_ms``, ``size_mb``...),
            or a value of the step's curves where it has no data.
        direction: ``higher`` or ``lower`` is better; the metric's own when left out.
    """

    metric: str
    direction: Direction | None = None

    @model_validator(mode="after")
    def _known(self) -> ObjectiveConfig:
        if self.direction is None:
            self.higher()
        return self

    def higher(self) -> bool:
        """Whether more is better.

        Raises:
            ValueError: nobody says.
        """
        if self.direction is not None:
            return self.direction == "higher"
        try:
            return bool(registry.load("metrics", self.metric).direction == "higher")
        except GradusError as error:
            raise ValueError(
                f"{error}; of a value that is no metric say its 'direction'"
            ) from error


class BudgetConfig(_Part):
    """When no new trial begins; whichever comes first.

    Attributes:
        trials: so many; 20 when nothing is said, of a grid all of its cells.
        minutes: of training, added up over all trials.
        tokens: trained on, added up over all trials.
    """

    trials: Annotated[int, Field(ge=1)] | None = None
    minutes: Positive | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None


class RangeTestConfig(_Part):
    """A learning-rate range test before the first trial (Smith 2017).

    Attributes:
        stage: the stage whose rate it is, from 0. Those before it are trained as they stand.
        high: the greatest rate that is tried; the least is a 100,000th of it.
        steps: updates on the way.
        sets: whether the stage's space for ``lr`` is narrowed to what the test finds.
    """

    stage: Annotated[int, Field(ge=0)] = 0
    high: Positive = 0.1
    steps: Annotated[int, Field(ge=20)] = 100
    sets: bool = True


def named(raw: Any) -> Any:
    """A name alone stands for a mapping with it."""
    return {"name": raw} if isinstance(raw, str) else raw


def objective(raw: Any) -> Any:
    """A metric's name alone stands for a mapping with it."""
    return {"metric": raw} if isinstance(raw, str) else raw


def as_list(raw: Any) -> Any:
    """One alone stands for a list of it."""
    return [raw] if isinstance(raw, str | Mapping) else raw
