"""Gates that stand in no plan: what a step handed over must still say what its parent says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gradus.parity.base import Bounds, Parity
from gradus.records import StepSpec, Verdict

KEY: Final = "parity"
"""The key of a step's facts that holds its hand-offs, and of its config that bounds the last."""


def verdicts(spec: StepSpec, facts: Mapping[str, Any]) -> list[Verdict]:
    """The verdicts of all hand-offs of a step, in their order.

    The plan's ``parity:`` is laid over the bounds of the last, which is what leaves the step; what
    stands before it (a float32 export that is then quantised) keeps its own.
    """
    found = [Parity.from_json(raw) for raw in facts.get(KEY, ())]
    wanted = spec.config.get(KEY)
    if found and wanted is not None:
        found[-1] = found[-1].under(Bounds.model_validate(dict(wanted)))
    return [verdict for one in found for verdict in one.verdicts()]


def without(config: Mapping[str, Any]) -> dict[str, Any]:
    """A step's config as its result depends on it: a bound judges and computes nothing."""
    return {key: value for key, value in config.items() if key != KEY}
