"""Gates: conditions on measurements, their grammar, their verdicts and their order.

A gate sees numbers, never models. Every test is one-sided at alpha = 1 - level, one level for the
whole plan, and the plan's tests are taken in its order (`Sequence`), so that the chance of any
false claim in a plan stays at most alpha; see `gradus.gates.verdicts`.

>>> from gradus.gates import Side, judge, parse
>>> from gradus.records import Measurement
>>> seen = Measurement(
...     metric="accuracy", value=0.97, unit="proportion", direction="higher", n=200)
>>> verdict = judge(parse("accuracy >= 0.95"), Side("tuned", [seen]), None)
>>> print(verdict.verdict, "-", verdict.why)
open - 0.970 on 200 items is >= 0.950
"""

from gradus.gates.grammar import GateSpec, GateSyntaxError, forms, parse, sliced
from gradus.gates.sequence import Sequence, withhold, without_claim
from gradus.gates.sides import Side, align
from gradus.gates.verdicts import judge

__all__ = [
    "GateSpec",
    "GateSyntaxError",
    "Sequence",
    "Side",
    "align",
    "forms",
    "judge",
    "parse",
    "sliced",
    "withhold",
    "without_claim",
]
