"""Who goes on, against schedules worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradus.tuning.halving import Halving, Trial


def simulate(halving: Halving, scores: list[list[float]], last: int) -> list[tuple[int, int]]:
    """(trial, stage) in the order of running; a trial's score after each stage is given."""
    trials: list[Trial] = []
    ran = []
    while True:
        trial = halving.promoted(trials)
        if trial is None:
            if len(trials) == len(scores):
                return ran
            trial = Trial(len(trials), {})
            trials.append(trial)
        number = trial.number
        rungs = dict(trial.rungs)
        stages = [s for s in range(1, last + 1) if s not in rungs]
        for stage in stages:
            ran.append((number, stage))
            if stage == last:
                trial = replace(trial, state="done", values=(scores[number][-1],))
                break
            rungs[stage] = scores[number][stage - 1]
            if stage in halving.rungs_of(number):
                break
        trials[number] = replace(trial, rungs=rungs)


def test_one_in_two_goes_on_as_worked_out_by_hand() -> None:
    halving = Halving(eta=2, rungs=(1, 2))
    scores = [[0.5, 0.6, 0.7], [0.6, 0.5, 0.7], [0.7, 0.9, 0.9], [0.4, 0.4, 0.4]]
    # After trial 1: rung 1 holds 0.5, 0.6; its best half is trial 1, which goes on to rung 2.
    # After trial 2: three at rung 1, best one (floor(3/2)) is trial 2: on; rung 2 holds 0.5, 0.9,
    # so trial 2 goes on to the end. After trial 3: four at rung 1, best two are 2 and 1: both on.
    assert simulate(halving, scores, last=3) == [
        (0, 1),
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
        (2, 3),
        (3, 1),
    ]


def test_one_that_stood_low_goes_on_when_more_have_come() -> None:
    halving = Halving(eta=2, rungs=(1,))
    scores = [[0.9, 1.0], [0.8, 1.0], [0.1, 1.0], [0.1, 1.0]]
    ran = simulate(halving, scores, last=2)
    assert ran == [(0, 1), (1, 1), (0, 2), (2, 1), (3, 1), (1, 2)]


def test_less_may_be_better_and_equals_go_by_their_number() -> None:
    halving = Halving(eta=2, rungs=(1,), higher=False)
    ran = simulate(halving, [[0.2, 0], [0.2, 0], [0.1, 0], [0.3, 0]], last=2)
    assert ran == [(0, 1), (1, 1), (0, 2), (2, 1), (2, 2), (3, 1)]


def test_synchronous_counts_hold_in_the_long_run() -> None:
    halving = Halving(eta=3, rungs=(1, 2))
    scores = [[i / 27] * 3 for i in range(27)]
    ran = simulate(halving, scores, last=3)
    for stage, least in ((1, 27), (2, 9), (3, 3)):
        assert sum(s == stage for _, s in ran) >= least


def test_hyperband_has_the_brackets_of_the_paper() -> None:
    # Li et al. 2018, table 1: R = 81, eta = 3 begins 81, 34, 15, 8 and 5 configurations.
    assert Halving(eta=3, rungs=(1, 2, 3, 4), brackets=5).sizes() == [81, 34, 15, 8, 5]
    halving = Halving(eta=2, rungs=(1, 2), brackets=3)
    assert halving.sizes() == [4, 3, 3]
    assert [halving.bracket(n) for n in range(11)] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 0]
    assert [halving.rungs_of(n) for n in (0, 4, 7)] == [(1, 2), (2,), ()]


@pytest.mark.parametrize("state", ["failed", "done"])
def test_who_failed_or_is_done_goes_nowhere(state: str) -> None:
    halving = Halving(eta=2, rungs=(1,))
    trials = [
        Trial(0, {}, state, {1: 0.9}),  # type: ignore[arg-type]  # as parametrised
        Trial(1, {}, rungs={1: 0.5}),
        Trial(2, {}, rungs={1: 0.4}),
    ]
    assert halving.promoted(trials) is None
    leader = halving.leader(trials)
    assert leader is not None
    assert leader.number == 1
