"""Hand-off parity: what a checkpoint still says after it was exported, merged or quantised.

A step that hands a model over compares the two on fixed texts and puts what it found into its
facts; the runner judges it as a gate that stands in no plan::

    from gradus import parity

    found = parity.check(parent, child, parity.texts(context.data), parity.LOSSY, handoff="int8")
    return StepOutcome(..., facts={..., "parity": [found.to_json()]})
"""

from gradus.parity.base import EXACT, LOSSY, Bounds, Parity
from gradus.parity.check import check, texts
from gradus.parity.compare import Tally, compare

__all__ = ["EXACT", "LOSSY", "Bounds", "Parity", "Tally", "check", "compare", "texts"]
