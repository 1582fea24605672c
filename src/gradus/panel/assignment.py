"""Who is shown what, and in which order.

All raters are shown the same writings, so that their agreement can be measured on every one; each
in an order of its own, so that nobody's writings stand at the beginning or the end. A prompt is
taken with all writers or not at all: they are compared on the same prompts, equally often.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from typing import Final

from gradus.errors import UsageError
from gradus.panel.records import Mode
from gradus.panel.store import Item
from gradus.writing.records import Samples

ITEMS_FOR_A_CHECK: Final = 20
"""There is one attention check for so many items, and one at least."""
LIKERT_CHECKS: Final = (1, 2, 4, 5)
"""What an attention check asks for; the middle is what somebody who doesn't read ticks."""


def deal(samples: Samples, *, mode: Mode, each: int, seed: int, rater: str) -> list[Item]:
    """What `rater` is shown, in order, attention checks included.

    Args:
        samples: the writings.
        mode: single writings or pairs of two writers' to the same prompt.
        each: how many writings (pairs), attention checks not counted. Prompts are taken whole, so
            there may be a few less; there are also no more than there are.
        seed: decides which prompts are taken.
        rater: decides with the seed on the order and on which of a pair stands left.

    Raises:
        UsageError: `each` doesn't suffice for one prompt, no prompt was answered by all writers,
            or there is only one writer to make pairs of.
    """
    rows = _rows(samples, seed)
    asked: list[tuple[str, ...]]
    if mode == "likert":
        asked = [(one,) for row in _take(rows, len(samples.writers), each) for one in row]
    else:
        pairs = list(combinations(range(len(samples.writers)), 2))
        if not pairs:
            raise UsageError(
                f"pairs need two writers, and only '{samples.writers[0]}' wrote: mode: likert"
            )
        taken = _take(rows, len(pairs), each)
        draw = random.Random(f"sides {seed} {rater}")
        asked = [both for pair in pairs for both in _sided(taken, pair, draw)]
    draw = random.Random(f"order {seed} {rater}")
    draw.shuffle(asked)
    items = [Item(first=ids[0], second=ids[1] if len(ids) > 1 else None) for ids in asked]
    return _with_checks(items, mode, draw)


def _rows(samples: Samples, seed: int) -> list[tuple[str, ...]]:
    """For each prompt and number that all writers answered: the ids by writer; shuffled."""
    by_item = [{one.item: one.id for one in samples.of(writer)} for writer in samples.writers]
    if not by_item:
        raise UsageError("the samples hold no writing")
    shared = [item for item in by_item[0] if all(item in other for other in by_item[1:])]
    if not shared:
        raise UsageError("there is no prompt that all writers answered: nothing can be compared")
    random.Random(f"prompts {seed}").shuffle(shared)
    return [tuple(ids[item] for ids in by_item) for item in shared]


def _take(rows: list[tuple[str, ...]], per_row: int, each: int) -> list[tuple[str, ...]]:
    number = each // per_row
    if number < 1:
        raise UsageError(
            f"each: {each} is too few: one prompt alone, answered by every writer, "
            f"makes {per_row} to be judged"
        )
    return rows[:number]


def _sided(
    rows: Sequence[tuple[str, ...]], pair: tuple[int, int], draw: random.Random
) -> list[tuple[str, ...]]:
    """Two writers' texts to each prompt; either of them stands left in half of the pairs."""
    turned = [at % 2 == 0 for at in range(len(rows))]
    if draw.random() < 0.5:
        turned = [not turn for turn in turned]
    draw.shuffle(turned)
    sides = [pair[::-1] if turn else pair for turn in turned]
    return [(row[left], row[right]) for row, (left, right) in zip(rows, sides, strict=True)]


def _with_checks(items: list[Item], mode: Mode, draw: random.Random) -> list[Item]:
    """The items with one attention check somewhere in each stretch of `ITEMS_FOR_A_CHECK`."""
    number = max(1, round(len(items) / ITEMS_FOR_A_CHECK))
    edges = [len(items) * at // number for at in range(number + 1)]
    mixed = list(items)
    # From the back, so that the places before stay where they are.
    for at in reversed(range(number)):
        # Never first of all: who begins doesn't know the page yet.
        place = draw.randint(max(edges[at], 1), max(edges[at + 1] - 1, 1))
        name = f"check-{at + 1}"
        if mode == "likert":
            check = Item(first=name, expected=draw.choice(LIKERT_CHECKS))
        else:
            check = Item(first=name, second=f"{name}-other", expected=draw.choice((1, 2)))
        mixed.insert(place, check)
    return mixed
