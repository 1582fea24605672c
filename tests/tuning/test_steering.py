"""What a search does next, asked of trials that were written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gradus.errors import UnknownName
from gradus.steps.base import StepContext
from gradus.steps.inner import Boundary, Inner, InnerResult
from gradus.steps.tune import TuneConfig, _study, range_test
from gradus.tuning.config import BudgetConfig, ObjectiveConfig
from gradus.tuning.halving import Halving, Trial
from gradus.tuning.optuna_backend import Proposer, Storage
from gradus.tuning.search import Search
from gradus.tuning.space import Space

LR = Space(("lr",), "log", 1e-5, 1e-1)
RESULT = InnerResult(name="x", fingerprint="x", folder=Path("x"))


class _Kept:
    """A storage that holds what it was given."""

    def __init__(self, trials: Sequence[Trial] = ()) -> None:
        self.kept = list(trials)

    def trials(self) -> list[Trial]:
        return self.kept


class _Steps:
    """Knows every step and counts who asks."""

    def __init__(self, known: InnerResult | None = None) -> None:
        self.found, self.asked, self.ran = known, list[str](), list[str]()

    def known(self, name: str, *_: Any, **__: Any) -> InnerResult | None:
        self.asked.append(name)
        return self.found

    def run(self, name: str, *_: Any, **__: Any) -> InnerResult:
        self.ran.append(name)
        return RESULT

    def drop(self, result: InnerResult) -> None:
        assert result


def search(trials: Sequence[Trial] = (), *, inner: Any = None, **more: Any) -> Search:
    settings: dict[str, Any] = {"budget": BudgetConfig(trials=2), **more}
    return Search(
        step={"step": "x", "lr": None},
        spaces=[LR],
        inner=cast(Inner, inner),
        storage=cast(Storage, _Kept(trials)),
        proposer=Proposer([LR], "random", 1, (True,)),
        objectives=(ObjectiveConfig(metric="accuracy"),),
        **settings,
    )


def done(number: int, value: float, **facts: Any) -> Trial:
    return Trial(number, {"lr": number + 1.0}, "done", values=(value,), facts=facts)


def test_one_killed_between_its_rung_and_the_end_goes_on() -> None:
    """Stages 1, 2, 3 of four are over and rungs stand after the first alone: it isn't resting."""
    halving = Halving(eta=2, rungs=(1,))
    under_way = Trial(0, {"lr": 1e-3}, rungs={1: 0.9, 2: 0.9, 3: 0.9})
    trials = [under_way, Trial(1, {"lr": 1e-2}, rungs={1: 0.5})]
    following = search(budget=BudgetConfig(trials=9), halving=halving)._next(trials)
    assert following is not None
    assert following.number == 0


def test_nothing_but_failures_end_a_search_that_counts_no_trials() -> None:
    endless = search(budget=BudgetConfig(minutes=5))
    failed = [Trial(n, {"lr": 1.0}, "failed", facts={"error": "no"}) for n in range(20)]
    assert not endless._over(failed[:19])
    assert endless._over(failed)
    assert not endless._over([done(0, 0.5), *failed[:19]])
    assert not search(budget=BudgetConfig(trials=40))._over(failed)


def test_patience_counts_from_when_the_best_was_done() -> None:
    """Trial 1 rested, and won when there were ten."""
    patient = search(budget=BudgetConfig(trials=99), patience=4)
    trials = [done(0, 0.5), done(1, 0.9, begun=10), *(Trial(n, {}) for n in range(2, 14))]
    assert not patient._over(trials[:10])
    assert not patient._over(trials[:13])
    assert patient._over(trials)
    early = [done(0, 0.9), *(done(n, 0.1) for n in range(1, 5))]
    assert not patient._over(early[:4])
    assert patient._over(early)


def test_each_loser_is_dropped_once() -> None:
    inner = _Steps(RESULT)
    one = search([done(0, 0.5), done(1, 0.9)], inner=inner)
    one._drop_losers()
    cast(_Kept, one.storage).kept += [done(2, 0.1)]
    one._drop_losers()
    one._drop_losers()
    assert inner.asked == ["trial-0000", "trial-0002"]


def test_a_score_that_no_trial_has_ends_the_search_at_once() -> None:
    one = search(halving=Halving(2, (1,)))
    boundary = Boundary(stage=1, stages=2, values={"accuracies": 0.5})
    with pytest.raises(UnknownName, match="accuracies"):
        one._goes_on(Trial(0, {"lr": 1.0}), boundary)


def tuned(**more: Any) -> TuneConfig:
    stages = [{"train": "head"}, {"train": "all", "epochs": 1, "lr": {"log": [1e-5, 1e-3]}}]
    inner = {"step": "finetune", "model": "encoder", "data": "news", "stages": stages}
    return TuneConfig.model_validate({"inner": inner, **more})


def test_a_range_test_that_was_killed_goes_on() -> None:
    """It stood at the end of the stage before the one that is tested."""
    config = tuned(lr_range_test={"stage": 1})
    boundary = Boundary(stage=1, stages=2, values={})
    half = InnerResult(name="x", fingerprint="x", folder=Path("x"), paused=boundary)
    steps = _Steps(half)
    range_test(config, config.spaces(), cast(Inner, steps))
    assert steps.ran == ["range-test"]
    known = _Steps(RESULT)
    range_test(config, config.spaces(), cast(Inner, known))
    assert known.ran == []


def test_what_changes_a_trials_worth_begins_another_search(tmp_path: Path) -> None:
    config = tuned()

    def named(**more: Any) -> str:
        found: dict[str, Any] = {
            "id": "t",
            "seed": 1,
            "dtype": "float32",
            "datasets": {},
            "models": {},
            "corpora": {},
            "inner": SimpleNamespace(place=tmp_path),
            **more,
        }
        return _study(config, config.spaces(), cast(StepContext, SimpleNamespace(**found)))

    assert named() == named()
    assert named(dtype="bfloat16") != named()
    assert named(corpora={"wiki": SimpleNamespace(digest="a")}) != named()
