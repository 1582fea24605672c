"""The combinations that are tried: distil x prune x quantise, as steps of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gradus import registry
from gradus.compressing.base import ORIGINAL, Candidate, Point, Wanted, Way

UNITS: Final = 0.5
"""Share of the feed-forward units that pruning takes: most of an encoder layer's weights are
there, and taking half leaves shapes that run fast."""
SCHEMES: Final = 2
"""So many of the schemes that served the original best are tried on what was trained anew."""


def first(wanted: Wanted) -> list[Candidate]:
    """What is made of the original: every scheme, a student, a pruned one."""
    found = []
    if "quantize" in wanted.ways:
        found += [
            quantized(ORIGINAL, None, scheme, wanted) for scheme in wanted.schemes or schemes()
        ]
    if "distil" in wanted.ways and wanted.layers is not None and wanted.layers > 1:
        found.append(distilled(wanted))
    if "prune" in wanted.ways:
        found.append(pruned(ORIGINAL, None, wanted))
    return found


def further(made: Sequence[Candidate], chosen: Sequence[Point], wanted: Wanted) -> list[Candidate]:
    """What is made of candidates that are within the budget on dev.select, and isn't made yet.

    A student is pruned; whatever was trained is quantised under the schemes that served best.
    Where size is the target, what is quantised further loses the tokens that train doesn't use,
    the original too: they cost no time, but most of a small encoder's bytes are rows of its table.

    Args:
        made: all candidates so far.
        chosen: those within the budget, the cheapest first.
        wanted: what the job is asked for.
    """
    by_name = {candidate.name: candidate for candidate in made}
    kept = [by_name[point.name] for point in chosen]
    plain = [c for c in kept if c.start == ORIGINAL and c.ways == ("quantize",)]
    names = [str(c.step["scheme"]) for c in plain if not c.step.get("vocabulary")][:SCHEMES]
    found = []
    if wanted.target == "size":
        found += [quantized(ORIGINAL, None, scheme, wanted, trim=True) for scheme in names]
    for start in kept:
        if start.ways[-1] == "quantize":
            continue
        if start.ways == ("distil",) and "prune" in wanted.ways:
            found.append(pruned(start.name, start, wanted))
        if "quantize" in wanted.ways:
            trim = wanted.target == "size"
            found += [quantized(start.name, start, scheme, wanted, trim=trim) for scheme in names]
    return [candidate for candidate in found if candidate.name not in by_name]


def schemes() -> list[str]:
    """The newest version of every scheme for classifiers and taggers."""
    names = dict.fromkeys(registry.plain(name) for name in registry.names("schemes"))
    return [name for name in names if _takes(name) == "classifier"]


def _takes(name: str) -> str:
    return str(getattr(registry.load("schemes", name), "takes", "classifier"))


def quantized(
    start: str, before: Candidate | None, scheme: str, wanted: Wanted, *, trim: bool = False
) -> Candidate:
    """`start` under a scheme; with `trim` without the tokens that train doesn't use."""
    config = {"step": "quantize", "model": start, "scheme": scheme, "data": wanted.data}
    if not trim:
        return _candidate(start, before, "quantize", scheme, scheme, config)
    told = f"{scheme}, vocabulary trimmed"
    config["vocabulary"] = "trim"
    return _candidate(start, before, "quantize", f"{scheme}-trimmed", told, config)


def pruned(start: str, before: Candidate | None, wanted: Wanted) -> Candidate:
    """`start` without half of its feed-forward units, trained on for an epoch."""
    config = {
        "step": "prune",
        "model": start,
        "data": wanted.data,
        "what": "units",
        "amount": UNITS,
    }
    return _candidate(start, before, "prune", "pruned", f"{UNITS:.0%} of units pruned", config)


def distilled(wanted: Wanted) -> Candidate:
    """A student of every second layer."""
    layers = max(1, (wanted.layers or 0) // 2)
    config = {
        "step": "distil",
        "teachers": ORIGINAL,
        "student": {"layers": layers},
        "data": wanted.data,
    }
    told = f"distilled to {layers} layer{'' if layers == 1 else 's'}"
    return _candidate(ORIGINAL, None, "distil", "distilled", told, config)


def _candidate(
    start: str, before: Candidate | None, way: Way, short: str, told: str, config: Mapping[str, Any]
) -> Candidate:
    name = short if before is None else f"{before.name}-{short}"
    return Candidate(
        name=name,
        start=start,
        ways=(way,) if before is None else (*before.ways, way),
        how=told if before is None else f"{before.how}, {told}",
        step={"id": name, **config},
    )
