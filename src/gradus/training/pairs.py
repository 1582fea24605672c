"""Two texts that are judged together, as one sequence of tokens.

A tokenizer that knows pairs (BERT: ``[CLS] A [SEP] B [SEP]`` with a type for each side, RoBERTa,
most Llamas) puts them together itself. Elsewhere (GPT-2) B follows A after a line end, inside
whatever the tokenizer puts around one text. Where both don't fit, the longer loses its end first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradus.records import Pair


class Coded(NamedTuple):
    """Token ids of a text or a pair, the side that each belongs to, whether it was cut."""

    ids: list[int]
    types: list[int]
    cut: bool


def knows_pairs(tokenizer: Any) -> bool:
    """Whether the tokenizer marks where the second text begins."""
    one, two = (int(tokenizer.num_special_tokens_to_add(pair=pair)) for pair in (False, True))
    return two > one


def encode_pairs(tokenizer: Any, pairs: Sequence[Pair], max_tokens: int) -> list[Coded]:
    """The pairs in at most `max_tokens` tokens each, special ones included."""
    if not pairs:
        return []
    firsts, seconds = [p.first for p in pairs], [p.second for p in pairs]
    if not knows_pairs(tokenizer):
        return _joined(tokenizer, firsts, seconds, max_tokens)
    coded = tokenizer(
        firsts,
        seconds,
        truncation="longest_first",
        max_length=max_tokens,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    return [Coded(list(e.ids), list(e.type_ids), bool(e.overflowing)) for e in coded.encodings]


def _joined(
    tokenizer: Any, firsts: Sequence[str], seconds: Sequence[str], max_tokens: int
) -> list[Coded]:
    """First, line end and second between what the tokenizer puts around one text."""
    from tokenizers import Encoding

    sides = [
        tokenizer(list(texts), add_special_tokens=False, truncation=False, padding=False).encodings
        for texts in (firsts, [f"\n{text}" for text in seconds])
    ]
    room = max(0, max_tokens - int(tokenizer.num_special_tokens_to_add(pair=False)))
    found = []
    for first, second in zip(*sides, strict=True):
        kept = shares(len(first.ids), len(second.ids), room)
        cut = kept != (len(first.ids), len(second.ids))
        first.truncate(kept[0])
        second.truncate(kept[1])
        whole = tokenizer.backend_tokenizer.post_process(Encoding.merge([first, second]))
        found.append(Coded(list(whole.ids), [0] * len(whole.ids), cut))
    return found


def shares(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens each side keeps of its own so that both fit: the longer is cut first.

    >>> shares(10, 3, 8), shares(10, 9, 8), shares(2, 3, 8)
    ((5, 3), (4, 4), (2, 3))
    """
    if first + second <= room:
        return first, second
    less = min(first, second, room // 2)
    return (less, room - less) if first < second else (room - less, less)
