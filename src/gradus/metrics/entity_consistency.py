"""How consistently texts stay with the people and places they have introduced."""

from __future__ import annotations

from gradus.metrics.writings import ColumnRatio


class EntityConsistency(ColumnRatio):
    """Share of all mentions of names that take up a name from the prompt or earlier in the text.

    Names are found by `gradus.writing.names`. A stated proxy: it sees whether the same names come
    back, not whether what is said of them agrees. NaN where no text mentions a name.
    """

    name = "entity_consistency"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = "after Barzilay and Lapata (2008), Modeling local coherence: an entity-based approach"
    summary = "writings: share of mentions of names that take up a name already introduced"
    facts = {"names": "names.v1"}  # noqa: RUF012  # declared as a ClassVar by the base
    columns = ("names_known", "names_mentioned")
