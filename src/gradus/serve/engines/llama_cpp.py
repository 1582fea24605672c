"""Engine `llama-cpp`: GGUF files as they are, several texts in turn (package xllamacpp)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from gradus.records import CheckpointRef
from gradus.serve.engines.base import ALL, Scheduler, Writing
from gradus.serve.engines.gradus import alone
from gradus.serve.engines.threads import Several

PARALLEL: Final = 4
"""Texts at a time; llama.cpp reserves the memory of a whole context for each."""


class LlamaCppEngine(Writing):
    """llama.cpp through xllamacpp, which writes several texts in one batch."""

    name: ClassVar[str] = "llama-cpp"
    summary: ClassVar[str] = "llama.cpp, for GGUF files"
    supports: ClassVar[frozenset[str]] = ALL - {
        "logprobs",
        "frequency_penalty",
        "presence_penalty",
    }

    def __init__(self, ref: CheckpointRef, writer: Any, parallel: int) -> None:
        """See `open`."""
        super().__init__(ref, writer.tokenizer, writer.limit)
        self._contract = writer.contract
        self._scheduler = Several(alone(writer), parallel)

    @classmethod
    def takes(cls, checkpoint: str) -> bool:
        """GGUF files."""
        from gradus.serve.engines.choice import writes

        return writes(checkpoint) == "llama.cpp"

    @classmethod
    def open(cls, checkpoint: str, options: Mapping[str, Any]) -> Self:
        """Load the file.

        Raises:
            MissingExtra: xllamacpp isn't installed.
            UsageError: the weights aren't a GGUF file.
            SourceError, CheckpointError: see `gradus.generation.open`.
        """
        from gradus.errors import UsageError
        from gradus.generation.llama_cpp import LlamaCppGenerator
        from gradus.scoring.load import find

        ref = find(checkpoint)
        if ref.kind != "gguf":
            raise UsageError(
                f"llama.cpp reads GGUF files, and '{ref.name}' is of kind '{ref.kind}': serve it "
                "with --engine gradus"
            )
        parallel = int(options.get("parallel") or PARALLEL)
        return cls(
            ref, LlamaCppGenerator(ref, threads=options.get("threads"), parallel=parallel), parallel
        )

    @property
    def scheduler(self) -> Scheduler:
        """See `Writing.scheduler`."""
        return self._scheduler

    @property
    def contract(self) -> Mapping[str, str]:
        """See `Writing.contract`."""
        found: Mapping[str, str] = self._contract
        return found
