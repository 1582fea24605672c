"""Two checkpoints, or whatever gives logits, on the same texts.

Legend: n texts, m rows (texts, words or tokens), K outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from gradus.errors import ContractError
from gradus.parity.base import Bounds, Parity
from gradus.parity.compare import Outputs, compare
from gradus.records import CheckpointRef

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.dataset import TrainingData
    from gradus.predict.base import Predictor

MOST_TEXTS: Final = 256
FALLBACK_TEXTS: Final = (
    "The committee meets again on Thursday.",
    "Why was I charged twice for the same transfer?",
    "Rain.",
    "Shares rose by 3.4 % after the company said that it would buy back stock worth 200 million.",
)


def texts(data: TrainingData | None, most: int = MOST_TEXTS) -> list[str]:
    """The fixed texts of a step: of dev.select, by content hash; of train where that is empty.

    A step without data gets a few sentences of no data set.
    """
    if data is None:
        return list(FALLBACK_TEXTS)
    split = data.select if len(data.select) else data.train
    return list(split.sample(most).texts) or list(FALLBACK_TEXTS)


def check(
    parent: CheckpointRef | Predictor | Callable[[Sequence[str]], np.ndarray],
    child: CheckpointRef | Predictor | Callable[[Sequence[str]], np.ndarray],
    texts: Sequence[str],
    bounds: Bounds | None = None,
    *,
    handoff: str,
    threads: int | None = None,
) -> Parity:
    """Ask both the same texts and say how far the child strays. Refuses nothing: a gate does.

    Args:
        parent: a checkpoint, a predictor, or a function from n texts to logits [m, K].
        child: the same of what was made from it.
        texts: the fixed items, at least one; see `texts`.
        bounds: what is allowed by default: `EXACT` or `LOSSY`; a plan's ``parity:`` goes over it.
        handoff: what was done: ``export``, ``merge``, ``int8``, ``llama.cpp``.
        threads: to compute with, for checkpoints that are opened here.

    Raises:
        ContractError: the two say different things of a text, or there are no texts.
        CheckpointError: a checkpoint can't be read.
    """
    left, what, unit = _say(parent, texts, threads)
    right, other, _ = _say(child, texts, threads)
    if what != other:
        raise ContractError(
            f"parity of '{handoff}': the parent says {what} and the child {other} of a text"
        )
    return compare(left, right, handoff=handoff, bounds=bounds, outputs=what, unit=unit)


def _say(speaker: Any, texts: Sequence[str], threads: int | None) -> tuple[Any, Outputs, str]:
    """Outputs [m, K] of the texts, what they say together, and what a row is."""
    from gradus.predict.base import Predictor

    if isinstance(speaker, CheckpointRef):
        from gradus.predict import load

        speaker = load(speaker, threads=threads).predictor
    if not isinstance(speaker, Predictor):
        return speaker(texts), "label", "texts"
    match speaker.target:
        case "label":
            return speaker.log_probs(texts), "label", "texts"
        case "labels":
            return _logits(speaker.log_probs(texts)), "labels", "texts"
        case "number":
            return speaker.numbers(texts)[:, None], "number", "texts"
        case "spans":
            return speaker.tag_log_probs(texts), "label", "words"
    raise ContractError(
        f"parity of a checkpoint with target '{speaker.target}' is taken from its logits: "
        "give functions from texts to logits"
    )


def _logits(log_probs: np.ndarray) -> np.ndarray:
    """The logits that sigmoids had: ln p - ln(1 - p)."""
    import numpy as np

    with np.errstate(divide="ignore"):
        return np.asarray(log_probs - np.log(-np.expm1(log_probs)))
