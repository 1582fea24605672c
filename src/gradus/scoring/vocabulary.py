"""What tokens say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def texts_of(tokenizer: Any, vocabulary: int) -> list[str]:
    """The text of every token, as it stands inside a text: a leading space is kept.

    `vocabulary` is how many there are; numbers that the tokenizer doesn't know say nothing.
    """
    # Alone, some tokenizers' tokens lose their leading space; after another they don't.
    (anchor,) = tokenizer("a", add_special_tokens=False)["input_ids"][-1:]
    before = tokenizer.decode([anchor])
    known = min(vocabulary, len(tokenizer))
    texts = tokenizer.batch_decode([[anchor, token] for token in range(known)])
    return [text.removeprefix(before) for text in texts] + [""] * (vocabulary - known)


def accepted(tokenizer: Any, accepts: Callable[[str], bool], vocabulary: int) -> torch.Tensor:
    """bool [V], the tokens whose text `accepts` takes."""
    return torch.tensor([accepts(text) for text in texts_of(tokenizer, vocabulary)])
