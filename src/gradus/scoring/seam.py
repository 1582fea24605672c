"""Token ids of a context and of what continues it.

The rule is lm-evaluation-harness's (Gao et al. 2024, `_encode_pair` of version 0.4.13): spaces at
the context's end belong to the continuation, both are encoded as one string, and the ids are split
at the length that the context has by itself. An empty context is the tokenizer's first token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradus.checkpoints.hashing import hash_json
from gradus.errors import UsageError

Pair = tuple[list[int], list[int]]

# Texts that are encoded at once: what the tokenizer notes of a text, offsets and words among it,
# takes several times the memory of its ids.
TOGETHER = 256


def leading_tokens(tokenizer: Any) -> list[int]:
    """What the tokenizer puts before every text of its own accord: one token, or none."""
    ids: list[int] = tokenizer("")["input_ids"]
    first = getattr(tokenizer, "bos_token_id", None)
    return [first] if first is not None and ids[:1] == [first] else []


def prefix_token(tokenizer: Any) -> int | None:
    """What stands before a text that has no context: begin of text, else end of text, else none."""
    for name in ("bos_token_id", "eos_token_id"):
        found = getattr(tokenizer, name, None)
        if found is not None:
            return int(found)
    return None


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text after the tokenizer's leading token, without one at the end.

    A text that begins with that token, written out, doesn't get it twice.
    """
    if not texts:
        return []
    leading, rows = leading_tokens(tokenizer), encode_bare(tokenizer, texts)
    if not leading:
        return rows
    written = tokenizer.decode(leading)
    return [
        row if text.startswith(written) else leading + row
        for text, row in zip(texts, rows, strict=True)
    ]


def encode_bare(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, without any that the tokenizer adds."""
    rows: list[list[int]] = []
    for start in range(0, len(texts), TOGETHER):
        coded = tokenizer(
            list(texts[start : start + TOGETHER]),
            add_special_tokens=False,
            padding=False,
            truncation=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        rows += coded["input_ids"]
    return rows


def encode_with_ends(tokenizer: Any, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of a text, int32 [T], and the character offset at which each ends, int64 [T]."""
    coded = tokenizer(
        text,
        add_special_tokens=False,
        padding=False,
        truncation=False,
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    ends = np.fromiter((end for _, end in coded["offset_mapping"]), dtype=np.int64)
    return np.array(coded["input_ids"], dtype=np.int32), ends


def encode_pair(tokenizer: Any, context: str, continuation: str) -> Pair:
    """Token ids of a context and of its continuation.

    >>> from transformers import PreTrainedTokenizerFast
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> vocabulary = {"a": 0, "b": 1, "Ġb": 2, "[U]": 3}
    >>> inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[U]"))
    >>> inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    >>> encode_pair(PreTrainedTokenizerFast(tokenizer_object=inner), "a ", "b")
    ([0], [2])
    """
    (found,) = encode_pairs(tokenizer, [(context, continuation)])
    return found


def encode_pairs(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> list[Pair]:
    """`encode_pair` of every pair; a context that many share is encoded once.

    Raises:
        UsageError: a context is empty, and the tokenizer has no token to stand for it.
    """
    bare = list(dict.fromkeys(context.rstrip() for context, _ in pairs))
    alone = dict(zip(bare, encode(tokenizer, bare), strict=True))
    wholes = encode(tokenizer, [context + continuation for context, continuation in pairs])
    found: list[Pair] = []
    for (context, continuation), whole in zip(pairs, wholes, strict=True):
        before = alone[context.rstrip()]
        if context and before:
            found.append((before, whole[len(before) :]))
        else:
            found.append(_without_context(tokenizer, context + continuation))
    return found


def _without_context(tokenizer: Any, text: str) -> Pair:
    first = prefix_token(tokenizer)
    if first is None:
        raise UsageError(
            "an empty context needs a token to stand for it, and the tokenizer knows neither a "
            "begin nor an end of text; give the continuation a context"
        )
    (ids,) = encode_bare(tokenizer, [text])
    return (ids[:1], ids[1:]) if ids[:1] == [first] else ([first], ids)


def fit(pair: Pair, limit: int | None) -> Pair:
    """The pair, its context cut from the left until all but the last token are `limit` or fewer.

    Raises:
        UsageError: the continuation alone is longer than that.
    """
    context, continuation = pair
    if limit is None or len(context) + len(continuation) <= limit + 1:
        return pair
    if len(continuation) > limit:
        raise UsageError(
            f"a continuation of {len(continuation):,} tokens is longer than the {limit:,} that "
            "the model has positions for; score it with rolling windows"
        )
    return context[len(context) + len(continuation) - limit - 1 :], continuation


def tokenizer_digest(tokenizer: Any) -> str:
    """SHA-256 (hex) of what decides a text's tokens: equal for equal tokenizers, wherever from."""
    whole = json.loads(tokenizer.backend_tokenizer.to_str())
    # These two are how it was called last, not what it is.
    rest = {key: value for key, value in whole.items() if key not in ("padding", "truncation")}
    return hash_json([rest, leading_tokens(tokenizer)])
