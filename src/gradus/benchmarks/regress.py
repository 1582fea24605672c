"""Quality of numbers predicted for texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.benchmarks.base import Benchmark
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.dataset import Split
    from gradus.metrics.numbers import Numbers
    from gradus.predict.base import Predictor


class RegressBenchmark(Benchmark):
    """Every text of a split gets one number, which is held against the true one."""

    name: ClassVar[str] = "regress.v1"
    summary: ClassVar[str] = "texts of a split, a number predicted for each"
    protocol: ClassVar[str] = (
        "Each text of the split (or of the stated sample, chosen by content hash) gets a number "
        "in the unit of the data set's own, which is not clipped to their range; correlations "
        "and errors are taken over all texts."
    )
    metrics: ClassVar[tuple[str, ...]] = ("spearman", "pearson", "rmse", "mae", "r2")
    target: ClassVar[Target | None] = "number"
    compared: ClassVar[tuple[str, ...]] = ("spearman", "pearson", "rmse")

    @classmethod
    def items(cls) -> type[Numbers]:
        """Numbers."""
        from gradus.metrics.numbers import Numbers

        return Numbers

    @classmethod
    def outputs(
        cls, predictor: Predictor, split: Split, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N]."""
        return predictor.numbers(split.texts, progress=progress)

    @classmethod
    def observe(
        cls, outputs: Any, own: Sequence[str], split: Split, labels: Sequence[str]
    ) -> Numbers:
        """Predicted beside true numbers; there are no labels to be matched."""
        import numpy as np

        from gradus.metrics.numbers import Numbers

        return Numbers(
            gold=np.asarray(split.labels, dtype=np.float64),
            predicted=np.asarray(outputs, dtype=np.float64),
            ids=tuple(split.ids),
        )
