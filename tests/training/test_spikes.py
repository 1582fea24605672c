from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.training.pretraining import PretrainStage
from gradus.training.spikes import Spikes, bound
from gradus.training.state import Watched


@given(st.lists(st.floats(0.1, 10), min_size=8, max_size=40), st.floats(1, 8))
def test_the_bound_is_the_mean_and_so_many_deviations(values: list[float], sigma: float) -> None:
    mean, most = bound(values, sigma, 32)
    assert mean == pytest.approx(np.mean(values))
    deviation = max(np.std(values, ddof=1), 1e-3 * np.mean(values))
    assert most == pytest.approx(np.mean(values) + sigma * deviation)


def test_nothing_is_a_spike_before_enough_is_known() -> None:
    watch = Spikes(PretrainStage(spike_window=32), Watched())
    assert all(watch.judge(10.0**k, 1.0) is None for k in range(8))


def noise(n: int) -> list[float]:
    return (3 + 0.1 * np.random.default_rng(0).normal(size=n)).tolist()


def test_usual_noise_and_a_falling_loss_are_no_spikes() -> None:
    watch = Spikes(PretrainStage(), Watched())
    falling = [5 * math.exp(-t / 500) + n for t, n in enumerate(noise(3000))]
    assert not any(watch.judge(value, value) for value in falling)


@pytest.mark.parametrize(("loss", "norm"), [(9.0, 3.0), (3.0, 9.0)])
@pytest.mark.parametrize("on_spike", ["warn", "skip"])
def test_a_leap_of_loss_or_gradient_is_a_spike(loss: float, norm: float, on_spike: str) -> None:
    watched = Watched()
    watch = Spikes(PretrainStage.model_validate({"on_spike": on_spike}), watched)
    values = noise(200)
    assert not any(watch.judge(value, value) for value in values)
    spike = watch.judge(loss, norm)
    assert spike is not None
    assert spike.usual == pytest.approx(np.mean(values[-128:]))
    assert len(watched.losses) == 128
    assert (watched.losses[-1] == loss) == (on_spike == "warn")
    assert watch.judge(3.0, 3.0) is None


def test_spikes_that_last_are_the_new_level() -> None:
    watched = Watched()
    watch = Spikes(PretrainStage(spike_window=32, on_spike="skip"), watched)
    for value in noise(32):
        watch.judge(value, value)
    answers = [watch.judge(9.0 + 0.01 * (k % 3), 3.0) for k in range(40)]
    assert [k for k, spike in enumerate(answers) if spike] == list(range(9))
    assert watch.judge(99.0, 3.0) is not None


def test_a_loss_without_noise_needs_more_than_rounding_to_spike() -> None:
    watch = Spikes(PretrainStage(), Watched())
    assert not any(watch.judge(2.0, 1.0) for _ in range(128))
    assert watch.judge(2.001, 1.0) is None
    assert watch.judge(2.1, 1.0) is not None
