"""What a benchmark is: a protocol under a versioned name and the metrics that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.records import Target

if TYPE_CHECKING:
    from gradus.data.dataset import Split
    from gradus.metrics.base import Items
    from gradus.predict.base import Predictor


class Benchmark:
    """Base of all benchmarks.

    Class attributes:
        name: versioned name, as measurements carry it.
        summary: one line for `gradus ls`.
        protocol: how the observations are taken, in words that a reader can repeat.
        metrics: plain names of the metrics that are computed from them.
        target: the data it is taken on; None where it isn't about what is predicted.
        compared: the metrics that curves follow and that are shown beside the step before, the
            one that matters most first.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    protocol: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    target: ClassVar[Target | None] = None
    compared: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def items(cls) -> type[Items]:
        """The class of what is observed.

        Raises:
            NotImplementedError: a benchmark without a target, which measures no items of a data
                set: nobody may ask it for them, here and in all that follows.
        """
        raise NotImplementedError(f"{cls.name} has no items")

    @classmethod
    def metrics_on(cls, items: Items) -> tuple[str, ...]:
        """Plain names of the metrics to take of `items`.

        All of the class's, unless what is observed isn't always of one kind.
        """
        return cls.metrics

    @classmethod
    def outputs(
        cls, predictor: Predictor, split: Split, progress: Callable[[int], None] | None = None
    ) -> Any:
        """What the predictor gives for all texts of the split.

        Raises:
            NotImplementedError: as in `items`.
        """
        raise NotImplementedError(f"{cls.name} has no items")

    @classmethod
    def observe(
        cls, outputs: Any, own: Sequence[str], split: Split, labels: Sequence[str]
    ) -> Items:
        """Outputs of a predictor with the labels `own` beside a split of data with `labels`.

        Raises:
            ContractError: checkpoint and data set have no label in common.
            NotImplementedError: as in `items`.
        """
        raise NotImplementedError(f"{cls.name} has no items")
