"""Bounds and the verdicts that follow from them."""

import json
import math

import pytest
from pydantic import BaseModel, ValidationError

from gradus.parity import EXACT, LOSSY, Bounds, Parity
from gradus.records import Answer

FOUND = Parity(
    handoff="int8", rows=200, max_logit=0.4, mean_logit=0.1, kl=0.01, flips=0.02, bounds={}
)


def test_a_plans_bound_goes_over_the_default() -> None:
    wanted = Bounds(flips=0.01).over(LOSSY)
    assert wanted.named() == {"kl": 0.05, "flips": 0.01}
    assert Bounds(kl=None).over(LOSSY).named() == {"flips": 0.05}
    assert Bounds().over(EXACT) == EXACT


@pytest.mark.parametrize("given", [{}, {"kl": None}, {"flips": 0.1, "kl": None}])
def test_a_resolved_plan_names_no_more_than_was_named(given: dict[str, float | None]) -> None:
    class Config(BaseModel):
        parity: Bounds = Bounds()

    raw = {"parity": given} if given else {}
    dumped = Config.model_validate(raw).model_dump(mode="json")
    assert dumped == {"parity": given}
    assert Config.model_validate(dumped).parity.over(LOSSY) == Bounds(**given).over(LOSSY)


@pytest.mark.parametrize("wrong", [{"kl": -1}, {"flips": 1.5}, {"max_logit": math.nan}, {"k": 1}])
def test_bounds_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Bounds.model_validate(wrong)


def test_one_verdict_for_each_bound() -> None:
    verdicts = FOUND.under(Bounds(max_logit=0.3, flips=0.05)).verdicts()
    assert [(v.gate, v.verdict) for v in verdicts] == [
        ("int8: max_logit <= 0.3", Answer.CLOSED),
        ("int8: flips <= 0.05", Answer.OPEN),
    ]
    assert "0.4 on 200 fixed texts" in verdicts[0].why
    assert FOUND.verdicts() == []


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_number_that_is_missing_keeps_no_bound(value: float | None) -> None:
    found = Parity(handoff="export", rows=3, kl=value, bounds={"kl": 0.1})
    assert not found.holds
    assert found.verdicts()[0].verdict is Answer.CLOSED


def test_there_and_back_as_json() -> None:
    found = FOUND.under(LOSSY)
    assert Parity.from_json(json.loads(json.dumps(found.to_json()))) == found
