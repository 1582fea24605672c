"""A causal language model that replies.

Legend: N prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Self

from gradus.data.conversations import turns_of
from gradus.predict.base import Predictor
from gradus.records import CheckpointRef, Target

if TYPE_CHECKING:
    from gradus.scoring.text import TextScorer

MOST_TOKENS: Final = 512
DECODING: Final = "greedy, to the end of the turn, length by the longest reference"


class Said(NamedTuple):
    """What was replied, and how likely the reference was: summed nats, None if it wasn't asked."""

    text: str
    nats: float | None = None


class ReplyPredictor(Predictor):
    """Any causal language model, asked through its chat template.

    Replies are greedy. The log-likelihood of a reference is that of its tokens and of the token
    that ends it, after the prompt.
    """

    kind: ClassVar[str] = "language model"
    summary: ClassVar[str] = "a causal language model, asked through its chat template"
    target: Target = "reply"

    def __init__(self, engine: TextScorer, ends: frozenset[int]) -> None:
        """See `open`."""
        from gradus.generation.chat import Chat

        self.labels = ()
        self._engine, self._ends = engine, ends
        self._chat = Chat(engine.tokenizer)

    @classmethod
    def open(
        cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> Self:
        """Load the language model.

        Raises:
            CheckpointError: the weights aren't those of a causal language model.
        """
        from gradus import scoring
        from gradus.errors import CheckpointError
        from gradus.generation.opening import ends

        engine = scoring.open(ref, dtype=dtype, threads=threads)
        model = getattr(engine.scorer, "model", None)
        if model is None:
            raise CheckpointError(f"{ref.path}: a masked language model can't reply")
        return cls(engine, ends(model, engine.tokenizer))

    def replies(
        self,
        texts: Sequence[str],
        *,
        references: Sequence[str] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[Said]:
        """See `Predictor.replies`."""
        from gradus.generation.decoding import Decoding

        if not len(texts):
            return []
        room = most_tokens(references)
        if self._engine.limit is not None:
            room = min(room, max(1, self._engine.limit // 2))
        prompts = [self._chat.prompt(turns_of(text)) for text in texts]
        written = self._engine.generate_all(
            prompts,
            settings=Decoding(max_tokens=room, stop=self._chat.stop),
            progress=progress,
        )
        if references is None:
            return [Said(text.strip()) for text in written]
        nats = self._nats(texts, references)
        return [Said(text.strip(), value) for text, value in zip(written, nats, strict=True)]

    def _nats(self, texts: Sequence[str], references: Sequence[str]) -> list[float]:
        from gradus.scoring.seam import fit

        requests = []
        for text, reference in zip(texts, references, strict=True):
            coded = self._chat.coded((*turns_of(text), ("assistant", str(reference))), self._ends)
            last = coded[-1]
            size = last.answers[::-1].index(0) if 0 in last.answers else len(last.ids) - 1
            pair = (last.ids[: len(last.ids) - size], last.ids[len(last.ids) - size :])
            requests.append(fit(pair, self._engine.limit))
        found: list[float] = self._engine.scorer.score(requests).tolist()
        return found

    @property
    def contract(self) -> Mapping[str, str]:
        """dtype, back end, tokenizer, and how prompts are written and replies are."""
        return {
            **self._engine.contract,
            "format": f"chat template {self._chat.digest[:12]}",
            "decoding": DECODING,
        }

    @property
    def size_bytes(self) -> int:
        """Bytes of the weights."""
        place = Path(self._engine.ref.path)
        if self._engine.ref.file:
            return (place / self._engine.ref.file).stat().st_size
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())


def most_tokens(references: Sequence[str] | None) -> int:
    """Tokens that a reply may have: half as many as the longest reference has bytes of UTF-8,
    rounded up to a power of two, from 16 to `MOST_TOKENS`.

    The same for every model, so that replies compare; a token is rarely shorter than two bytes.

    >>> most_tokens(["card arrival", "top up by bank transfer or by cheque"])
    32
    """
    if not references:
        return MOST_TOKENS
    longest = max(len(str(reference).encode()) for reference in references)
    size = 16
    while size < min(longest / 2, MOST_TOKENS):
        size *= 2
    return size
