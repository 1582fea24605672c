"""Token ids of a context and of what continues it.

The rule is lm-evaluation-harness's (Gao et al. 2024, `_encode_pair`): spaces at the context's end
belong to the continuation, both are encoded as one string, and the ids are split at the length
that the context has by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def leading_tokens(tokenizer: Any) -> list[int]:
    """What the tokenizer puts before every text of its own accord: one token, or none."""
    ids: list[int] = tokenizer("")["input_ids"]
    first = getattr(tokenizer, "bos_token_id", None)
    return [first] if first is not None and ids[:1] == [first] else []


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text after the tokenizer's leading token, without one at the end."""
    if not texts:
        return []
    coded = tokenizer(
        list(texts),
        add_special_tokens=False,
        padding=False,
        truncation=False,
        return_attention_mask=False,
        verbose=False,
    )
    leading = leading_tokens(tokenizer)
    return [leading + row for row in coded["input_ids"]]


def encode_pair(tokenizer: Any, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Token ids of a context and of its continuation.

    >>> from transformers import PreTrainedTokenizerFast
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> vocabulary = {"a": 0, "b": 1, "Ġb": 2, "[U]": 3}
    >>> inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[U]"))
    >>> inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    >>> encode_pair(PreTrainedTokenizerFast(tokenizer_object=inner), "a ", "b")
    ([0], [2])
    """
    bare = context.rstrip()
    whole, alone = encode(tokenizer, [context + continuation, bare])
    return alone, whole[len(alone) :]
