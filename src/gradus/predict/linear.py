"""Checkpoints of kind ``linear``: TF-IDF features and a linear model, logistic or ridge.

Legend: N texts, K labels (one output where a number is predicted), F features.

Files: ``model.safetensors`` with ``intercept`` [K] and, unless there are no features, ``coef``
[F, K] and ``idf`` [F]; ``vocabulary.json`` with the F terms in the order of the rows. Without
features the intercept alone speaks: the logarithms of the class shares in train, or its mean.

Features are those of Salton & Buckley 1988, as scikit-learn's TfidfVectorizer computes them: term
frequency (or one plus its logarithm) times smoothed inverse document frequency, rows of length 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from gradus.checkpoints import Manifest, read_manifest, save_checkpoint
from gradus.errors import CheckpointError, TrainingError
from gradus.predict.base import Predictor
from gradus.predict.outputs import head_outputs, log_probabilities, target_of, thresholds_of
from gradus.records import CheckpointRef, Target

if TYPE_CHECKING:
    import numpy as np

WEIGHTS: Final = "model.safetensors"
VOCABULARY: Final = "vocabulary.json"
# A label without an example in train keeps a logit, finite so that no log-loss becomes infinite:
# the logarithm of float32's least normal number.
ABSENT_LOGIT: Final = -87.336544
_BATCH: Final = 1024
_TOKEN_PATTERN: Final = r"(?u)\b\w\w+\b"


def make_vectorizer(
    *,
    analyzer: str = "word",
    ngrams: Sequence[int] = (1, 2),
    lowercase: bool = True,
    sublinear_tf: bool = True,
    **more: Any,
) -> Any:
    """A TfidfVectorizer in float32 that has every setting spelt out.

    `more` is passed on: ``min_df`` to fit, ``vocabulary`` to rebuild.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer=analyzer,
        ngram_range=tuple(ngrams),
        lowercase=lowercase,
        sublinear_tf=sublinear_tf,
        token_pattern=_TOKEN_PATTERN if analyzer == "word" else None,
        norm="l2",
        use_idf=True,
        smooth_idf=True,
        dtype=np.float32,
        **more,
    )


def save_linear(
    folder: str | Path,
    *,
    labels: Sequence[str],
    vectorizer: Any,
    coef: np.ndarray,
    intercept: np.ndarray,
    target: Target = "label",
    more: Mapping[str, Any] | None = None,
    parents: Sequence[CheckpointRef] = (),
    facts: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> CheckpointRef:
    """Save a fitted TfidfVectorizer and the weights of a linear model over its features.

    Args:
        folder: where the checkpoint shall stand.
        labels: K label names; none for numbers.
        vectorizer: fitted, from `make_vectorizer`.
        coef: float32 [F, K].
        intercept: float32 [K].
        target: what it predicts.
        more: further preprocessing, e.g. ``thresholds``.
        parents: what it was made from, if anything.
        facts: JSON; how it was made.
        name: the reference's name; by default the folder's.
    """
    import numpy as np

    terms = vectorizer.get_feature_names_out().tolist()
    preprocessing = {
        "features": "tfidf",
        "analyzer": vectorizer.analyzer,
        "ngrams": list(vectorizer.ngram_range),
        "lowercase": vectorizer.lowercase,
        "sublinear_tf": vectorizer.sublinear_tf,
        **_targeted(target),
        **(more or {}),
    }
    tensors: dict[str, np.ndarray] = {
        "coef": np.ascontiguousarray(coef, dtype=np.float32),
        "intercept": np.asarray(intercept, dtype=np.float64),
        "idf": np.asarray(vectorizer.idf_),
    }
    return _save(folder, labels, preprocessing, tensors, terms, parents, facts, name)


def save_majority(
    folder: str | Path,
    *,
    labels: Sequence[str],
    counts: Sequence[int],
    parents: Sequence[CheckpointRef] = (),
    facts: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> CheckpointRef:
    """Save the classifier that knows only how often each label occurs; `counts` has K entries.

    Raises:
        TrainingError: there is no example at all.
    """
    import numpy as np

    shares = np.asarray(counts, dtype=np.float64)
    if shares.sum() <= 0:
        raise TrainingError("there is no example to count labels in: the train split is empty")
    shares = shares / shares.sum()
    intercept = np.log(shares, where=shares > 0, out=np.full(len(shares), ABSENT_LOGIT))
    return save_constant(
        folder, intercept, "label", labels=labels, parents=parents, facts=facts, name=name
    )


def save_constant(
    folder: str | Path,
    intercept: np.ndarray,
    target: Target,
    *,
    labels: Sequence[str] = (),
    parents: Sequence[CheckpointRef] = (),
    facts: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> CheckpointRef:
    """Save what says the same of every text: K logits, or one number."""
    import numpy as np

    return _save(
        folder,
        labels,
        {"features": "none", **_targeted(target)},
        {"intercept": np.asarray(intercept, dtype=np.float64)},
        None,
        parents,
        facts,
        name,
    )


def _targeted(target: Target) -> dict[str, str]:
    """What a manifest says of the target; nothing where it is the usual one."""
    return {} if target == "label" else {"target": target}


def _save(
    folder: str | Path,
    labels: Sequence[str],
    preprocessing: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    terms: Sequence[str] | None,
    parents: Sequence[CheckpointRef],
    facts: Mapping[str, Any] | None,
    name: str | None,
) -> CheckpointRef:
    from safetensors.numpy import save_file

    def write(partial: Path) -> None:
        save_file(dict(tensors), partial / WEIGHTS)
        if terms is not None:
            (partial / VOCABULARY).write_text(json.dumps(terms), encoding="utf-8")

    return save_checkpoint(
        Path(folder),
        kind="linear",
        labels=labels,
        preprocessing=preprocessing,
        parents=parents,
        facts=facts or {},
        write=write,
        name=name,
    )


class LinearPredictor(Predictor):
    """TF-IDF features, one weight a feature and label; a softmax, a sigmoid each, or a number.

    Features and logits are float32, as they were fitted; what follows is float64.
    """

    kind: ClassVar[str] = "linear"
    summary: ClassVar[str] = "TF-IDF with a linear model, or class shares or a mean alone"
    same_bits: ClassVar[bool] = True

    def __init__(
        self,
        labels: Sequence[str],
        intercept: np.ndarray,
        coef: np.ndarray | None,
        vectorizer: Any,
        manifest: Manifest,
    ) -> None:
        self.labels, self.target = tuple(labels), target_of(manifest.preprocessing)
        self._intercept = intercept
        self._coef = coef
        self._vectorizer = vectorizer
        self._manifest = manifest

    @classmethod
    def open(
        cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> Self:
        """Load the checkpoint. It computes in float32 and in one thread whatever is asked for.

        Raises:
            CheckpointError: a file is missing, or shapes don't fit one another.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(ref.path)
        manifest = read_manifest(folder)
        try:
            tensors = load_file(folder / WEIGHTS)
            intercept = tensors["intercept"]
            coef = tensors.get("coef")
            terms = (
                None
                if coef is None
                else json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))
            )
            outputs = head_outputs(manifest.preprocessing, len(manifest.labels))
            _check_shapes(outputs, terms, tensors)
            vectorizer = None if terms is None else _rebuild(manifest, terms, tensors["idf"])
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{folder}: can't be read as kind 'linear' ({error}); make the checkpoint anew"
            ) from error
        return cls(manifest.labels, intercept, coef, vectorizer, manifest)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """See `Predictor.thresholds`."""
        return thresholds_of(self._manifest.preprocessing, len(self.labels))

    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N, K] natural logarithms; a text without known terms gets the intercept's."""
        if self.target not in ("label", "labels"):
            raise self._lacks("label")
        return log_probabilities(self._outputs(texts, progress), self.target)

    def numbers(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N]; a text without known terms gets the intercept."""
        if self.target != "number":
            raise self._lacks("number")
        return self._outputs(texts, progress)[:, 0]

    def _outputs(self, texts: Sequence[str], progress: Callable[[int], None] | None) -> np.ndarray:
        """float64 [N, K], the linear model's own."""
        import numpy as np

        logits = np.tile(self._intercept, (len(texts), 1))
        for start in range(0, len(texts), _BATCH):
            end = min(start + _BATCH, len(texts))
            if self._coef is not None:
                logits[start:end] += self._vectorizer.transform(texts[start:end]) @ self._coef
            if progress is not None:
                progress(end)
        return logits

    @property
    def contract(self) -> Mapping[str, str]:
        """dtype, back end, and the vocabulary's digest in the place of a tokenizer's."""
        entry = self._manifest.files.get(VOCABULARY)
        return {
            "dtype": "float32",
            "backend": "scikit-learn",
            "max_tokens": "none",
            "tokenizer": entry.sha256[:16] if entry else "none",
        }

    @property
    def size_bytes(self) -> int:
        """Bytes of weights and vocabulary."""
        return self._manifest.size_bytes


def _check_shapes(
    outputs: int, terms: Sequence[str] | None, tensors: Mapping[str, np.ndarray]
) -> None:
    expected: dict[str, tuple[int, ...]] = {"intercept": (outputs,)}
    if terms is not None:
        expected |= {"coef": (len(terms), outputs), "idf": (len(terms),)}
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise ValueError(f"{name} has shape {tensors[name].shape} instead of {shape}")


def _rebuild(manifest: Manifest, terms: Sequence[str], idf: np.ndarray) -> Any:
    settings = {
        key: manifest.preprocessing[key]
        for key in ("analyzer", "ngrams", "lowercase", "sublinear_tf")
    }
    vectorizer = make_vectorizer(
        **settings, vocabulary={term: row for row, term in enumerate(terms)}
    )
    vectorizer.idf_ = idf
    return vectorizer
