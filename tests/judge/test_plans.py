"""What a judge or a panel names must be what it takes, told before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradus.errors import PlanError
from gradus.plan import plan_from_dict

TRUST = {"panel": "people", "agreement": 0.6}
SAMPLE = {"step": "sample", "writers": ["lm"], "prompts": ["Once upon a time"]}


def plan(*steps: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "judged",
        "models": {"lm": {"folder": "lm"}},
        "steps": [
            {"id": "written", **SAMPLE},
            {"id": "other", **SAMPLE},
            {"id": "people", "step": "panel", "of": "written"},
            *steps,
        ],
    }


def judge(**said: Any) -> dict[str, Any]:
    return {"id": "opinion", "step": "judge", "of": "written", "model": "lm", **said}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            judge(of="people"),
            "steps.opinion.of: 'people' is a step 'panel', which makes ratings; name a step that "
            "makes samples",
        ),
        (
            judge(trust={**TRUST, "panel": "other"}),
            "trust.panel: 'other' is a step 'sample', which makes samples; name a step that makes "
            "ratings",
        ),
        (judge(of="other", trust=TRUST), "'people' judged the samples of 'written', this step 'o"),
        (judge(mode="pairs", trust=TRUST), "'people' is of the mode 'likert', this step 'pairs'"),
        (
            {"id": "more", "step": "panel", "of": "people"},
            "steps.more.of: 'people' is a step 'panel', which makes ratings; name a step that "
            "makes samples",
        ),
    ],
)
def test_a_name_of_something_else_is_a_fault(
    step: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(PlanError) as error:
        plan_from_dict(plan(step), folder=tmp_path)
    assert message in str(error.value)
    assert len(error.value.faults) == 1


def test_a_judge_that_is_held_against_its_panel_has_no_fault(tmp_path: Path) -> None:
    made = plan_from_dict(plan(judge(trust=TRUST)), folder=tmp_path)
    assert made.step("opinion").models == ("written", "lm", "people")


def test_what_stands_under_models_is_looked_at_later(tmp_path: Path) -> None:
    made = plan_from_dict(plan(judge(of="lm")), folder=tmp_path)
    assert made.step("opinion").models[0] == "lm"
