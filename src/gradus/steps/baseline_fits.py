"""Linear models over sparse features, one for each target.

Legend: N texts of train, K labels, F features.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from gradus.data.dataset import TrainingData
from gradus.records import Target
from gradus.steps.base import Monitor

if TYPE_CHECKING:
    import numpy as np

MAX_ITERATIONS: Final = 100
_RIDGE_TOLERANCE: Final = 1e-10

Weights = tuple["np.ndarray", "np.ndarray"]
Fit = Callable[[Any, TrainingData, float, Monitor], Weights]


def fit_label(features: Any, data: TrainingData, strength: float, monitor: Monitor) -> Weights:
    """Multinomial logistic regression: weights float32 [F, K] and intercept float32 [K].

    Newton's method with conjugate gradients takes a quarter of the time of L-BFGS here: the
    latter's history of dense [F, K] matrices costs more than the sparse products.
    """
    import numpy as np

    from gradus.predict.linear import ABSENT_LOGIT

    classifier = _logistic(features, data.train.labels, strength, monitor)
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


def fit_labels(features: Any, data: TrainingData, strength: float, monitor: Monitor) -> Weights:
    """A logistic regression a label, against the rest: float32 [F, K] and [K].

    A label that no text of train has, or every one, gets a logit that says so of every text.
    """
    import numpy as np

    from gradus.predict.linear import ABSENT_LOGIT

    gold = data.train.labels
    coef = np.zeros((features.shape[1], gold.shape[1]), dtype=np.float32)
    intercept = np.where(gold.all(axis=0), -ABSENT_LOGIT, ABSENT_LOGIT).astype(np.float32)
    for label in np.flatnonzero(gold.any(axis=0) & ~gold.all(axis=0)):
        classifier = _logistic(features, gold[:, label], strength, monitor)
        coef[:, label], intercept[label] = classifier.coef_[0], classifier.intercept_[0]
    return coef, intercept


def fit_number(features: Any, data: TrainingData, strength: float, monitor: Monitor) -> Weights:
    """Ridge regression with penalty 1 / `strength`: float32 [F, 1] and [1]."""
    import numpy as np
    from sklearn.linear_model import Ridge

    ridge = Ridge(alpha=1 / strength, solver="sparse_cg", tol=_RIDGE_TOLERANCE)
    ridge.fit(features, data.train.labels)
    coef = np.asarray(ridge.coef_, dtype=np.float32).reshape(-1, 1)
    return coef, np.array([ridge.intercept_], dtype=np.float32)


FITS: Final[Mapping[Target, Fit]] = {
    "label": fit_label,
    "labels": fit_labels,
    "number": fit_number,
}


def _logistic(features: Any, gold: np.ndarray, strength: float, monitor: Monitor) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(C=strength, solver="newton-cg", max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        classifier.fit(features, gold)
    if any(issubclass(w.category, ConvergenceWarning) for w in caught):
        monitor.note(f"C = {strength:g}: not converged after {MAX_ITERATIONS} iterations")
    return classifier
