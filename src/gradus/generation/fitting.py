"""Token ids of prompts, cut to what a model has positions for, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradus.errors import UsageError
from gradus.generation.base import Task
from gradus.generation.decoding import Decoding
from gradus.generation.prompts import Cut
from gradus.scoring.prompts import cut
from gradus.scoring.seam import encode, leading_tokens

# A prefix that rows share is fed once if it has at least this many tokens.
PREFIX = 16


@dataclass(frozen=True, slots=True)
class Encoded:
    """A task with the token ids of its prompt, at least one."""

    task: Task
    ids: tuple[int, ...]


def encoded(
    tokenizer: Any, tasks: Sequence[Task], settings: Decoding, limit: int | None
) -> list[Encoded]:
    """The tasks' token ids, each with room for what is written after it.

    Raises:
        UsageError: there is no room, or a prompt has no token and the tokenizer none to begin with.
    """
    room = None if limit is None else limit - settings.max_tokens
    if room is not None and room < 1:
        raise UsageError(
            f"max_tokens is {settings.max_tokens:,}, and the model has positions for {limit:,}: "
            "that leaves none for a prompt; lower it"
        )
    rows = encode(tokenizer, [str(task.prompt) for task in tasks])
    lead = len(leading_tokens(tokenizer))
    found = []
    for task, row in zip(tasks, rows, strict=True):
        ids = row or _begin(tokenizer)
        if room is not None and len(ids) > room:
            if isinstance(task.prompt, Cut):
                ids = _shortened(tokenizer, task.prompt, room)
            else:
                ids = ids[:lead] + ids[len(ids) - max(room - lead, 1) :]
        found.append(Encoded(task, tuple(ids[-room:] if room is not None else ids)))
    return found


def _begin(tokenizer: Any) -> list[int]:
    """What an empty prompt begins with, as GPT-2 begins with its end of text."""
    for name in ("bos_token_id", "eos_token_id"):
        token = getattr(tokenizer, name, None)
        if token is not None:
            return [int(token)]
    raise UsageError("a prompt is empty, and the tokenizer has no token to begin with: write one")


def _shortened(tokenizer: Any, prompt: Cut, room: int) -> list[int]:
    """Ids of the prompt with as much of its body as there is room for."""
    left = room - len(encode(tokenizer, [prompt.ending])[0])
    while left > 0:
        (body,), _ = cut(tokenizer, [prompt.body], left)
        (ids,) = encode(tokenizer, [body + prompt.ending])
        if len(ids) <= room:
            return ids
        # Tokens at the seam differ from those of the parts.
        left -= len(ids) - room
    return encode(tokenizer, [prompt.ending])[0]


def shared(rows: Sequence[tuple[int, ...]]) -> int:
    """How many first tokens all rows have in common, a last token of each aside.

    >>> shared([(1, 2, 3), (1, 2, 4, 5)])
    2
    """
    low, high = min(rows), max(rows)
    most = min(len(row) for row in rows) - 1
    same = 0
    while same < most and low[same] == high[same]:
        same += 1
    return same


def batches(items: Sequence[Encoded], settings: Decoding, slots: int, rows: int) -> list[list[int]]:
    """Places of the items in batches of at most `rows`, whose cache has at most `slots` slots.

    By length, or in the order of their tokens where that lets more of them share their beginnings:
    whichever has fewer tokens to feed.
    """
    lengths = [len(item.ids) for item in items]
    by_length = sorted(range(len(items)), key=lambda i: (lengths[i], items[i].ids))
    by_tokens = sorted(range(len(items)), key=lambda i: items[i].ids)
    plans = [
        _cut(order, lengths, settings.max_tokens, slots, rows) for order in (by_length, by_tokens)
    ]
    return min(plans, key=lambda plan: sum(_fed(items, batch) for batch in plan))


def _cut(
    order: Sequence[int], lengths: Sequence[int], new: int, slots: int, rows: int
) -> list[list[int]]:
    found: list[list[int]] = []
    longest = 0
    for place in order:
        longest = max(longest, lengths[place])
        full = not found or len(found[-1]) == rows
        if full or (len(found[-1]) + 1) * (longest + new) > slots:
            found.append([])
            longest = lengths[place]
        found[-1].append(place)
    return found


def _fed(items: Sequence[Encoded], batch: Sequence[int]) -> int:
    """Tokens that a batch feeds before anything is written, padding among them."""
    rows = [items[place].ids for place in batch]
    same = prefix_of(rows)
    return same + len(rows) * (max(map(len, rows)) - same)


def prefix_of(rows: Sequence[tuple[int, ...]]) -> int:
    """Tokens that are fed once for all rows; 0 where it isn't worth it."""
    if len(rows) < 2:
        return 0
    same = shared(rows)
    return same if same >= PREFIX else 0
