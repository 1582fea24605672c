"""An explained text as one HTML file: no script, no request, light, dark and print."""

from __future__ import annotations

from typing import Any, Final

from gradus.generation.explain.records import Explained, Position
from gradus.generation.spelling import spelt

CONTEXT: Final = 90
"""Characters of the text that stand beside a place."""
RANKS: Final = (
    (1, "the most probable"),
    (10, "among the first 10"),
    (100, "among 100"),
    (1000, "among 1,000"),
)
"""Classes of a token's rank, as GLTR has them (Gehrmann et al. 2019), with the first one apart."""

REST: Final = "further down"


def page(found: Explained) -> str:
    """The whole page. Every text is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("gradus.generation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    places = found.positions
    texts = [place.token for place in places]
    return made.get_template("explained.html.j2").render(
        found=found,
        legend=[(f"r{n}", said) for n, said in enumerate((*(said for _, said in RANKS), REST))],
        places=[
            _shown(place, "".join(texts[:number]), "".join(texts[number + 1 :]))
            for number, place in enumerate(places)
        ],
    )


def rank_class(rank: int | None) -> str:
    """The class of a token's rank, ``r0`` for the most probable one.

    >>> rank_class(7)
    'r1'
    """
    if rank is None:
        return "none"
    return f"r{next((n for n, (most, _) in enumerate(RANKS) if rank <= most), len(RANKS))}"


def _shown(place: Position, before: str, after: str) -> dict[str, Any]:
    """What the template says of a place."""
    return {
        "at": place,
        "token": place.token,
        "spelt": spelt(place.token),
        "rank_class": rank_class(place.rank),
        "before": ("…" if len(before) > CONTEXT else "") + before[-CONTEXT:],
        "after": after[:CONTEXT] + ("…" if len(after) > CONTEXT else ""),
        "likely": [
            {
                "spelt": spelt(one.token),
                "share": one.share,
                "drawn": one.drawn,
                "here": one.id == place.id,
            }
            for one in place.likely
        ],
        "drawn": any(one.drawn is not None for one in place.likely),
        "listed": any(one.id == place.id for one in place.likely),
    }
