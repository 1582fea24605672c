"""A gate that may not rest on its measurement is undecided, whatever the numbers."""

from __future__ import annotations

import pytest

from gradus.gates import Sequence, Side, judge, parse, withhold
from gradus.records import Answer, Measurement, Verdict


def measured(value: float | None) -> Side:
    m = Measurement(
        metric="accuracy", value=value, unit="proportion", direction="higher", n=200, checkpoint="x"
    )
    return Side("x", [m])


@pytest.mark.parametrize(
    ("gate", "without"), [("accuracy >= 0.9", "open"), ("accuracy >= 0.99", "closed")]
)
def test_the_numbers_stay_and_nothing_is_claimed(gate: str, without: str) -> None:
    verdict = judge(parse(gate), measured(0.95), None)
    assert str(verdict.verdict) == without
    withheld = withhold(verdict, "nobody looked")
    assert withheld.verdict is Answer.UNDECIDED
    assert (withheld.value, withheld.n) == (verdict.value, verdict.n)
    assert not withheld.claim
    assert withheld.why.startswith("no gate may rest on it: nobody looked")
    assert verdict.why in withheld.why


def test_a_gate_without_its_number_stays_closed() -> None:
    verdict = judge(parse("accuracy >= 0.9"), measured(None), None)
    assert withhold(verdict, "nobody looked") == verdict
    assert verdict.verdict is Answer.CLOSED


def test_later_tests_claim_nothing_after_it() -> None:
    sequence = Sequence()
    first = withhold(judge(parse("accuracy >= 0.9"), measured(0.95), None), "nobody looked")
    sequence.record(first)
    assert not sequence.claims
    later = Verdict(gate="accuracy > x", verdict=Answer.OPEN, why="more", test="exact McNemar")
    assert not sequence.record(later).claim
