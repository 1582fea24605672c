"""How well a cheap classifier tells two samples of texts apart (adversarial validation).

TF-IDF of words, logistic regression, cross-validated; the measure is the area under the ROC
curve: 0.5 says that it can't tell them apart, 1 that each text shows where it is from.

Legend: N and M texts of the two samples, F folds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gradus.data.audit.shingles import as_text

FOLDS: Final = 5
FEWEST: Final = 10  # texts on either side
MOST: Final = 5_000  # texts on either side
LONGEST: Final = 2_000  # characters of a text
TERMS: Final = 10
_WIDE: Final = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
# A word, or one Chinese, Japanese or Korean character.
TOKEN: Final = rf"(?u)[{_WIDE}]|[^\W_{_WIDE}]+"


@dataclass(frozen=True, slots=True)
class Distinction:
    """How well two samples are told apart.

    Attributes:
        auroc: mean over the folds; None where a side is too small.
        low, high: interval at `level`; None without a value.
        n: how many texts took part.
        sampled: whether only some of them did.
        terms_first, terms_second: the words that speak most for either sample.
    """

    auroc: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    sampled: bool = False
    terms_first: tuple[str, ...] = ()
    terms_second: tuple[str, ...] = ()


def distinguish(
    first: Sequence[Any], second: Sequence[Any], *, level: float = 0.95, seed: int = 0
) -> Distinction:
    """Tell two samples of texts apart; of each, at most 5,000 texts and 2,000 characters a text.

    Copies within a sample are left out: across folds they would be recognised, not told apart.

    The area is taken within each fold and averaged, since scores of different folds aren't on one
    scale. Its variance is DeLong's (1988) in each fold, widened by what folds share of their
    training texts (Nadeau and Bengio 2003); its interval is symmetric in the logit, so that it
    stays within 0 and 1.
    """
    rng = np.random.default_rng(seed)
    chosen = [_choose(len(side), rng) for side in (first, second)]
    sampled = any(len(c) < len(s) for c, s in zip(chosen, (first, second), strict=True))
    sides = [
        list(dict.fromkeys(as_text(side[row])[:LONGEST] for row in rows.tolist()))
        for side, rows in zip((first, second), chosen, strict=True)
    ]
    sizes = [len(side) for side in sides]
    n = sum(sizes)
    if min(sizes) < FEWEST:
        return Distinction(None, n=n, sampled=sampled)
    texts = [text for side in sides for text in side]
    origin = np.repeat([0, 1], sizes)
    features, terms = _features(texts)
    if features is None:
        return Distinction(0.5, 0.5, 0.5, n=n, sampled=sampled)
    auroc, deviation = _cross_validated(features, origin, seed)
    low, high = _bounds(auroc, deviation, level, min(sizes))
    weights = _fit(features, origin, seed).coef_[0]
    order = np.argsort(weights, kind="stable")
    return Distinction(
        auroc=auroc,
        low=low,
        high=high,
        n=n,
        sampled=sampled,
        terms_first=tuple(str(terms[i]) for i in order[:TERMS] if weights[i] < 0),
        terms_second=tuple(str(terms[i]) for i in order[::-1][:TERMS] if weights[i] > 0),
    )


def _choose(count: int, rng: np.random.Generator) -> np.ndarray:
    if count <= MOST:
        return np.arange(count)
    return np.sort(rng.choice(count, MOST, replace=False))


def _features(texts: list[str]) -> tuple[Any, Any]:
    """TF-IDF of the words, and the words; None where there are none."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        token_pattern=TOKEN, sublinear_tf=True, min_df=2, dtype=np.float64, max_features=100_000
    )
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError:  # no word stands in two texts
        return None, None
    return features, vectorizer.get_feature_names_out()


def _fit(features: Any, origin: np.ndarray, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, class_weight="balanced", solver="liblinear")
    return model.set_params(random_state=seed).fit(features, origin)


def _cross_validated(features: Any, origin: np.ndarray, seed: int) -> tuple[float, float]:
    """Mean area over the folds and its standard deviation."""
    from sklearn.model_selection import StratifiedKFold

    areas, variances = [], []
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for train, held in folds.split(features, origin):
        scores = _fit(features[train], origin[train], seed).decision_function(features[held])
        area, variance = delong(scores[origin[held] == 1], scores[origin[held] == 0])
        areas.append(area)
        variances.append(variance)
    # Folds aren't independent: the mean's variance is not 1/F of a fold's but 1/F + 1/(F - 1).
    shared = 1 / FOLDS + 1 / (FOLDS - 1)
    return float(np.mean(areas)), math.sqrt(shared * float(np.mean(variances)))


def delong(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """The area under the ROC curve and its variance (DeLong, DeLong and Clarke-Pearson 1988).

    By mid-ranks (Sun and Xu 2014); `positive`, float [N], should be above `negative`, float [M].
    The variance is NaN for fewer than two texts on a side.
    """
    from scipy.stats import rankdata

    n, m = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:n] - rankdata(positive)) / m
    below = 1 - (ranks[n:] - rankdata(negative)) / n
    if min(n, m) < 2:
        return float(above.mean()), math.nan
    return float(above.mean()), float(above.var(ddof=1) / n + below.var(ddof=1) / m)


def _bounds(area: float, deviation: float, level: float, fewest: int) -> tuple[float, float]:
    """The interval; where everything was told apart, what Wilson's leaves of the smaller side."""
    from scipy.stats import norm

    from gradus.stats.intervals import wilson

    if not 0 < area < 1 or deviation == 0:
        low, high = wilson(round(area * fewest), fewest, level)
        return min(low, area), max(high, area)
    z = float(norm.ppf((1 + level) / 2))
    centre, half = math.log(area / (1 - area)), z * deviation / (area * (1 - area))
    return 1 / (1 + math.exp(half - centre)), 1 / (1 + math.exp(-half - centre))
