"""From log-probabilities of tags to spans of characters.

Legend: N texts, W words of all texts together, K tags.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradus.objectives.tagging_sequences import Tagset, WordSpan, best_sequences
from gradus.records import Span


def spans_of(
    log_probs: np.ndarray, words: Sequence[Sequence[tuple[int, int]]], tagset: Tagset
) -> list[tuple[Span, ...]]:
    """The spans of N texts from the most probable legal sequence of tags.

    `log_probs` is float [W, K], one text after the other; `words` are the (start, end) of each
    text's words. A span's score is the product of its tags' probabilities, which is that of the
    whole span if words were independent.
    """
    lengths = np.array([len(of) for of in words], dtype=np.int64)
    tags = best_sequences(log_probs, lengths, tagset)
    chosen = np.take_along_axis(log_probs, tags[:, None], axis=1)[:, 0]
    found, start = [], 0
    for of, length in zip(words, lengths.tolist(), strict=True):
        part = slice(start, start + length)
        found.append(as_spans(tagset.decode(tags[part]), chosen[part], of, tagset))
        start += length
    return found


def as_spans(
    spans: Sequence[WordSpan],
    chosen: np.ndarray,
    words: Sequence[tuple[int, int]],
    tagset: Tagset,
) -> tuple[Span, ...]:
    """Spans of words of one text as spans of characters.

    `chosen` is float [W], the log-probability of each word's tag; `words` are their (start, end).
    """
    return tuple(
        Span(
            start=words[span.first][0],
            end=words[span.end - 1][1],
            label=tagset.types[span.kind],
            score=float(np.exp(chosen[span.first : span.end].sum())),
        )
        for span in spans
    )
