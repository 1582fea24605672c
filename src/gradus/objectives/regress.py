"""Regression: one number a text, from pooled hidden states through a linear head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus import benchmarks
from gradus.objectives.base import COSTS, ObjectiveConfig
from gradus.objectives.vectors import VectorConfig, VectorObjective
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.objectives.pooled import PooledTask


class RegressConfig(VectorConfig):
    """How texts are read and errors are counted.

    Attributes:
        huber: errors beyond so many standard deviations count linearly rather than squared
            (Huber 1964); None for squared errors throughout.
    """

    name: Literal["regress", "regress.v1"]
    huber: Annotated[float, Field(gt=0)] | None = None


class Regress(VectorObjective):
    """Minimise the squared error, or Huber's loss (1964), of a number.

    For data with ``target: number``. The numbers are standardised with train's mean and standard
    deviation, which the checkpoint keeps. A stage ``train: head`` that asks for no gradient steps
    solves the head exactly, by ridge regression. A checkpoint of this objective keeps its head.

    Example::

        objective: {name: regress, huber: 1.0}
    """

    Config: ClassVar[type[ObjectiveConfig]] = RegressConfig
    summary: ClassVar[str] = "one number a text: pooled hidden states, linear head, squared error"
    example: ClassVar[str] = "{name: regress, huber: 1.0}"
    targets: ClassVar[tuple[Target, ...]] = ("number",)

    @classmethod
    def metrics(cls) -> frozenset[str]:
        """What numbers are measured by, and the costs of predicting."""
        return frozenset({*benchmarks.of("number").metrics, *COSTS})

    def task(self, config: Any, target: Target) -> type[PooledTask]:
        """The one there is."""
        from gradus.objectives.regression import RegressTask

        return RegressTask
