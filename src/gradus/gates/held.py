"""Gates on answers of a reusable hold-out, each with the bound that was stated with it.

A bound holds for its answer and all answers before it at once, but with half of what the plan's
level leaves (`gradus.stats.thresholdout.each`): so the two bounds of a gate between answers hold
together at that level.
"""

from __future__ import annotations

import math

from gradus.gates.deciding import MISSING, decide
from gradus.gates.grammar import GateSpec
from gradus.gates.wording import number, signed
from gradus.records import Answer, Measurement, Verdict

METHOD = "thresholdout"


def is_held(measurement: Measurement | None) -> bool:
    """Whether a measurement is an answer of a reusable hold-out."""
    return measurement is not None and measurement.ci_method == METHOD


def judge_held(gate: GateSpec, own: Measurement, other: Measurement | None) -> Verdict:
    """The verdict on a gate from an answer, or from two of them.

    Against a constant the answer decides; ``surely``, and between checkpoints, its bounds do.
    """
    if own.value is None or (other is not None and other.value is None):
        return Verdict(
            gate=gate.text,
            verdict=Answer.CLOSED,
            test=MISSING,
            why=f"the reusable hold-out's budget is used up, so {gate.measured} isn't answered: "
            "take fresh data for dev, or decide on test",
        )
    assert own.ci_low is not None  # an answer has a bound
    assert own.ci_high is not None  # as above
    if gate.constant is not None:
        return _against_a_number(gate, own, own.value, own.ci_low, own.ci_high, gate.constant)
    if other is None or other.value is None or other.ci_low is None or other.ci_high is None:
        why = f"{gate.measured} of {gate.reference} wasn't answered: a gate without its number is"
        return Verdict(gate=gate.text, verdict=Answer.CLOSED, why=f"{why} closed", test=MISSING)
    factor = gate.factor or 1.0
    low = own.ci_low - factor * other.ci_high
    high = own.ci_high - factor * other.ci_low
    difference = own.value - factor * other.value
    answer = decide(gate, low, high, gate.margin)
    return Verdict(
        gate=gate.text,
        verdict=answer,
        why=f"{number(own.value)} against {number(other.value)}: {signed(difference)}, within "
        f"[{signed(low)}, {signed(high)}] by the reusable hold-out's bound",
        test=METHOD,
        value=own.value,
        reference=other.value,
        difference=difference,
        ci_low=low,
        ci_high=high,
        n=own.n,
    )


def _against_a_number(
    gate: GateSpec, own: Measurement, value: float, low: float, high: float, constant: float
) -> Verdict:
    if gate.surely:
        answer = decide(gate, low, high, constant)
    else:
        answer = Answer.OPEN if gate.holds(value, constant) else Answer.CLOSED
    far = max(value - low, high - value) if math.isfinite(high - low) else math.inf
    return Verdict(
        gate=gate.text,
        verdict=answer,
        why=f"the reusable hold-out answers {number(value)} (within {number(far)} of the truth) on "
        f"{own.n:,} items; asked for {gate.op} {number(constant)}",
        test=METHOD,
        value=value,
        reference=constant,
        difference=value - constant,
        ci_low=low,
        ci_high=high,
        n=own.n,
    )
