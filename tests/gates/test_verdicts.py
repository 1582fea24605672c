from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradus.errors import ContractError
from gradus.gates import Sequence, Side, judge, parse
from gradus.metrics import get
from gradus.metrics.base import Observed, Predictions
from gradus.records import Answer, Measurement, Verdict

LABELS = ("a", "b", "c")


def made(n: int, wrong: list[int], *, first_id: int = 0, sure: float = 0.9) -> Predictions:
    """n items, wrong on those rows, sure of itself throughout."""
    gold = np.arange(n) % 3
    predicted = gold.copy()
    predicted[wrong] = (gold[wrong] + 1) % 3
    probs = np.full((n, 3), (1 - sure) / 2)
    probs[np.arange(n), predicted] = sure
    ids = tuple(f"{first_id + i:08x}" for i in range(n))
    return Predictions(gold, predicted, np.log(probs), LABELS, ids)


def side(name: str, p: Predictions | None, *metrics: str, **changes: Any) -> Side:
    measured = []
    for text in metrics or ("accuracy",):
        value = None if p is None else get(text, LABELS)(p)
        m = Measurement(
            metric=text,
            value=value,
            unit="proportion",
            direction="higher",
            checkpoint=name,
            n=0 if p is None else len(p),
            data="news",
            split="dev.gate",
            benchmark="classify.v1",
            contract={"dtype": "float32", "backend": "torch"},
        )
        measured.append(dataclasses.replace(m, **changes))
    return Side(name, measured, p)


def verdict(gate: str, own: Predictions, other: Predictions | None = None, **more: Any) -> Verdict:
    metric = parse(gate).measured
    second = None if other is None else side("tuned", other, metric)
    return judge(parse(gate), side("small", own, metric), second, **more)


GOOD, FAIR, BAD = made(300, [*range(6)]), made(300, [*range(9)]), made(300, [*range(90)])


@pytest.mark.parametrize(
    ("gate", "answer"),
    [
        ("accuracy >= 0.98", "open"),
        ("accuracy > 0.98", "closed"),
        ("surely accuracy >= 0.9", "open"),
        ("surely accuracy >= 0.97", "undecided"),
        ("surely accuracy >= 0.999", "closed"),
        ("surely log_loss <= 0.5", "open"),
        ("surely log_loss <= 0.01", "closed"),
        ("surely f1_macro >= 0.97", "undecided"),
        ("surely recall[a] >= 0.9", "open"),
        ("surely f1[b] > 0.985", "undecided"),
    ],
)
def test_against_a_constant(gate: str, answer: str) -> None:
    found = verdict(gate, GOOD)
    assert found.verdict == answer
    assert (found.n_needed is not None) == (answer == "undecided")
    assert found.n_needed is None or found.n_needed > 300


@pytest.mark.parametrize(
    ("gate", "own", "other", "answer", "test"),
    [
        ("accuracy > tuned", GOOD, BAD, "open", "exact McNemar"),
        ("accuracy > tuned", BAD, GOOD, "closed", "exact McNemar"),
        ("accuracy > tuned", GOOD, FAIR, "undecided", "exact McNemar"),
        ("accuracy < tuned", BAD, GOOD, "open", "exact McNemar"),
        ("accuracy >= tuned - 0.05", FAIR, GOOD, "open", "Tango's score interval"),
        ("accuracy >= tuned - 0.01", FAIR, GOOD, "undecided", "Tango's score interval"),
        ("accuracy >= tuned - 0.01", BAD, GOOD, "closed", "Tango's score interval"),
        ("accuracy > tuned + 0.1", GOOD, BAD, "open", "Tango's score interval"),
        ("recall[a] > tuned", GOOD, BAD, "open", "exact McNemar"),
        ("f1_macro > tuned", GOOD, BAD, "open", "paired bayesian bootstrap"),
        ("f1_macro >= tuned - 0.005", GOOD, FAIR, "open", "paired bayesian bootstrap"),
        ("f1[a] >= tuned - 0.01", BAD, GOOD, "closed", "paired bayesian bootstrap"),
        ("accuracy >= 0.9 * tuned", GOOD, FAIR, "open", "paired studentised bootstrap"),
        ("log_loss <= tuned + 0.01", GOOD, FAIR, "open", "paired studentised bootstrap"),
        ("log_loss <= tuned + 0.01", BAD, GOOD, "closed", "paired studentised bootstrap"),
        ("log_loss < tuned", GOOD, BAD, "open", "paired studentised bootstrap"),
        ("log_loss <= tuned + 0.03", FAIR, GOOD, "undecided", "paired studentised bootstrap"),
        ("ece <= tuned + 0.05", BAD, GOOD, "closed", "paired bootstrap"),
    ],
)
def test_between_checkpoints(
    gate: str, own: Predictions, other: Predictions, answer: str, test: str
) -> None:
    found = verdict(gate, own, other)
    assert (found.verdict, found.test) == (answer, test), found.why
    assert "300 shared items" in found.why
    assert Verdict.from_json(found.to_json()) == found


def test_the_sentence_has_the_numbers() -> None:
    found = verdict("accuracy > tuned", GOOD, BAD)
    assert found.why.startswith("0.980 against 0.700 on 300 shared items: +0.280, at least +0.2")
    assert found.why.endswith("with 95 % confidence (exact McNemar p < 0.001)")
    assert found.p_value == pytest.approx(stats.binomtest(84, 84, alternative="greater").pvalue)
    few = verdict("accuracy > tuned", GOOD, FAIR)
    assert few.n_needed is not None
    assert f"about {few.n_needed:,} items would decide" in few.why


def test_missing_and_undefined_close_with_the_reason() -> None:
    gate = parse("accuracy >= 0.9")
    assert "wasn't measured" in judge(gate, Side("x"), None).why
    for value, word in ((None, "isn't defined"), (math.nan, "is nan"), (math.inf, "is inf")):
        found = judge(gate, side("x", GOOD, value=value), None)
        assert found.verdict is Answer.CLOSED
        assert word in found.why
    compared = parse("accuracy > tuned")
    own = side("small", GOOD)
    for other in (
        None,
        Side("tuned"),
        side("tuned", None, value=0.9),
        side("tuned", FAIR, value=None),
    ):
        assert judge(compared, own, other).verdict is Answer.CLOSED
    apart = judge(compared, own, side("tuned", made(300, [], first_id=1000)))
    assert apart.verdict is Answer.CLOSED
    assert "share none of their items" in apart.why


def test_only_shared_items_are_compared_whatever_their_order() -> None:
    other = made(300, [*range(250)], first_id=200)
    turned = Predictions(other.gold[::-1], other.predicted[::-1], None, LABELS, other.ids[::-1])
    shift = Predictions((turned.gold + 2) % 3, (turned.predicted + 2) % 3, None, LABELS, turned.ids)
    found = verdict("accuracy > tuned", made(300, []), shift)
    assert found.n == 100
    assert "on 100 shared items (of 300 and 300)" in found.why
    assert found.reference == 0.0
    permuted = Predictions(shift.gold, shift.predicted, None, ("a", "b", "c"), shift.ids)
    names = np.array([2, 0, 1])
    renamed = Predictions(
        names[permuted.gold], names[permuted.predicted], None, ("b", "c", "a"), permuted.ids
    )
    again = judge(
        parse("accuracy > tuned"),
        side("small", made(300, [])),
        dataclasses.replace(side("tuned", shift), predictions=renamed),
    )
    assert again == found


def test_contracts_that_differ_are_refused() -> None:
    gate, own = parse("accuracy > tuned"), side("small", GOOD)
    for change in ({"unit": "nats"}, {"benchmark": "x.v1"}, {"split": "test"}):
        with pytest.raises(ContractError, match="can't be compared"):
            judge(gate, own, side("tuned", FAIR, **change))
    with pytest.raises(ContractError, match="different true labels"):
        judge(
            gate,
            own,
            side("tuned", Predictions((FAIR.gold + 1) % 3, FAIR.predicted, None, LABELS, FAIR.ids)),
        )
    odd = Predictions(FAIR.gold, FAIR.predicted, None, ("a", "b", "z"), FAIR.ids)
    other = dataclasses.replace(side("tuned", FAIR), predictions=odd)
    with pytest.raises(ContractError, match="know different labels"):
        judge(gate, own, other)
    found = judge(gate, own, side("tuned", FAIR, contract={"dtype": "int8", "backend": "torch"}))
    assert "hand-off comparison (dtype int8 to float32)" in found.why


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "ece", "log_loss"])
def test_identical_predictions(metric: str) -> None:
    wide, narrow = ("- 0.2", "- 0.001") if metric in ("accuracy", "f1_macro") else ("+ 0.2", "+ 1")
    op = ">=" if wide.startswith("-") else "<="
    assert verdict(f"{metric} {op} tuned {wide}", GOOD, GOOD).verdict is Answer.OPEN
    strict = verdict(f"{metric} {op[0]} tuned", GOOD, GOOD)
    assert strict.verdict is not Answer.OPEN
    if op == ">=":
        few = verdict(f"{metric} >= tuned {narrow}", GOOD, GOOD)
        assert few.verdict is Answer.UNDECIDED
        assert few.n_needed is None or few.n_needed > 300


def test_one_item_decides_nothing_and_very_many_decide_everything() -> None:
    for metric in ("accuracy", "f1_macro", "mcc"):
        assert verdict(f"{metric} > tuned", made(1, []), made(1, [0])).verdict is Answer.UNDECIDED
    n = 200_000
    own, other = made(n, [*range(4000)]), made(n, [*range(4600)])
    assert verdict("accuracy > tuned", own, other).verdict is Answer.OPEN
    assert verdict("accuracy >= tuned + 0.002", own, other).verdict is Answer.OPEN
    assert verdict("accuracy >= tuned + 0.004", own, other).verdict is Answer.CLOSED


def test_costs() -> None:
    rng = np.random.default_rng(0)

    def cost(name: str, ms: float, mb: float, rounds: int = 40) -> Side:
        seen = Observed(latency_ms=ms * rng.normal(1, 0.05, rounds), size_mb=mb)
        rows = [
            Measurement(metric=m, value=get(m)(seen), unit=u, direction="lower", n=rounds)
            for m, u in (("latency_p50_ms", "ms"), ("size_mb", "MB"))
        ]
        return Side(name, rows, None, seen)

    own, other = cost("small", 5, 22), cost("tuned", 10, 90)
    answers = {
        "latency_p50_ms <= 0.6 * tuned": "open",
        "latency_p50_ms <= 0.5 * tuned": "undecided",
        "latency_p50_ms <= 0.4 * tuned": "closed",
        "latency_p50_ms <= tuned": "open",
        "latency_p50_ms <= tuned - 4": "open",
        "surely latency_p50_ms <= 6": "open",
        "size_mb <= 0.3 * tuned": "open",
        "size_mb <= 0.2 * tuned": "closed",
        "surely size_mb <= 30": "open",
    }
    for gate, answer in answers.items():
        found = judge(parse(gate), own, other)
        assert found.verdict == answer, found.why
        assert (found.test == "point value") == ("size" in gate)
    few = judge(parse("latency_p50_ms <= tuned"), cost("s", 5, 1, 3), cost("t", 10, 1, 3))
    assert few.verdict is Answer.UNDECIDED


def test_prefixes_choose_the_measurement() -> None:
    rows = [
        dataclasses.replace(side("x", GOOD).measurements[0], data=data, split=split, value=value)
        for data, split, value in (
            ("news", "test", 0.1),
            ("news", "dev.gate", 0.5),
            ("bank", "test", 0.9),
        )
    ]
    for text, value in {
        "accuracy": 0.5,
        "bank.accuracy": 0.9,
        "news.test.accuracy": 0.1,
        "classify.accuracy": 0.5,
    }.items():
        assert judge(parse(f"{text} >= 0"), Side("x", rows), None).value == value
    assert judge(parse("nowhere.accuracy >= 0"), Side("x", rows), None).verdict is Answer.CLOSED


def test_after_the_first_failed_test_nothing_is_claimed() -> None:
    sequence = Sequence()
    gates = [
        ("accuracy >= 0.999", GOOD, FAIR, True),
        ("accuracy > tuned", GOOD, BAD, True),
        ("accuracy > tuned", GOOD, FAIR, True),
        ("accuracy > tuned", GOOD, BAD, False),
        ("accuracy >= 0.9", GOOD, BAD, True),
    ]
    for gate, own, other, claim in gates:
        found = sequence.record(verdict(gate, own, other, claims=sequence.claims))
        assert found.claim is claim
        assert ("reported without a claim: an earlier test failed" in found.why) is not claim
        assert found.why.count("reported without") <= 1
    assert sequence.broken_by == "accuracy > tuned"


def test_as_long_as_a_test_waits_later_ones_claim_nothing() -> None:
    sequence = Sequence()
    sequence.wait("panel_fluency > tuned")
    gates = [
        ("accuracy >= 0.9", GOOD, BAD, ""),
        ("accuracy > tuned", GOOD, BAD, "as long as an earlier test isn't taken"),
        ("accuracy > tuned", GOOD, FAIR, "as long as an earlier test isn't taken"),
        ("accuracy > tuned", GOOD, BAD, "an earlier test failed"),
    ]
    for gate, own, other, why in gates:
        found = sequence.record(verdict(gate, own, other, claims=sequence.claims))
        assert found.claim is (why == "")
        assert found.claim or why in found.why
        assert found.why.count("reported without") == (0 if found.claim else 1)


@pytest.mark.parametrize(
    ("gate", "shares"),
    [
        ("accuracy > tuned", (0.06, 0.06)),
        ("accuracy >= tuned - 0.05", (0.05, 0.10)),
        ("surely accuracy >= 0.9", None),
    ],
)
def test_a_gate_opens_wrongly_at_most_at_alpha(
    gate: str, shares: tuple[float, float] | None
) -> None:
    rng, runs, n, opened = np.random.default_rng(9), 800, 120, 0
    for _ in range(runs):
        own_wrong, other_wrong = rng.random(n) < 0.1, np.zeros(n, bool)
        if shares is not None:
            cell = rng.choice(3, n, p=[*shares, 1 - sum(shares)])
            own_wrong, other_wrong = cell == 1, cell == 0
        own, other = (made(n, list(np.flatnonzero(w))) for w in (own_wrong, other_wrong))
        opened += verdict(gate, own, other).verdict is Answer.OPEN
    assert opened / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    assert opened
