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
from gradus.data.prepare import Prepare
from gradus.errors import CheckpointError, UnknownName, UsageError
from gradus.predict.base import Predictor
from gradus.predict.outputs import target_of
from gradus.predict.postprocess import KEY, Postprocess
from gradus.predict.postprocessed import PostprocessedPredictor
from gradus.predict.prepared import PreparedPredictor
from gradus.records import CheckpointRef, Span, Target

if TYPE_CHECKING:
    import numpy as np

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a checkpoint says about one text; which attributes tell, its target decides.

    Attributes:
        label: the most probable label, or what the checkpoint's tuned thresholds make of the
            probabilities; None when it abstained, when none of several labels is said, and for
            numbers and spans.
        probability: of that label, whether it is said or not; None without labels.
        top: the `top_k` most probable labels with their probabilities, greatest first; equal ones
            in the order of the labels.
        abstained: whether the probability is below the threshold that was asked for.
        labels: with target ``labels``: all that are said, with their probabilities, greatest first.
        value: with target ``number``: the number.
        spans: with target ``spans``: what is labelled, in order of the start.
        reply: with target ``reply``: what the language model replies.
    """

    label: str | None = None
    probability: float | None = None
    top: tuple[tuple[str, float], ...] = ()
    abstained: bool = False
    labels: tuple[tuple[str, float], ...] = ()
    value: float | None = None
    spans: tuple[Span, ...] = ()
    reply: str | None = None


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
    def target(self) -> Target:
        """What it predicts: one label, any number of labels, a number, spans, a reply, a vector."""
        return self.predictor.target

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
            threshold: abstain where the probability of the label is below it, in [0, 1]; in the
                place of the checkpoint's own `abstain_below`, if it has one. With target
                ``labels`` it takes the place of the checkpoint's own thresholds.

        Raises:
            UsageError: `texts` is one string, `top_k` is below 1, `threshold` outside [0, 1] or
                given where there are no probabilities.
        """
        check_options(top_k, threshold)
        self.check_threshold(threshold)
        if self.target == "number":
            return [Prediction(value=float(value)) for value in self.predict_numbers(texts)]
        if self.target == "spans":
            _check_texts(texts)
            return [Prediction(spans=spans) for spans in self.predictor.spans(texts)]
        if self.target == "reply":
            _check_texts(texts)
            return [Prediction(reply=said.text) for said in self.predictor.replies(texts)]
        probabilities = self.predict_proba(texts)
        if self.target == "labels":
            given = self.predictor.thresholds
            least = given if threshold is None else (threshold,) * len(given)
            return [self._labels_said(row, top_k, least) for row in probabilities]
        if threshold is None:
            threshold = self.predictor.abstain_below
        said = zip(probabilities, self._decided(probabilities), strict=True)
        return [self._prediction(row, best, top_k, threshold) for row, best in said]

    def _decided(self, probabilities: np.ndarray) -> list[int]:
        """The label said of each row [N, K], by number."""
        import numpy as np

        with np.errstate(divide="ignore"):
            found: list[int] = self.predictor.decide(np.log(probabilities)).tolist()
        return found

    def mapped(self, label_map: Mapping[str, str]) -> Model:
        """The same checkpoint, its labels called something else; several may become one.

        Raises:
            UsageError: it has no such labels.
        """
        post = Postprocess(label_map=dict(label_map))
        return Model(PostprocessedPredictor(self.predictor, post), self.ref) if post else self

    def check_threshold(self, threshold: float | None) -> None:
        """Raise UsageError if there is a threshold and nothing that it could be held against."""
        if threshold is not None and self.target in ("number", "spans", "reply"):
            said = {"number": "numbers", "reply": "replies"}.get(self.target, self.target)
            raise UsageError(
                f"a threshold is a probability, and this checkpoint predicts {said}: leave it out"
            )

    def predict_proba(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N, K] probabilities; each row sums to 1 up to rounding.

        With target ``labels`` each is its own, and rows sum to anything. `progress` is called with
        the number of texts done so far.

        Raises:
            UsageError: `texts` is one string.
            ContractError: the checkpoint predicts numbers or spans.
        """
        import numpy as np

        _check_texts(texts)
        if len(texts) == 0:
            return np.zeros((0, len(self.labels)))
        rows: np.ndarray = np.exp(self.predictor.log_probs(texts, progress=progress))
        return rows

    def predict_numbers(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N], for a checkpoint with target ``number``; `progress` as above.

        Raises:
            UsageError: `texts` is one string.
            ContractError: the checkpoint predicts something else.
        """
        _check_texts(texts)
        return self.predictor.numbers(texts, progress=progress)

    def embed(
        self,
        texts: Sequence[str],
        *,
        normalise: bool | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """float32 [N, D], one vector a text, in the texts' order; `progress` as above.

        Args:
            texts: N texts.
            normalise: whether vectors are brought to length 1; None for what the checkpoint does
                before its head, or a bare encoder's folder says (see `encoder`).
            progress: called with the number of texts done so far.

        Raises:
            UsageError: `texts` is one string, or the checkpoint has no vectors of texts: linear and
                prompted ones, taggers, exported graphs.
        """
        _check_texts(texts)
        return self.predictor.embed(texts, normalise=normalise, progress=progress)

    def _labels_said(self, row: np.ndarray, top_k: int, least: Sequence[float]) -> Prediction:
        order = (-row).argsort(kind="stable")
        ranked = tuple((self.labels[i], float(row[i])) for i in order)
        said = tuple((self.labels[i], float(row[i])) for i in order if row[i] >= least[i])
        label = said[0][0] if said else None
        return Prediction(label, ranked[0][1], ranked[:top_k], labels=said)

    def _prediction(
        self, row: np.ndarray, best: int, top_k: int, threshold: float | None
    ) -> Prediction:
        order = (-row).argsort(kind="stable")[:top_k]
        top = tuple((self.labels[i], float(row[i])) for i in order)
        label, probability = self.labels[best], float(row[best])
        abstained = threshold is not None and probability < threshold
        return Prediction(None if abstained else label, probability, top, abstained)


def _check_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise UsageError("texts is one string: pass a list of texts, e.g. [text]")


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
    preprocessing = manifest.read_manifest(Path(ref.path)).preprocessing
    if target_of(preprocessing) == "text":
        return language_model(ref, dtype=dtype, threads=threads)
    predictor: Predictor = kind.open(ref, dtype=dtype, threads=threads)
    if prepare := Prepare.of(preprocessing):
        predictor = PreparedPredictor(predictor, prepare)
    if post := Postprocess.of(preprocessing):
        predictor = _around(predictor, post, ref)
    return Model(predictor, ref)


def _around(predictor: Predictor, post: Postprocess, ref: CheckpointRef) -> Predictor:
    try:
        return PostprocessedPredictor(predictor, post)
    except UsageError as error:
        raise CheckpointError(f"{ref.path}: its '{KEY}' doesn't fit it ({error})") from error


def language_model(
    ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
) -> Model:
    """Any causal language model as one that replies; it needs no manifest.

    Raises:
        CheckpointError: the weights aren't those of a causal language model.
    """
    from gradus.predict.replies import ReplyPredictor

    return Model(ReplyPredictor.open(ref, dtype=dtype, threads=threads), ref)


def encoder(ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None) -> Model:
    """Any transformer as one that turns texts into vectors (`Model.embed`); it needs no manifest.

    Raises:
        CheckpointError: the weights can't be read as a transformer that reads texts.
    """
    from gradus.predict.embedding import EncoderPredictor

    return Model(EncoderPredictor.open(ref, dtype=dtype, threads=threads), ref)


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
