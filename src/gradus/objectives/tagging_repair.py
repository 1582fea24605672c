"""Making spans of sequences of tags that no rule was applied to.

Legend: W words of a text, K tags.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np

from gradus.objectives.tagging_sequences import OUTSIDE, Tagset, WordSpan

Repair = Literal["viterbi", "begin", "drop"]
REPAIRS: Final[tuple[str, ...]] = get_args(Repair)


def chunks(tags: np.ndarray, tagset: Tagset) -> list[WordSpan]:
    """The spans of any int [W] sequence of tags, as conlleval reads it (Tjong Kim Sang 2000).

    A span goes on as long as tags have its type, begins anew at a tag that only begins one, and
    ends after a tag that only ends one. An I with nothing before it thus begins a span.
    """
    width = len(tagset.letters)
    found: list[WordSpan] = []
    open_at, kind = -1, -1
    for place, tag in enumerate([*tags.tolist(), OUTSIDE]):
        letter = "O" if tag == OUTSIDE else tagset.letters[(tag - 1) % width]
        own = -1 if tag == OUTSIDE else (tag - 1) // width
        before = tags[place - 1] if place else OUTSIDE
        ended = before != OUTSIDE and tagset.letters[(int(before) - 1) % width] in "ES"
        if open_at >= 0 and (own != kind or letter in "BS" or ended):
            found.append(WordSpan(open_at, place, kind))
            open_at = -1
        if own >= 0 and open_at < 0:
            open_at, kind = place, own
    return found


def legal(span: WordSpan, tags: np.ndarray, tagset: Tagset) -> bool:
    """Whether a span's own tags are a whole span under the scheme: they begin one and end one."""
    own = tags[span.first : span.end]
    inside = tagset.follows[own[:-1], own[1:]].all()
    return bool(tagset.begins[own[0]] and tagset.ends[own[-1]] and inside)


def repaired(tags: np.ndarray, tagset: Tagset, how: Repair) -> list[WordSpan]:
    """The spans of int [W] tags, each the most probable one of its word.

    With ``begin`` an illegal tag begins or ends a span, with ``drop`` a span that isn't whole is
    left out. ``viterbi`` needs more than tags: see `gradus.objectives.tagging_sequences`.
    """
    found = chunks(tags, tagset)
    return found if how == "begin" else [span for span in found if legal(span, tags, tagset)]
