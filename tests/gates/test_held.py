"""Gates on answers of a reusable hold-out: how often they claim what isn't so."""

from __future__ import annotations

import numpy as np
import pytest

from gradus.gates import parse
from gradus.gates.held import judge_held
from gradus.records import Answer, Measurement
from gradus.stats.thresholdout import Settings, ask, begin, bound, each

LEVEL = 0.95
DRAWS = 20_000


def answered(value: float, far: float) -> Measurement:
    return Measurement(
        metric="accuracy",
        value=value,
        unit="proportion",
        direction="higher",
        n=500,
        ci_low=max(0.0, value - far),
        ci_high=min(1.0, value + far),
        ci_method="thresholdout",
    )


@pytest.mark.parametrize("apart", [True, False], ids=["apart", "together"])
def test_two_bounds_that_fail_as_often_as_they_may_open_a_gate_no_oftener_than_stated(
    apart: bool,
) -> None:
    """Both checkpoints are equally good. Each answer strays beyond its bound exactly as often as
    it may, the first upwards and the second downwards; worst of all is where they never do so at
    once."""
    rng = np.random.default_rng(3)
    beta, far, gate, opened = each(LEVEL), 0.1, parse("accuracy > other"), 0
    for place in rng.random(DRAWS):
        first = place < beta
        second = beta <= place < 2 * beta if apart else first
        own = answered(0.5 + 2.1 * far * first, far)
        other = answered(0.5 - 2.1 * far * second, far)
        opened += judge_held(gate, own, other).verdict is Answer.OPEN
    error = 3 * np.sqrt(0.05 * 0.95 / DRAWS)
    assert opened / DRAWS <= 1 - LEVEL + error
    if apart:
        assert opened / DRAWS >= 1 - LEVEL - error, "the union bound is no wider than it must be"


def test_a_gate_between_two_real_answers_claims_nothing_false() -> None:
    """The free data flatter the first and belittle the second as much as the threshold lets pass
    on average; with so many items the noise of the threshold is all that strays."""
    settings, n = Settings(threshold=0.05, sigma=0.01, budget=2), 10**7
    rng = np.random.default_rng(5)
    gate, opened = parse("accuracy > other"), 0
    for _ in range(3000):
        state, found = begin(settings, rng), []
        for stray in (settings.threshold, -settings.threshold):
            answer, state = ask(settings, state, 0.5 + stray, 0.5, rng)
            assert answer.value is not None
            far = bound(settings, state.asked, n, beta=each(LEVEL))
            found.append(answered(answer.value, far))
        opened += judge_held(gate, *found).verdict is Answer.OPEN
    assert opened / 3000 <= 1 - LEVEL
