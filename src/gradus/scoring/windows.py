"""Windows over a text that is longer than a model can take at once.

Legend: T tokens of a text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gradus.errors import UsageError


class Window(NamedTuple):
    """Tokens `start` to `stop` of a text, of which those from `first` on are scored.

    The last token is scored and not fed.
    """

    start: int
    first: int
    stop: int


def windows(tokens: int, window: int, stride: int, *, after_bos: bool) -> Iterator[Window]:
    """The windows that score a text of T = `tokens` tokens, whose first one is only fed.

    Overlapping windows (``stride < window``) are those of the transformers documentation: each
    holds `window` tokens and begins `stride` after the one before; a token is scored in the first
    window that holds it. Disjoint ones (``stride == window``) depend on what the first token is:

    - `after_bos`: it was put there. They are lm-evaluation-harness's (`get_rolling_token_windows`
      with a context of one): each feeds `window` tokens and scores the one after each, and the
      last one reaches back so that it is as long as the others.
    - otherwise the documentation's loop again: a window's first token has nothing before it and
      isn't scored, as in the blocks that papers on quantisation take.

    >>> [tuple(w) for w in windows(7, 3, 3, after_bos=True)]
    [(0, 1, 4), (3, 4, 7)]
    >>> [tuple(w) for w in windows(6, 3, 3, after_bos=True)]
    [(0, 1, 4), (2, 4, 6)]
    >>> [tuple(w) for w in windows(7, 4, 2, after_bos=True)]
    [(0, 1, 4), (2, 4, 6), (4, 6, 7)]

    Raises:
        UsageError: window or stride make no sense.
    """
    if window < 2 or not 1 <= stride <= window:
        raise UsageError(
            f"a window of {window} tokens with a stride of {stride} scores nothing or leaves gaps: "
            "take a window of at least 2 and a stride from 1 to the window"
        )
    if stride == window and after_bos:
        done = 1
        while done < tokens:
            stop = min(done + window, tokens)
            yield Window(max(stop - window - 1, 0), done, stop)
            done = stop
        return
    done = 0
    for start in range(0, max(tokens, 1), stride):
        stop = min(start + window, tokens)
        first = max(done, start + 1)
        if first < stop:
            yield Window(start, first, stop)
        done = stop
        if stop == tokens:
            return
