"""The facade over every checkpoint kind: `load` it, then `predict`.

Legend: N texts, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradus import registry
from gradus.checkpoints import manifest
from gradus.errors import CheckpointError, UnknownName, UsageError
from gradus.predict.base import Predictor
from gradus.records import CheckpointRef

if TYPE_CHECKING:
    import numpy as np

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a checkpoint says about one text.

    Attributes:
        label: the most probable label; None when it abstained.
        probability: of the most probable label, whether it abstained or not.
        top: the `top_k` most probable labels with their probabilities, greatest first; equal ones
            in the order of the labels.
        abstained: whether the probability is below the threshold that was asked for.
    """

    label: str | None
    probability: float
    top: tuple[tuple[str, float], ...]
    abstained: bool = False


class Model:
    """A loaded checkpoint.

    Attributes:
        ref: what was loaded.
        predictor: the checkpoint kind's own interface.
    """

    def __init__(self, predictor: Predictor, ref: CheckpointRef) -> None:
        self.predictor = predictor
        self.ref = ref

    def __repr__(self) -> str:
        return f"Model({self.ref.name!r}, kind={self.kind!r}, labels={len(self.labels)})"

    @property
    def labels(self) -> tuple[str, ...]:
        """The K labels, in the order of the columns of `predict_proba`."""
        return self.predictor.labels

    @property
    def kind(self) -> str:
        """The checkpoint's kind, e.g. ``transformer``."""
        return self.ref.kind

    @property
    def contract(self) -> Mapping[str, str]:
        """What must agree before measurements may be compared: dtype, back end and so on."""
        return self.predictor.contract

    def predict(
        self, texts: Sequence[str], *, top_k: int = 1, threshold: float | None = None
    ) -> list[Prediction]:
        """One prediction a text, in the texts' order.

        Args:
            texts: N texts.
            top_k: how many labels `Prediction.top` holds; at most K are there to give.
            threshold: abstain where the greatest probability is below it, in [0, 1].

        Raises:
            UsageError: `texts` is one string, `top_k` is below 1 or `threshold` outside [0, 1].
        """
        check_options(top_k, threshold)
        probabilities = self.predict_proba(texts)
        return [self._prediction(row, top_k, threshold) for row in probabilities]

    def predict_proba(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N, K] probabilities; each row sums to 1 up to rounding.

        `progress` is called with the number of texts done so far.

        Raises:
            UsageError: `texts` is one string.
        """
        import numpy as np

        if isinstance(texts, str):
            raise UsageError("texts is one string: pass a list of texts, e.g. [text]")
        if len(texts) == 0:
            return np.zeros((0, len(self.labels)))
        rows: np.ndarray = np.exp(self.predictor.log_probs(texts, progress=progress))
        return rows

    def _prediction(self, row: np.ndarray, top_k: int, threshold: float | None) -> Prediction:
        order = (-row).argsort(kind="stable")[:top_k]
        top = tuple((self.labels[i], float(row[i])) for i in order)
        label, probability = top[0]
        abstained = threshold is not None and probability < threshold
        return Prediction(None if abstained else label, probability, top, abstained)


def check_options(top_k: int, threshold: float | None) -> None:
    """Raise UsageError unless `top_k` is at least 1 and `threshold`, if any, in [0, 1]."""
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}; it must be at least 1")
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise UsageError(f"threshold is {threshold}; a probability lies between 0 and 1")


def load(
    checkpoint: str | Path | CheckpointRef,
    *,
    dtype: str = "float32",
    threads: int | None = None,
    verify: bool = True,
) -> Model:
    """Load a checkpoint of any kind.

    Args:
        checkpoint: a folder with a ``gradus.json``, or a reference to one.
        dtype: what the forward pass computes in, where the kind leaves a choice.
        threads: number of threads; None leaves the back end's default.
        verify: compare every file's SHA-256 with the manifest first.

    Example:
        >>> import tempfile
        >>> from gradus.predict import load
        >>> from gradus.predict.linear import save_majority
        >>> folder = tempfile.mkdtemp() + "/floor"
        >>> _ = save_majority(folder, labels=["spam", "ham"], counts=[1, 3])
        >>> model = load(folder)
        >>> model.predict(["Hello"])[0].label
        'ham'
        >>> model.predict(["Hello"], threshold=0.9)[0].abstained
        True

    Raises:
        CheckpointError: there is no manifest, a file was changed, or its kind can't read it.
        UsageError: `dtype` is unknown.
    """
    if dtype not in DTYPES:
        raise UsageError(f"dtype is '{dtype}'; it must be one of {', '.join(DTYPES)}")
    ref = _reference(checkpoint)
    if verify:
        manifest.verify(Path(ref.path))
    try:
        kind = registry.load("kinds", ref.kind)
    except UnknownName as error:
        raise CheckpointError(f"{ref.path}: {error}") from error
    predictor: Predictor = kind.open(ref, dtype=dtype, threads=threads)
    return Model(predictor, ref)


def _reference(checkpoint: str | Path | CheckpointRef) -> CheckpointRef:
    """What stands on disk now, under the name that a reference gives it."""
    if not isinstance(checkpoint, CheckpointRef):
        return manifest.open_checkpoint(checkpoint)
    found = manifest.open_checkpoint(
        checkpoint.path, name=checkpoint.name, origin=checkpoint.origin
    )
    if checkpoint.digest and checkpoint.digest != found.digest:
        raise CheckpointError(
            f"{checkpoint.path}: another checkpoint stands there than the '{checkpoint.name}' "
            f"that is asked for (digest {found.digest[:12]} instead of {checkpoint.digest[:12]}); "
            "run the plan again"
        )
    return found
