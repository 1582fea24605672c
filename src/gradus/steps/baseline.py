"""Step `baseline`: the floor that a language model has to beat.

Legend: N texts of train, K labels, F features.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, field_validator

from gradus import benchmarks
from gradus.benchmarks.cost import CostBenchmark
from gradus.data.prepare import Preparations, Prepare
from gradus.errors import TrainingError
from gradus.objectives.thresholds import NEUTRAL, Threshold
from gradus.records import CheckpointRef, Target
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome
from gradus.steps.baseline_fits import FITS

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.dataset import TrainingData

CLASSIFIERS: Final[Mapping[Target, str]] = {
    "label": "TF-IDF + logistic regression",
    "labels": "TF-IDF + logistic regressions, one a label",
    "number": "TF-IDF + ridge regression",
}
CONSTANTS: Final[Mapping[Target, str]] = {
    "label": "majority class",
    "labels": "label shares",
    "number": "mean of train",
}
NAMES: Final[Mapping[Target, str]] = {"label": "majority", "labels": "majority", "number": "mean"}
BEST_BY: Final[Mapping[Target, tuple[tuple[str, int], ...]]] = {
    "label": (("accuracy", 1), ("log_loss", -1)),
    "labels": (("multilabel_f1_micro", 1), ("multilabel_log_loss", -1)),
    "number": (("rmse", -1),),
}
Strength = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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
        threshold: for data with several labels a text: the probability from which on a label is
            said, or ``global`` or ``per-label`` for those with the greatest F1 on dev.select.
        prepare: what is done to every text first, in this order; see ``gradus ls preparations``.
    """

    data: str
    ngrams: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 2)
    analyzer: Literal["word", "char", "char_wb"] = "word"
    min_df: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] = 1
    sublinear_tf: bool = True
    lowercase: bool = True
    C: Strength | Annotated[list[Strength], Field(min_length=1)] = 10.0
    threshold: Threshold = NEUTRAL
    prepare: Preparations = ()

    @field_validator("ngrams")
    @classmethod
    def _ascending(cls, ngrams: tuple[int, int]) -> tuple[int, int]:
        if ngrams[0] > ngrams[1]:
            raise ValueError(f"least length {ngrams[0]} is above the greatest, {ngrams[1]}")
        return ngrams


class Baseline(Step):
    """TF-IDF with a linear model, and what can be said without reading a text.

    One label a text: multinomial logistic regression, with the majority class measured beside it
    as ``id.majority``. Several: a logistic regression a label, and ``id.majority``, which gives
    each label its share of train. A number: ridge regression, and train's mean as ``id.mean``. A
    pair of texts is read as one text with a line end between. The same data gives the same weights
    to the bit, whatever the thread count.
    """

    Config: ClassVar[type[StepConfig]] = BaselineConfig
    seeded: ClassVar[bool] = False
    summary: ClassVar[str] = "TF-IDF with a linear model, and the majority or the mean: the floor"
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
        told = (metric for target in CLASSIFIERS for metric in benchmarks.of(target).metrics)
        return frozenset({*told, *CostBenchmark.metrics})

    def run(self, config: BaselineConfig, context: StepContext) -> StepOutcome:
        """Fit and save both.

        Raises:
            DataError: the data set has spans.
            TrainingError: train has fewer than two labels, or no term passes `min_df`.
        """
        from gradus.checkpoints import seen_items
        from gradus.predict.linear import save_linear

        data = context.data
        if data is None:
            raise TrainingError(f"{context.id}: a baseline needs data; name a data set in 'data'")
        context.monitor.rewind(0)
        _check(context, data)
        prepare = Prepare(config.prepare)
        data = prepare.data(data)
        start = time.perf_counter()
        fitted = _search(config, context, data)
        settled = _thresholds(config, data, fitted)
        seconds = time.perf_counter() - start
        constant = _without_features(context, data)
        checkpoint = save_linear(
            context.out / "checkpoint",
            labels=data.labels,
            vectorizer=fitted.vectorizer,
            coef=fitted.coef,
            intercept=fitted.intercept,
            target=data.target,
            more={**settled, **prepare.preprocessing()},
            facts={**fitted.facts, **settled, **seen_items(data.train.ids)},
        )
        return StepOutcome(
            checkpoint=Path(checkpoint.path),
            extras={NAMES[data.target]: Path(constant.path)},
            facts={**fitted.facts, **settled},
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

    The best has the greatest accuracy (micro F1 for several labels), then the least log-loss (for
    numbers the least RMSE), then the least C.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no types

    monitor, best_by = context.monitor, BEST_BY[data.target]
    strengths = sorted(set(config.C)) if isinstance(config.C, list) else [config.C]
    named = CLASSIFIERS[data.target].partition(" + ")[2]
    vectorizer, train = _features(config, context, data)
    select = vectorizer.transform(data.select.texts) if len(data.select) else None
    table: list[dict[str, float]] = []
    ranked: list[tuple[tuple[float, ...], np.ndarray, np.ndarray]] = []
    for done, strength in enumerate(strengths):
        monitor.progress(done, len(strengths), f"{named}, C = {strength:g}")
        # One thread: sums taken in another order would differ in their last bits.
        with threadpool_limits(1):
            coef, intercept = FITS[data.target](train, data, strength, monitor)
        row: dict[str, float] = {"C": strength}
        if select is not None:
            row |= monitor.score(_outputs(select, coef, intercept, data.target))
        table.append(row)
        monitor.point(**row)
        rank = (*(sign * row.get(name, -sign * math.inf) for name, sign in best_by), -strength)
        if not ranked or rank > ranked[0][0]:
            ranked = [(rank, coef, intercept)]
    monitor.progress(len(strengths), len(strengths), named)
    (*_, chosen), coef, intercept = ranked[0]
    if len(strengths) > 1:
        monitor.note(f"C = {-chosen:g} was chosen of {len(strengths)} on dev.select")
    return _Fitted(
        vectorizer,
        coef,
        intercept,
        facts={
            "classifier": CLASSIFIERS[data.target],
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


def _outputs(features: Any, coef: np.ndarray, intercept: np.ndarray, target: Target) -> np.ndarray:
    """What the monitor scores: log-probabilities [N, K], or numbers [N]."""
    from gradus.predict.outputs import log_probabilities

    raw: np.ndarray = features @ coef + intercept
    return raw[:, 0].astype("float64") if target == "number" else log_probabilities(raw, target)


def _thresholds(
    config: BaselineConfig, data: TrainingData, fitted: _Fitted
) -> dict[str, list[float]]:
    """For the manifest, where texts have any number of labels."""
    import numpy as np

    from gradus.objectives.thresholds import choose

    if data.target != "labels":
        return {}
    gold, probabilities = data.select.labels, np.zeros(data.select.labels.shape)
    if len(gold):
        features = fitted.vectorizer.transform(list(data.select.texts))
        probabilities = np.exp(_outputs(features, fitted.coef, fitted.intercept, data.target))
    return {"thresholds": choose(config.threshold, probabilities, gold)}


def _without_features(context: StepContext, data: TrainingData) -> CheckpointRef:
    """The floor of the floor: what train says of every text, whatever it holds."""
    from gradus.predict.linear import save_constant, save_majority

    facts = {"classifier": CONSTANTS[data.target], "train_texts": len(data.train)}
    folder = context.out / NAMES[data.target]
    if data.target == "number":
        return save_constant(folder, data.train.labels.mean(keepdims=True), "number", facts=facts)
    if data.target == "labels":
        return save_constant(
            folder, share_logits(data.train.labels), "labels", labels=data.labels, facts=facts
        )
    counts = _counts(data)
    return save_majority(folder, labels=data.labels, counts=counts.tolist(), facts=facts)


def share_logits(gold: np.ndarray) -> np.ndarray:
    """float64 [K], the logits of the shares of texts [N, K] that have each label."""
    import numpy as np

    from gradus.predict.linear import ABSENT_LOGIT

    shares = gold.mean(axis=0)
    with np.errstate(divide="ignore"):
        logits = np.log(shares) - np.log1p(-shares)
    return np.asarray(np.clip(logits, ABSENT_LOGIT, -ABSENT_LOGIT))


def _counts(data: TrainingData) -> np.ndarray:
    """int64 [K], how many texts of train have each label."""
    import numpy as np

    if data.target == "labels":
        return np.asarray(data.train.labels.sum(axis=0))
    return np.bincount(data.train.labels, minlength=len(data.labels))


def _check(context: StepContext, data: TrainingData) -> None:
    """Whether train can teach anything.

    Raises:
        DataError: the data set has spans.
        TrainingError: there is nothing to tell apart.
    """
    import numpy as np

    if data.target == "spans":
        data.require("label", "step baseline")
    if data.target == "number":
        if len(data.train) < 2 or float(np.ptp(data.train.labels)) == 0:
            raise TrainingError(
                f"{context.id}: the train split of '{data.name}' has fewer than two different "
                "numbers, so there is nothing to tell apart; look at the data's column and split"
            )
        return
    counts = _counts(data)
    taught = (counts > 0) & (counts < len(data.train)) if data.target == "labels" else counts > 0
    if taught.sum() < (1 if data.target == "labels" else 2):
        raise TrainingError(
            f"{context.id}: the train split of '{data.name}' has fewer than two labels, "
            "so there is nothing to tell apart; look at the data's labels and its split"
        )
    for row in np.flatnonzero(counts == 0):
        context.monitor.note(f"label '{data.labels[row]}' has no text in train")
