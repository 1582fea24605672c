"""What a search does next, asked of trials that were written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from gradus.errors import TrainingError, UnknownName
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

    def add(self, params: Mapping[str, Any]) -> None:
        self.kept.append(Trial(len(self.kept), params))

    def done(self, trial: Trial, values: Sequence[float], facts: Mapping[str, Any]) -> None:
        raise AssertionError(f"{trial.name} has {values} and {facts}")

    def failed(self, trial: Trial, facts: Mapping[str, Any]) -> None:
        self.kept[trial.number] = replace(trial, state="failed", facts=facts)


class _Steps:
    """Knows every step and counts who asks."""

    def __init__(self, known: InnerResult | None = None) -> None:
        self.found, self.asked, self.ran = known, list[str](), list[str]()

    def known(self, name: str, *_: Any, **__: Any) -> InnerResult | None:
        self.asked.append(name)
        return self.found

    def run(self, name: str, *_: Any, **__: Any) -> InnerResult:
        self.ran.append(name)
        return self.found or RESULT

    def taken(self, *_: Any, **__: Any) -> dict[str, float]:
        return {"train_tokens": 70, "train_seconds": 90.0}

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


def test_an_objective_that_a_trial_lacks_at_its_end_ends_the_search() -> None:
    """Nobody scored it: every other trial would be trained as far and lack it as well."""
    result = replace(RESULT, scores={"nats": 2.0})
    inner = _Steps(result)
    with pytest.raises(UnknownName, match=r"unknown objective 'accuracy': known are nats"):
        search(inner=inner).run()
    assert inner.ran == ["trial-0000"]


def test_an_objective_that_is_no_number_is_the_trials_own_fault() -> None:
    """It was scored, and is undefined on what this trial says; the next one may be better."""
    inner = _Steps(replace(RESULT, items=cast(Any, object()), scores={"log_loss": 1.0}))
    one = search(inner=inner)
    with pytest.raises(TrainingError, match=r"none of 2 trials.*its accuracy on dev\.select is no"):
        one.run()
    assert inner.ran == ["trial-0000", "trial-0001"]
    assert [t.facts["tokens"] for t in one.storage.trials()] == [70, 70]


def test_minutes_are_paid_for_trials_that_fail() -> None:
    inner = _Steps(replace(RESULT, items=cast(Any, object())))
    with pytest.raises(TrainingError, match="none of 4 trials"):
        search(inner=inner, budget=BudgetConfig(minutes=6)).run()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"objectives": {"metric": "loss", "direction": "lower"}}, "unknown objective 'loss'"),
        ({"objectives": "rouge_l"}, "unknown objective 'rouge_l'"),
        ({"objectives": "f1"}, "unknown objective 'f1': known are"),
        ({"objectives": "ece", "pruner": "halving"}, "ece isn't known at the end of a stage"),
    ],
)
def test_an_objective_that_no_trial_can_have_is_a_fault_of_the_plan(
    more: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        tuned(**more)


def test_costs_are_taken_on_data() -> None:
    lr = {"log": [1e-4, 1e-2]}
    inner = {"step": "pretrain", "model": "encoder", "corpus": "plays", "steps": 4, "lr": lr}
    config: dict[str, Any] = {
        "inner": inner,
        "objectives": {"metric": "loss", "direction": "lower"},
    }
    assert TuneConfig.model_validate(config).objectives[0].metric == "loss"
    with pytest.raises(ValidationError, match="size_mb is taken on a data set; the step names"):
        TuneConfig.model_validate({**config, "objectives": "size_mb"})
