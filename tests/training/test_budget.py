from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.training.budget import FIRST, SHARES, Minutes, epochs_of
from gradus.training.pretraining import PretrainStage
from gradus.training.state import Watched


def spend(each: list[float], examined: float, every: int, minutes: float) -> tuple[float, Watched]:
    """Seconds that a training takes whose update u takes ``each[u]``, by the loop's own order."""
    now, update, watched = 0.0, 0, Watched()
    stage = PretrainStage(minutes=minutes, validate_every=every)
    budget = Minutes(stage, watched, lambda: now)
    while True:
        if budget.due(update):
            budget.take(update, budget.fix(update))
        if update and update % every == 0 and watched.validated != update:
            watched.validated, watched.validations = update, watched.validations + 1
            watched.validation_seconds += examined
            now += examined
        if update >= budget.total:
            break
        now += each[update % len(each)]
        update += 1
    if watched.validated != update:
        now += examined
    return now, watched


@given(
    st.lists(st.floats(0.08, 0.12), min_size=3, max_size=9), st.floats(0, 2), st.integers(5, 200)
)
def test_the_time_is_kept_to_a_few_percent(each: list[float], examined: float, every: int) -> None:
    seconds, watched = spend(each, examined, every, 2.0)
    # An update more or less, and a validation that nobody could foresee before the first.
    assert 120 - 6 - examined <= seconds <= 120 + 6 + 2 * examined
    assert watched.fixed[0][0] == FIRST
    assert len(watched.fixed) <= len(SHARES) + 1


def test_a_machine_that_slows_down_half_way_is_followed() -> None:
    each = [0.1] * 600 + [0.2] * 10_000
    seconds, _ = spend(each, 0.5, 100, 2.0)
    assert seconds == pytest.approx(120, rel=0.05)


def test_a_first_update_longer_than_the_budget_ends_it() -> None:
    seconds, watched = spend([500.0], 0.0, 10, 1.0)
    assert seconds == 500.0
    assert watched.total == 1


def test_tokens_are_passes_over_train() -> None:
    assert epochs_of(PretrainStage(tokens=300), 100) == 3.0
    assert epochs_of(PretrainStage(steps=3), 100) is None
