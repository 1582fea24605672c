"""How varied a set of texts is, with what each text has to do with it.

Distinct n-grams, self-BLEU and entropy are numbers of a whole set: no text has one by itself, and a
set drawn with replacement, in which a text stands twice, is less varied than any set of that size.
They are therefore given as one value for each text, whose mean over the texts is the number of the
set, and whose spread is the jackknife's (Tukey 1958): what leaving out the texts to one prompt
moves the number by. The standard error of that mean is then the jackknife's standard error of the
number, and errs, if at all, on the cautious side (Efron and Stein 1981).

All of them depend on how much text there is. Sets are comparable where their texts are equally
many and about equally long.

Legend: N texts, G groups (texts to one prompt), W words of a text, E different n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

_ORDERS: Final = (1, 2, 3, 4)
_UNSEEN: Final = 0.1  # matches that stand for none: method 1 of Chen and Cherry (2014)
_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Grams:
    """The n-grams of N texts, each kind in each text once.

    Attributes:
        kinds: int64 [M], which of the E kinds.
        texts: int64 [M], in which text.
        counts: int64 [M], how often it stands there.
        number: E.
        lengths: int64 [N], how many n-grams each text has.
    """

    kinds: np.ndarray
    texts: np.ndarray
    counts: np.ndarray
    number: int
    lengths: np.ndarray

    @classmethod
    def of(cls, words: Sequence[Sequence[str]], size: int) -> Grams:
        """The n-grams of `size` words of each text."""
        known: dict[tuple[str, ...], int] = {}
        flat: list[int] = []
        lengths = []
        for text in words:
            found = zip(*(text[place:] for place in range(size)), strict=False)
            codes = [known.setdefault(gram, len(known)) for gram in found]
            lengths.append(len(codes))
            flat += codes
        of_text = np.repeat(np.arange(len(words)), lengths)
        pairs, counts = np.unique(
            np.asarray(flat, np.int64) * max(len(words), 1) + of_text, return_counts=True
        )
        kinds, texts = np.divmod(pairs, max(len(words), 1))
        return cls(kinds, texts, counts, len(known), np.asarray(lengths, np.int64))


def repeated(words: Sequence[Sequence[str]], size: int) -> tuple[np.ndarray, np.ndarray]:
    """For each text its n-grams that stood in it before, and all its n-grams; float64 [N] both."""
    grams = Grams.of(words, size)
    different = np.bincount(grams.texts, minlength=len(words))
    return (grams.lengths - different).astype(np.float64), grams.lengths.astype(np.float64)


def distinct(words: Sequence[Sequence[str]], groups: np.ndarray, size: int) -> np.ndarray:
    """Different n-grams of all texts over all their n-grams, as float64 [N] with that mean.

    Args:
        words: N lists of words.
        groups: int64 [N], the prompt of each text, from 0.
        size: words of an n-gram.
    """
    grams = Grams.of(words, size)
    total = int(grams.lengths.sum())
    if not total:
        return np.full(len(words), np.nan)
    kinds, owners, _ = _by_group(grams, groups)
    alone = np.bincount(kinds, minlength=grams.number)[kinds] == 1
    own = np.bincount(owners[alone], minlength=_count(groups))
    rest = total - np.bincount(groups, grams.lengths, minlength=_count(groups))
    value = grams.number / total
    with np.errstate(divide="ignore", invalid="ignore"):
        without = np.where(rest > 0, (grams.number - own) / rest, np.nan)
    return _spread(value, without, groups)


def entropy(words: Sequence[Sequence[str]], groups: np.ndarray) -> np.ndarray:
    """Entropy of the words of all texts in bits, as float64 [N] with that mean.

    Of the words as they were written, without a correction for those that weren't.
    """
    grams = Grams.of(words, 1)
    total = int(grams.lengths.sum())
    if not total:
        return np.full(len(words), np.nan)
    kinds, owners, mine = _by_group(grams, groups)
    counts = np.bincount(kinds, mine, minlength=grams.number)
    whole = float(_log_sum(counts).sum())
    less = _log_sum(counts[kinds]) - _log_sum(counts[kinds] - mine)
    left = whole - np.bincount(owners, less, minlength=_count(groups))
    rest = total - np.bincount(groups, grams.lengths, minlength=_count(groups))
    value = np.log2(total) - whole / total
    with np.errstate(divide="ignore", invalid="ignore"):
        without = np.where(rest > 0, np.log2(rest) - left / rest, np.nan)
    # Rounding may leave a hair below 0 where all words are the same.
    return _spread(max(float(value), 0.0), np.maximum(without, 0.0), groups)


def _log_sum(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts * np.log2(np.maximum(counts, 1)))


def self_bleu(words: Sequence[Sequence[str]], groups: np.ndarray) -> np.ndarray:
    """Mean BLEU-4 of each text against all others, as float64 [N] with that mean.

    Papineni et al. (2002) for one sentence: modified precisions of 1- to 4-grams, their geometric
    mean, the brevity penalty by the other text that is nearest in length. A precision without a
    match counts as 0.1 matches, unless no word matches (then BLEU is 0). Texts without words are
    left out (NaN), as texts and as others; NaN where fewer than two are left.
    """
    found = np.full(len(words), np.nan)
    kept = [row for row, text in enumerate(words) if text]
    if len(kept) < 2:
        return found
    _, inner = np.unique(groups[kept], return_inverse=True)
    texts = [words[row] for row in kept]
    value, without = _mean_bleu(texts, inner.reshape(-1))
    found[kept] = _spread(value, without, inner.reshape(-1))
    return found


def _mean_bleu(words: Sequence[Sequence[str]], groups: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean BLEU of the texts, and the mean without each group: float64 [G]."""
    orders = [_Matches.of(Grams.of(words, size), groups) for size in _ORDERS]
    lengths = np.array([len(text) for text in words])
    nearest, owner, second = _nearest(lengths, groups)
    whole = _bleu(lengths, [one.matches for one in orders], orders, nearest)
    sizes = np.bincount(groups)
    without = np.full(len(sizes), np.nan)
    width = max(1, _AT_ONCE // len(words))
    for start in range(0, len(sizes), width):
        block = np.arange(start, min(start + width, len(sizes)))
        matches = [one.without(block) for one in orders]
        closest = np.where(owner == block[:, None], second, nearest)
        scores = _bleu(lengths, matches, orders, closest)
        scores[groups == block[:, None]] = 0.0
        left = len(words) - sizes[block]
        # A text that is left alone has nothing to be held against.
        means = scores.sum(axis=1) / np.maximum(left, 1)
        without[block] = np.where(left < 2, np.nan, means)
    return float(whole.mean()), without


@dataclass(frozen=True, slots=True)
class _Matches:
    """Matches of one order: n-grams that others have too, each at most as often as one of them.

    Attributes:
        matches: float64 [N].
        totals: float64 [N], n-grams of each text.
        losers: int64 [L], texts that lose matches when a group is left out.
        groups: int64 [L], that group.
        losses: float64 [L], how many matches.
    """

    matches: np.ndarray
    totals: np.ndarray
    losers: np.ndarray
    groups: np.ndarray
    losses: np.ndarray

    @classmethod
    def of(cls, grams: Grams, groups: np.ndarray) -> _Matches:
        """Count them.

        For an n-gram of a text the others' greatest count is that within its own group or that of
        the group with most; without that group it is that of the next.
        """
        number = len(grams.lengths)
        owners = groups[grams.texts]
        # Within groups: the greatest count, whose it is, and the next greatest.
        pair = grams.kinds * max(_count(groups), 1) + owners
        at, first, whose, next_ = _two_greatest(pair, grams.counts, grams.texts)
        own = np.where(whose[at] == grams.texts, next_[at], first[at])
        firsts = np.unique(at, return_index=True)[1]
        kinds, group = grams.kinds[firsts], owners[firsts]
        others, runner_up = _greatest_elsewhere(kinds, group, first)
        best, best_group = others
        base = np.minimum(grams.counts, np.maximum(own, best[at]))
        less = base - np.minimum(grams.counts, np.maximum(own, runner_up[at]))
        rows = np.flatnonzero(less > 0)
        return cls(
            np.bincount(grams.texts, base, minlength=number),
            grams.lengths.astype(np.float64),
            grams.texts[rows],
            best_group[at][rows],
            less[rows].astype(np.float64),
        )

    def without(self, block: np.ndarray) -> np.ndarray:
        """Matches without each of some groups in a row: float64 [len(block), N]."""
        number = len(self.matches)
        here = np.flatnonzero((self.groups >= block[0]) & (self.groups <= block[-1]))
        cells = (self.groups[here] - block[0]) * number + self.losers[here]
        lost = np.bincount(cells, self.losses[here], minlength=len(block) * number)
        return self.matches - lost.reshape(len(block), number)


def _two_greatest(
    keys: np.ndarray, values: np.ndarray, names: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For rows [M] with keys: the key's number [M]; then of each key [K] its greatest value, the
    name that has it, and the next value (0 where there is none)."""
    _, at = np.unique(keys, return_inverse=True)
    at = at.reshape(-1)
    order = np.lexsort((-values, at))
    firsts = np.flatnonzero(np.diff(at[order], prepend=-1))
    nexts = np.append(firsts[1:], len(order))
    second = np.zeros(len(firsts), values.dtype)
    more = nexts - firsts > 1
    second[more] = values[order[firsts[more] + 1]]
    return at, values[order[firsts]], names[order[firsts]], second


def _greatest_elsewhere(
    kinds: np.ndarray, groups: np.ndarray, values: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """For each row [K], an n-gram in a group, the greatest value of it in another group, which
    group that is (-1 for none), and the next greatest in a third."""
    _, at = np.unique(kinds, return_inverse=True)
    at = at.reshape(-1)
    order = np.lexsort((-values, at))
    firsts = np.flatnonzero(np.diff(at[order], prepend=-1))
    sizes = np.diff(np.append(firsts, len(order)))
    top = np.zeros((3, len(firsts)), values.dtype)
    name = np.full((3, len(firsts)), -1, np.int64)
    for place in range(3):
        more = sizes > place
        rows = order[firsts[more] + place]
        top[place, more], name[place, more] = values[rows], groups[rows]
    is_first, is_second = name[0][at] == groups, name[1][at] == groups
    best = np.where(is_first, top[1][at], top[0][at])
    owner = np.where(is_first, name[1][at], name[0][at])
    after = np.where(is_first | is_second, top[2][at], top[1][at])
    return (best, owner), after


def _nearest(lengths: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, ...]:
    """For each text the length of another that is nearest to its own, the shorter of two; the group
    it is of; and the nearest without that group (its own length where there is none); [N] each."""
    nearest, owner, second = (np.zeros(len(lengths), np.int64) for _ in range(3))
    for row, length in enumerate(lengths):
        order = np.lexsort((lengths, np.abs(lengths - length)))
        order = order[order != row]
        elsewhere = order[groups[order] != groups[order[0]]]
        nearest[row], owner[row] = lengths[order[0]], groups[order[0]]
        second[row] = lengths[elsewhere[0]] if len(elsewhere) else length
    return nearest, owner, second


def _bleu(
    lengths: np.ndarray, matches: Sequence[np.ndarray], orders: Sequence[_Matches], near: np.ndarray
) -> np.ndarray:
    """BLEU-4 from matches of each order ([N] or [B, N]) and the nearest lengths (likewise)."""
    logs = np.zeros(matches[0].shape)
    for found, one in zip(matches, orders, strict=True):
        share = np.where(found > 0, found, _UNSEEN) / np.maximum(one.totals, 1)
        logs += np.log(share) / len(_ORDERS)
    brevity = np.minimum(1.0 - near / lengths, 0.0)
    return np.asarray(np.where(matches[0] > 0, np.exp(logs + brevity), 0.0))


def _by_group(grams: Grams, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kind, group and count of each n-gram in each group that has it."""
    width = _count(groups)
    cells, at = np.unique(grams.kinds * width + groups[grams.texts], return_inverse=True)
    kinds, owners = np.divmod(cells, width)
    return kinds, owners, np.bincount(at.reshape(-1), grams.counts, minlength=len(cells))


def _count(groups: np.ndarray) -> int:
    return int(groups.max(initial=-1)) + 1


def _spread(value: float, without: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """float64 [N] with mean `value`, whose group sums spread as the jackknife says.

    Args:
        value: of all texts.
        without: float64 [G], the same number without each group; NaN where nothing is left.
        groups: int64 [N].

    Where all there is stands in one group, nothing is known of the spread: that group alone has the
    value, the others NaN.
    """
    number = len(without)
    if not np.isfinite(without).all():
        return np.asarray(np.where(np.isfinite(without), np.nan, value)[groups])
    moves = (number - 1) * (value - without)
    moves -= moves.mean()
    shares = np.bincount(groups, minlength=number) * (number / len(groups))
    return np.asarray(value + (moves / shares)[groups])
