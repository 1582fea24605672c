"""What every checkpoint kind offers once it is loaded.

Legend: N texts, K labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradus.errors import ContractError, UsageError
from gradus.records import CheckpointRef, Span, Target

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from gradus.predict.replies import Said


class Predictor(ABC):
    """A checkpoint that says something about texts: what, its `target` tells.

    A predictor whose target is ``label`` or ``labels`` has `log_probs`, one whose target is
    ``number`` has `numbers`, one whose target is ``spans`` has `spans`, one whose target is
    ``reply`` has `replies`, one whose target is ``vector`` has `embed`, which transformers with
    other targets may have as well. Subclasses load lazily
    imported back ends in `open` and hold no other state than the weights.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    target: Target = "label"
    labels: tuple[str, ...]
    lanes: ClassVar[int] = 1
    """How many lists of texts at once fill all cores, when a caller has several to hand."""
    same_bits: ClassVar[bool] = False
    """Whether the same list of texts gives the same bits whatever the number of threads."""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """K numbers in (0, 1), one half each unless they were tuned.

        With target ``labels`` a label is said from its threshold on; with ``label`` the one whose
        probability is greatest as a multiple of its threshold.
        """
        return (0.5,) * len(self.labels)

    @property
    def abstain_below(self) -> float | None:
        """With target ``label``: abstain where the probability of the label is below it."""
        return None

    @property
    def label_map(self) -> Mapping[str, str]:
        """What labels of its training are called here, where that is something else."""
        return {}

    def decide(self, log_probs: np.ndarray) -> np.ndarray:
        """int64 [N], the labels said with target ``label``, of `log_probs` [N, K].

        The first of equals.
        """
        return decide(log_probs, self.thresholds)

    @classmethod
    @abstractmethod
    def open(
        cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> Self:
        """Load the checkpoint; verifies nothing again that `gradus.load` has verified.

        Raises:
            CheckpointError: the content can't be read as this kind.
        """

    def share(self, folder: Path) -> None:  # noqa: B027 - most kinds have nothing to share
        """Keep in `folder` what other checkpoints of the same model compute of the same texts.

        It changes how fast an answer comes, and no bit of it; nothing is kept unless asked for.
        """

    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N, K] natural logarithms of the labels' probabilities, in the texts' order.

        With target ``label`` the probabilities of a row sum to 1; with ``labels`` each is its own.
        `progress` is called with the number of texts done so far. The same text gives the same
        row whatever the batch, up to rounding.
        """
        raise self._lacks("label")

    def numbers(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N], in the texts' order; `progress` as above."""
        raise self._lacks("number")

    def spans(
        self,
        texts: Sequence[str],
        *,
        words: Sequence[Sequence[tuple[int, int]]] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[tuple[Span, ...]]:
        """N tuples of spans in order of their start, none overlapping; `progress` as above.

        `words` are the (start, end) of each text's words, None for the checkpoint's own way of
        finding them.
        """
        raise self._lacks("spans")

    @property
    def tags(self) -> tuple[str, ...]:
        """With target ``spans``: the K tags, in the order of `tag_log_probs`' columns."""
        raise self._lacks("spans")

    def tag_log_probs(
        self,
        texts: Sequence[str],
        *,
        words: Sequence[Sequence[tuple[int, int]]] | None = None,
    ) -> np.ndarray:
        """With target ``spans``: float64 [W, K], the log-probabilities of every word's K tags.

        The W words of all texts in their order, `words` as in `spans`; no rule about which tag may
        follow which is applied.
        """
        raise self._lacks("spans")

    def replies(
        self,
        texts: Sequence[str],
        *,
        references: Sequence[str] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[Said]:
        """What is replied to N prompts, in their order; `progress` as above.

        `references` are N replies whose log-likelihoods are taken too.
        """
        raise self._lacks("reply")

    def embed(
        self,
        texts: Sequence[str],
        *,
        normalise: bool | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """float32 [N, D], one vector a text, in the texts' order; `progress` as above.

        `normalise` brings them to length 1 or leaves them as they are pooled; None does what the
        checkpoint does before its head.
        """
        raise UsageError(
            f"a checkpoint of kind '{self.kind}' with target '{self.target}' has no vectors of "
            "texts; embed with the transformer that it was made from"
        )

    def say(self, texts: Sequence[str]) -> Any:
        """What its target asks for: `log_probs`, `numbers`, `spans` or `replies`."""
        if self.target == "reply":
            return self.replies(texts)
        if self.target == "number":
            return self.numbers(texts)
        return self.spans(texts) if self.target == "spans" else self.log_probs(texts)

    def _lacks(self, wanted: str) -> ContractError:
        return ContractError(
            f"a checkpoint with target '{self.target}' was asked for target '{wanted}'"
        )

    @property
    @abstractmethod
    def contract(self) -> Mapping[str, str]:
        """Part of a measurement's contract: dtype, backend, max_tokens, tokenizer digest."""

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """Bytes of everything that prediction needs on disk."""


def decide(log_probs: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """int64 [N], where [N, K] probabilities are the greatest multiple of their K thresholds."""
    import numpy as np

    if len(set(thresholds)) > 1:
        log_probs = log_probs - np.log(np.asarray(thresholds, dtype=np.float64))
    return np.asarray(log_probs.argmax(axis=1), dtype=np.int64)
