"""Weights in a GGUF file on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from gradus.errors import SourceError
from gradus.sources.base import (
    Located,
    Purpose,
    Source,
    SourceConfig,
    absolute,
    listing,
    nearby,
    require,
)


class GgufConfig(SourceConfig):
    """``{gguf: PATH}``: a GGUF file, or a folder that holds exactly one."""

    gguf: str


class Gguf(Source):
    """A GGUF file (llama.cpp's format), dequantised when it is loaded."""

    key: ClassVar[str] = "gguf"
    summary: ClassVar[str] = "a local GGUF file, dequantised when it is loaded"
    example: ClassVar[str] = "{gguf: ../models/smollm2.Q4_1.gguf}"
    purposes: ClassVar[frozenset[str]] = frozenset({"weights"})
    Config: ClassVar[type[SourceConfig]] = GgufConfig

    def locate(self, config: Any, folder: Path, *, purpose: Purpose = "data") -> Located:
        """The GGUF file itself."""
        path = require(absolute(config.gguf, folder), "the GGUF file")
        if path.is_dir():
            found = sorted(path.glob("*.gguf"))
            if len(found) > 1:
                raise SourceError(
                    f"{path} holds {len(found)} GGUF files, {listing(p.name for p in found)}: "
                    "name one of them"
                )
            if not found:
                raise SourceError(f"{path} holds no .gguf file: {nearby('.gguf', path)}")
            path = found[0]
        return Located(path, {"gguf": config.gguf})
