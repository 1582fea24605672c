"""Schemes that write a language model as a GGUF file, for llama.cpp. They import nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from gradus.compress.base import Compressed
from gradus.compress.language.base import LanguageModel, LanguageScheme
from gradus.parity.base import Bounds

PROBES = (
    "The committee meets again on Thursday.",
    "It's 3.4 % more than in 1999, isn't it?\n\n  Two spaces, a tab\tand ünïcödé: 東京.",
    "def f(x):\n    return x**2  # squares",
)
"""Texts on which the file's tokenizer must agree with the model's own."""


class GgufScheme(LanguageScheme):
    """Base of the schemes: one GGUF file of one file type.

    Class attributes:
        file_type: see `gradus.compress.language.mixture`.
    """

    kind: ClassVar[str] = "gguf"
    file_type: ClassVar[str]

    def write(self, what: LanguageModel, folder: Path) -> Compressed:
        """Write ``model.gguf``; what reads it back must cut texts into the same tokens."""
        from gradus.compress.language import gguf_file, pieces
        from gradus.records import CheckpointRef

        path = folder / gguf_file.FILE
        facts = gguf_file.write(
            what.model, what.tokenizer, path, file_type=self.file_type, name=what.name
        )
        ref = CheckpointRef(
            name=what.name, kind="gguf", path=str(folder), file=path.name, digest="0" * 64
        )
        pieces.check(what.tokenizer, ref, list(PROBES))
        return Compressed(
            preprocessing={"dtype": self.file_type, "file": path.name},
            facts={"file_type": self.file_type, **facts},
        )


class GgufF16(GgufScheme):
    """All matrices in float16: what other tools quantise further."""

    summary: ClassVar[str] = "language model: GGUF file in float16"
    file_type: ClassVar[str] = "F16"
    bounds: ClassVar[Bounds] = Bounds(kl=1e-4, flips=0.01)


class GgufQ8(GgufScheme):
    """8 bits in blocks of 32 with a scale each: 8.5 bits a weight."""

    summary: ClassVar[str] = "language model: GGUF file in Q8_0, 8.5 bits a weight"
    file_type: ClassVar[str] = "Q8_0"


class GgufQ4(GgufScheme):
    """4 bits in blocks of 32 with a scale each: 4.5 bits a weight, the vocabulary in more."""

    summary: ClassVar[str] = "language model: GGUF file in Q4_0, 4.5 bits a weight"
    file_type: ClassVar[str] = "Q4_0"
    bounds: ClassVar[Bounds] = Bounds(kl=0.5, flips=0.5)


class GgufQ4KM(GgufScheme):
    """4 bits in blocks of 256 with scales of 32, more bits for what matters more."""

    summary: ClassVar[str] = "language model: GGUF file in Q4_K_M, about 4.8 bits a weight"
    file_type: ClassVar[str] = "Q4_K_M"
    bounds: ClassVar[Bounds] = Bounds(kl=0.5, flips=0.5)


class GgufQ5KM(GgufScheme):
    """5 bits in blocks of 256 with scales of 32, more bits for what matters more."""

    summary: ClassVar[str] = "language model: GGUF file in Q5_K_M, about 5.7 bits a weight"
    file_type: ClassVar[str] = "Q5_K_M"
    bounds: ClassVar[Bounds] = Bounds(kl=0.2, flips=0.2)


class GgufQ6K(GgufScheme):
    """6 bits in blocks of 256 with scales of 16."""

    summary: ClassVar[str] = "language model: GGUF file in Q6_K, 6.6 bits a weight"
    file_type: ClassVar[str] = "Q6_K"
