"""The licence of a checkpoint, from those of what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradus.cards.licence_names import identifier
from gradus.cards.licences import OTHER, UNKNOWN
from gradus.errors import UsageError


def terms(known: Mapping[str, Any], stated: str | None = None) -> dict[str, Any]:
    """What a card says of the licence.

    What whoever publishes the checkpoint states, else what all its sources agree on, else
    ``unknown``: from several licences none follows, and which may be chosen for weights that were
    made from scratch is for whoever made them to say.

    Returns:
        ``hub``, the Hub's identifier; ``said``, the licence as it was written; ``why``, a sentence
        on where that comes from.

    Raises:
        UsageError: what is stated is empty.
    """
    if stated is not None:
        if not stated.strip():
            raise UsageError("the licence that is stated is empty: name it, or leave it out")
        found = identifier(stated)
        return {
            "hub": found or OTHER,
            "said": stated,
            "why": "stated by whoever published this checkpoint",
        }
    roots = [one for one in known["lineage"] if one["root"]]
    if not roots:
        why = "it was made from no other model, and nobody stated a licence"
        return {"hub": UNKNOWN, "said": "", "why": why}
    unsaid = [one["name"] for one in roots if one["licence"]["hub"] == UNKNOWN]
    if unsaid:
        why = f"the source of {' and '.join(unsaid)} doesn't say one"
        return {"hub": UNKNOWN, "said": "", "why": why}
    said = list(dict.fromkeys(_one(one["licence"]) for one in roots))
    if len(said) > 1:
        each = ", ".join(f"{one['name']} {_one(one['licence'])}" for one in roots)
        why = f"it was made from models under several licences: {each}"
        return {"hub": UNKNOWN, "said": "", "why": why}
    first = roots[0]["licence"]
    names = " and ".join(dict.fromkeys(one["name"] for one in roots))
    return {
        "hub": first["hub"],
        "said": first["said"],
        "why": f"that of {names}, according to {first['where']}",
    }


def _one(licence: Mapping[str, Any]) -> str:
    return str(licence["said"] if licence["hub"] == OTHER else licence["hub"])
