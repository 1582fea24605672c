"""Engine `gradus`: our own decoders, all texts of a worker in one batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from gradus.errors import CheckpointError
from gradus.generation.pieces import Asked, Piece
from gradus.records import CheckpointRef
from gradus.serve.engines.base import Scheduler, Writing
from gradus.serve.engines.threads import Several, Stepping

ROWS = 32


class GradusEngine(Writing):
    """`gradus.generation`: float32, bfloat16 or integers, as `gradus generate` writes."""

    name: ClassVar[str] = "gradus"
    summary: ClassVar[str] = "our own decoders, all texts in one batch"

    def __init__(self, ref: CheckpointRef, writer: Any) -> None:
        """See `open`."""
        super().__init__(ref, writer.tokenizer, writer.limit)
        self._writer, self._contract = writer, writer.contract
        together = getattr(writer, "continuous", None)
        self._scheduler: Scheduler = (
            Stepping(lambda: together(ROWS)) if together else Several(alone(writer), 1)
        )
        if not together:
            # An instance's own: the loop of transformers says nothing of probabilities.
            self.supports = self.supports - {"logprobs"}  # type: ignore[misc]

    @classmethod
    def takes(cls, checkpoint: str) -> bool:
        """Causal language models that aren't GGUF files."""
        from gradus.serve.engines.choice import writes

        return writes(checkpoint) == "torch"

    @classmethod
    def open(cls, checkpoint: str, options: Mapping[str, Any]) -> Self:
        """Load the model; a GGUF file is dequantised.

        Raises:
            SourceError, CheckpointError, UsageError: see `gradus.generation.open`.
        """
        from gradus import generation
        from gradus.scoring.load import find

        ref = find(checkpoint)
        writer = generation.open(
            ref, dtype=options.get("dtype"), threads=options.get("threads"), backend="torch"
        )
        return cls(ref, writer)

    def probe(self) -> None:
        """See `Writing.probe`; where no probabilities are told, the weights are looked at.

        Raises:
            CheckpointError: nothing is written, or weights aren't numbers.
        """
        super().probe()
        if not getattr(self._writer, "finite", True):
            raise CheckpointError(f"{self.ref.path}: its weights are broken: some are no numbers")

    @property
    def scheduler(self) -> Scheduler:
        """See `Writing.scheduler`."""
        return self._scheduler

    @property
    def contract(self) -> Mapping[str, str]:
        """See `Writing.contract`."""
        found: Mapping[str, str] = self._contract
        return found


def alone(writer: Any) -> Callable[[Asked, Callable[[Piece], None]], None]:
    """One text after the other, for families that have no decoder."""

    def one(asked: Asked, tell: Callable[[Piece], None]) -> None:
        from gradus.generation.base import Task
        from gradus.generation.fitting import Encoded
        from gradus.generation.texts import INCOMPLETE

        held = ""

        def told(text: str) -> None:
            """Keep back what may be half a character; at the end it is left out."""
            nonlocal held
            whole = (held + text).rstrip(INCOMPLETE)
            held = (held + text)[len(whole) :]
            tell(Piece(whole, 0))

        item = Encoded(Task(0, "", asked.seed), asked.ids)
        found = writer.one(item, asked.settings, told)
        tell(Piece("", found.tokens, "stop" if found.ended else "length"))

    return one
