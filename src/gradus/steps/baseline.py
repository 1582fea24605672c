"""Step `baseline`: the floor that a language model has to beat.

Legend: N texts of train, K labels, F features.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, field_validator

from gradus.benchmarks.classify import ClassifyBenchmark
from gradus.benchmarks.cost import CostBenchmark
from gradus.errors import TrainingError
from gradus.steps.base import Monitor, Needs, Step, StepConfig, StepContext, StepOutcome

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.dataset import TrainingData

Strength = Annotated[float, Field(gt=0, allow_inf_nan=False)]
MAX_ITERATIONS: Final = 100


class BaselineConfig(StepConfig):
    """Config of `baseline`.

    Attributes:
        data: the data set.
        ngrams: least and greatest length of the n-grams that are counted.
        analyzer: n-grams of words, of characters, or of characters within words (``char_wb``).
        min_df: leave out terms in fewer texts: a count, or a share when below 1.
        sublinear_tf: one plus the logarithm of a count in the count's place.
        lowercase: whether case is ignored.
        C: inverse strength of the L2 penalty; a list is searched on dev.select.
    """

    data: str
    ngrams: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 2)
    analyzer: Literal["word", "char", "char_wb"] = "word"
    min_df: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] = 1
    sublinear_tf: bool = True
    lowercase: bool = True
    C: Strength | Annotated[list[Strength], Field(min_length=1)] = 10.0

    @field_validator("ngrams")
    @classmethod
    def _ascending(cls, ngrams: tuple[int, int]) -> tuple[int, int]:
        if ngrams[0] > ngrams[1]:
            raise ValueError(f"least length {ngrams[0]} is above the greatest, {ngrams[1]}")
        return ngrams


class Baseline(Step):
    """Majority class, and TF-IDF with multinomial logistic regression.

    The step's checkpoint is the logistic regression; the majority class is measured beside it as
    ``id.majority``. The same data gives the same weights to the bit, whatever the thread count.
    """

    Config: ClassVar[type[StepConfig]] = BaselineConfig
    summary: ClassVar[str] = "majority class, and TF-IDF with logistic regression: the floor"
    example: ClassVar[str] = """\
id: floor
step: baseline
data: news
ngrams: [1, 2]
C: [1, 10, 100]
gates: ["accuracy > floor.majority"]
"""

    @classmethod
    def needs(cls, config: BaselineConfig) -> Needs:
        """The data set."""
        return Needs(data={"data": config.data})

    @classmethod
    def produces(cls, config: BaselineConfig) -> frozenset[str]:
        """Quality and cost."""
        return frozenset({*ClassifyBenchmark.metrics, *CostBenchmark.metrics})

    def run(self, config: BaselineConfig, context: StepContext) -> StepOutcome:
        """Fit and save both classifiers.

        Raises:
            TrainingError: train has fewer than two labels, or no term passes `min_df`.
        """
        import numpy as np

        from gradus.predict.linear import save_linear, save_majority

        data = context.data
        if data is None:
            raise TrainingError(f"{context.id}: a baseline needs data; name a data set in 'data'")
        context.monitor.rewind(0)
        counts = np.bincount(data.train.labels, minlength=len(data.labels))
        if (counts > 0).sum() < 2:
            raise TrainingError(
                f"{context.id}: the train split of '{data.name}' has fewer than two labels, "
                "so there is nothing to tell apart; look at the data's labels and its split"
            )
        for row in np.flatnonzero(counts == 0):
            context.monitor.note(f"label '{data.labels[row]}' has no text in train")
        start = time.perf_counter()
        fitted = _search(config, context, data)
        seconds = time.perf_counter() - start
        majority = save_majority(
            context.out / "majority",
            labels=data.labels,
            counts=counts.tolist(),
            facts={"classifier": "majority class", "train_texts": len(data.train)},
        )
        checkpoint = save_linear(
            context.out / "checkpoint",
            labels=data.labels,
            vectorizer=fitted.vectorizer,
            coef=fitted.coef,
            intercept=fitted.intercept,
            facts=fitted.facts,
        )
        return StepOutcome(
            checkpoint=Path(checkpoint.path),
            extras={"majority": Path(majority.path)},
            facts=fitted.facts,
            cost={"train_seconds": seconds, "train_texts": len(data.train)},
        )


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Fitted features, weights float32 [F, K] and [K], and what to say about them."""

    vectorizer: Any
    coef: np.ndarray
    intercept: np.ndarray
    facts: Mapping[str, Any]


def _search(config: BaselineConfig, context: StepContext, data: TrainingData) -> _Fitted:
    """Fit the features once and a classifier for each C; keep the best on dev.select.

    The best has the greatest accuracy, then the least log-loss, then the least C.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no types

    monitor = context.monitor
    strengths = sorted(set(config.C)) if isinstance(config.C, list) else [config.C]
    vectorizer, train = _features(config, context, data)
    select = vectorizer.transform(data.select.texts) if len(data.select) else None
    table: list[dict[str, float]] = []
    ranked: list[tuple[tuple[float, float, float], np.ndarray, np.ndarray]] = []
    for done, strength in enumerate(strengths):
        monitor.progress(done, len(strengths), f"logistic regression, C = {strength:g}")
        # One thread: sums taken in another order would differ in their last bits.
        with threadpool_limits(1):
            coef, intercept = _fit(train, data, strength, monitor)
        row: dict[str, float] = {"C": strength}
        if select is not None:
            row |= monitor.score(_log_probs(select, coef, intercept))
        table.append(row)
        monitor.point(**row)
        rank = (row.get("accuracy", 0.0), -row.get("log_loss", math.inf), -strength)
        if not ranked or rank > ranked[0][0]:
            ranked = [(rank, coef, intercept)]
    monitor.progress(len(strengths), len(strengths), "logistic regression")
    (_, _, chosen), coef, intercept = ranked[0]
    if len(strengths) > 1:
        monitor.note(f"C = {-chosen:g} was chosen of {len(strengths)} on dev.select")
    return _Fitted(
        vectorizer,
        coef,
        intercept,
        facts={
            "classifier": "TF-IDF + logistic regression",
            "C": -chosen,
            "searched": table,
            "features": len(coef),
            "train_texts": len(data.train),
        },
    )


def _features(config: BaselineConfig, context: StepContext, data: TrainingData) -> tuple[Any, Any]:
    """The fitted vectoriser and train's features, sparse float32 [N, F]."""
    from gradus.predict.linear import make_vectorizer

    vectorizer = make_vectorizer(
        analyzer=config.analyzer,
        ngrams=config.ngrams,
        lowercase=config.lowercase,
        sublinear_tf=config.sublinear_tf,
        min_df=config.min_df,
    )
    context.monitor.progress(0, 1, "counting terms")
    try:
        return vectorizer, vectorizer.fit_transform(data.train.texts)
    except ValueError as error:
        raise TrainingError(
            f"{context.id}: no term is left to count in {len(data.train)} texts "
            f"(analyzer {config.analyzer}, ngrams {list(config.ngrams)}, min_df "
            f"{config.min_df}); lower min_df or count characters ({error})"
        ) from error


def _fit(
    features: Any, data: TrainingData, strength: float, monitor: Monitor
) -> tuple[np.ndarray, np.ndarray]:
    """Weights float32 [F, K] and intercept float32 [K] for every label of the data set.

    Newton's method with conjugate gradients takes a quarter of the time of L-BFGS here: the
    latter's history of dense [F, K] matrices costs more than the sparse products.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    from gradus.predict.linear import ABSENT_LOGIT

    classifier = LogisticRegression(C=strength, solver="newton-cg", max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        classifier.fit(features, data.train.labels)
    if any(issubclass(w.category, ConvergenceWarning) for w in caught):
        monitor.note(f"C = {strength:g}: not converged after {MAX_ITERATIONS} iterations")
    coef = np.zeros((features.shape[1], len(data.labels)), dtype=np.float32)
    intercept = np.full(len(data.labels), ABSENT_LOGIT, dtype=np.float32)
    seen = classifier.classes_
    if len(seen) == 2:  # one logit: that of the second against 0 for the first
        intercept[seen] = [0.0, classifier.intercept_[0]]
        coef[:, seen[1]] = classifier.coef_[0]
    else:
        intercept[seen] = classifier.intercept_
        coef[:, seen] = classifier.coef_.T
    return coef, intercept


def _log_probs(features: Any, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    from scipy.special import log_softmax

    rows: np.ndarray = log_softmax((features @ coef + intercept).astype("float64"), axis=1)
    return rows
