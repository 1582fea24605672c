"""A vector for each text, in which texts of one kind lie near one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from gradus.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from gradus.predict.model import Model

DIMENSIONS: Final = 128


def vectors_of(
    model: Model, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
) -> tuple[np.ndarray, str]:
    """float32 [N, D] of length 1, and what made them: the model, or TF-IDF where it has none."""
    import numpy as np

    try:
        return np.asarray(model.embed(texts, normalise=True, progress=progress)), "model"
    except UsageError:
        return from_words(texts), "tfidf"


def from_words(texts: Sequence[str], *, dimensions: int = DIMENSIONS) -> np.ndarray:
    """float32 [N, D] of length 1 from TF-IDF weights (latent semantic analysis, Deerwester 1990).

    Texts without a word that another text has are zero vectors.
    """
    import numpy as np
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        weights = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    except ValueError:  # no text has a word
        return np.zeros((len(texts), 1), dtype=np.float32)
    size = min(dimensions, weights.shape[1] - 1, weights.shape[0] - 1)
    if size < 1:
        return np.asarray(weights.toarray(), dtype=np.float32)
    found = TruncatedSVD(size, random_state=0).fit_transform(weights)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1e-12), dtype=np.float32)
