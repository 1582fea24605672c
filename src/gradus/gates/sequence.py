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
WITHHELD = "none: the measurement can't carry a gate"
NO_CLAIM = "reported without a claim: an earlier test failed"
NO_CLAIM_YET = "reported without a claim as long as an earlier test isn't taken"


class Sequence:
    """Handed along a plan: `record` takes each verdict in plan order and gives it back.

    A gate on a point value is no test: it neither breaks the sequence nor loses its claim.
    """

    def __init__(self) -> None:
        self.broken_by: str | None = None
        self.waits_for: str | None = None

    @property
    def claims(self) -> bool:
        """Whether no test so far stands in the way of what a further one may claim."""
        return self.broken_by is None

    def wait(self, gate: str) -> None:
        """A test that can't be taken yet: as long as it isn't, later ones claim nothing."""
        self.waits_for = self.waits_for or gate

    def record(self, verdict: Verdict) -> Verdict:
        """The verdict as it may be reported, and the sequence moved on by it."""
        if verdict.test == POINT:
            return verdict
        if not self.claims:
            return without_claim(verdict)
        if verdict.verdict is not Answer.OPEN:
            self.broken_by = verdict.gate
        return verdict if self.waits_for is None else without_claim(verdict, NO_CLAIM_YET)


def withhold(verdict: Verdict, why: str) -> Verdict:
    """Undecided, because nothing may be concluded from such a measurement; the numbers stay.

    A gate without its number stays closed. In the sequence it counts as a test that hasn't come
    out open.
    """
    if verdict.value is None:
        return verdict
    return dataclasses.replace(
        verdict,
        verdict=Answer.UNDECIDED,
        why=f"no gate may rest on it: {why} ({verdict.why})",
        test=WITHHELD,
        p_value=None,
        n_needed=None,
        claim=False,
    )


def without_claim(verdict: Verdict, why: str = NO_CLAIM) -> Verdict:
    """The same numbers, claiming nothing."""
    if not verdict.claim or verdict.test == POINT:
        return verdict
    return dataclasses.replace(verdict, claim=False, why=f"{verdict.why} ({why})")
