"""Small linear checkpoints that the tests of this room share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gradus.predict.linear import make_vectorizer, save_linear
from gradus.records import CheckpointRef

TEXTS = [
    "the match ended two goals to one",
    "the striker scored a late goal",
    "parliament voted on the budget",
    "the minister answered in parliament",
    "shares fell on the stock market",
    "the bank raised its rates on the market",
]
LABELS = ("sport", "politics", "business")
GOLD = np.array([0, 0, 1, 1, 2, 2])


def fit(num_labels: int = 3, **settings: Any) -> tuple[Any, Any]:
    """A vectoriser and scikit-learn's classifier, fitted on the first 2 texts a label."""
    from sklearn.linear_model import LogisticRegression

    vectorizer = make_vectorizer(**settings)
    rows = 2 * num_labels
    features = vectorizer.fit_transform(TEXTS[:rows])
    return vectorizer, LogisticRegression(C=10.0).fit(features, GOLD[:rows])


def save(folder: Path, **settings: Any) -> CheckpointRef:
    """A checkpoint of the three labels."""
    vectorizer, classifier = fit(**settings)
    return save_linear(
        folder,
        labels=LABELS,
        vectorizer=vectorizer,
        coef=classifier.coef_.T,
        intercept=classifier.intercept_,
    )
