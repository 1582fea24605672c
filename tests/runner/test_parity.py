"""Gates on hand-offs, which stand in no plan."""

from dataclasses import replace

import pytest

from gradus.data.dataset import Dataset
from gradus.parity import EXACT, LOSSY, Parity
from gradus.records import Answer, CheckpointRef, StepSpec
from gradus.runner import parity
from gradus.runner.fingerprint import of_step

SPEC = StepSpec(id="small", kind="quantize.v1", config={"model": "tuned", "scheme": "int8"})
EXPORT = Parity(handoff="export", rows=64, max_logit=1e-5, kl=1e-9, flips=0.0).under(EXACT)
INT8 = Parity(handoff="int8", rows=64, max_logit=0.8, kl=0.01, flips=0.03).under(LOSSY)
FACTS = {"parity": [EXPORT.to_json(), INT8.to_json()]}


def verdicts(**bounds: float | None) -> dict[str, Answer]:
    spec = replace(SPEC, config={**SPEC.config, "parity": bounds})
    return {v.gate: v.verdict for v in parity.verdicts(spec, FACTS)}


def test_defaults_are_judged_where_the_plan_says_nothing() -> None:
    found = parity.verdicts(SPEC, FACTS)
    assert [v.verdict for v in found] == [Answer.OPEN] * 5
    assert parity.verdicts(SPEC, {}) == []


def test_the_plan_bounds_what_leaves_the_step() -> None:
    found = verdicts(max_logit=0.5, flips=0.02)
    assert found["export: max_logit <= 0.001"] is Answer.OPEN
    assert found["int8: max_logit <= 0.5"] is Answer.CLOSED
    assert found["int8: flips <= 0.02"] is Answer.CLOSED
    assert found["int8: kl <= 0.05"] is Answer.OPEN
    assert "int8: kl <= 0.05" not in verdicts(kl=None)


@pytest.mark.parametrize("bounds", [{}, {"kl": 0.2}])
def test_another_bound_computes_nothing(
    bounds: dict[str, float], dataset: Dataset, encoder: CheckpointRef
) -> None:
    def mark(spec: StepSpec) -> str:
        return of_step(spec, seed=1, models={"tuned": encoder}, data=dataset, dtype="float32")

    assert mark(replace(SPEC, config={**SPEC.config, "parity": bounds})) == mark(SPEC)
    assert mark(replace(SPEC, config={**SPEC.config, "scheme": "int4"})) != mark(SPEC)


def test_a_number_that_is_missing_closes() -> None:
    broken = {**INT8.to_json(), "kl": None}
    found = parity.verdicts(SPEC, {"parity": [broken]})
    assert [v.verdict for v in found if "kl" in v.gate] == [Answer.CLOSED]
