"""The fixed-sequence rule: many tests, one level, no correction.

The plan fixes the order of its tests before any data are seen. Each is taken at the full alpha as
long as every one before it has come out open; after the first that has not, the later ones are
reported without a claim. The chance that a plan claims anything false is then at most alpha
(Maurer, Hothorn and Lehmacher 1995; Westfall and Krishen 2001).
"""

from __future__ import annotations

import dataclasses

from gradus.records import Answer, Verdict

POINT = "point value"
NO_CLAIM = "reported without a claim: an earlier test failed"


class Sequence:
    """Handed along a plan: `record` takes each verdict in plan order and gives it back.

    A gate on a point value is no test: it neither breaks the sequence nor loses its claim.
    """

    def __init__(self) -> None:
        self.broken_by: str | None = None

    @property
    def claims(self) -> bool:
        """Whether a test taken now may still claim something."""
        return self.broken_by is None

    def record(self, verdict: Verdict) -> Verdict:
        """The verdict as it may be reported, and the sequence moved on by it."""
        if verdict.test == POINT:
            return verdict
        if not self.claims:
            return without_claim(verdict)
        if verdict.verdict is not Answer.OPEN:
            self.broken_by = verdict.gate
        return verdict


def without_claim(verdict: Verdict) -> Verdict:
    """The same numbers, claiming nothing."""
    if not verdict.claim or verdict.test == POINT:
        return verdict
    return dataclasses.replace(verdict, claim=False, why=f"{verdict.why} ({NO_CLAIM})")
