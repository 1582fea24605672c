"""Gates that hold a metric against another way of ranking the same items."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.errors import PlanError
from gradus.gates import GateSyntaxError, Side, judge, parse
from gradus.metrics import get
from gradus.metrics.base import Predictions
from gradus.plan import plan_from_dict
from gradus.records import Answer, Measurement

LABELS = ("a", "b", "c")


def drawn(n: int = 600) -> Predictions:
    """Calibrated answers between three labels."""
    rng = np.random.default_rng(5)
    p = rng.dirichlet((0.4, 0.4, 0.4), n)
    gold = np.array([rng.choice(3, p=row) for row in p])
    ids = tuple(f"{i:04x}" for i in range(n))
    return Predictions(gold, p.argmax(axis=1), np.log(p.clip(1e-300)), LABELS, ids)


def side(name: str, seen: Predictions, *metrics: str) -> Side:
    common: dict[str, Any] = {"unit": "proportion", "direction": "lower", "n": len(seen)}
    common |= {"checkpoint": name, "data": "news", "split": "test", "benchmark": "classify.v1"}
    measured = [Measurement(metric=m, value=get(m)(seen), **common) for m in metrics]
    return Side(name, measured, seen)


def test_it_is_read_and_written() -> None:
    gate = parse("aurc < 0.9 * tuned.aurc_margin")
    assert (gate.reference, gate.against, gate.factor) == ("tuned", "aurc_margin", 0.9)
    assert str(gate) == "aurc < 0.9 * tuned.aurc_margin"
    assert gate.theirs.measured == "aurc_margin"
    further = parse("aurc < student.alone.aurc_random")
    assert (further.reference, further.against) == ("student.alone", "aurc_random")
    assert parse("aurc < floor.majority").against is None


@pytest.mark.parametrize(
    ("text", "column"), [("accuracy > tuned.f1_macro", 18), ("aurc_margin < tuned.aurc", 21)]
)
def test_other_quantities_are_refused(text: str, column: int) -> None:
    with pytest.raises(GateSyntaxError, match="another quantity") as caught:
        parse(text)
    assert caught.value.column == column


def test_significantly_below_random() -> None:
    own = side("own", drawn(), "aurc", "aurc_random")
    found = judge(parse("aurc < own.aurc_random"), own, own)
    assert found.verdict is Answer.OPEN
    assert found.reference == pytest.approx(1 - get("accuracy")(drawn()))
    worse = judge(parse("aurc > own.aurc_random"), own, own)
    assert worse.verdict is Answer.CLOSED


def test_the_same_ranking_is_no_gain() -> None:
    seen = drawn()
    # Of two labels' probabilities the margin tells what the greatest does, whatever it is.
    two = dataclasses.replace(
        seen, log_probs=np.where(seen.log_probs == seen.log_probs.min(1)[:, None], -np.inf, 0.0)
    )
    rows = np.exp(seen.log_probs) * (two.log_probs == 0.0)  # type: ignore[arg-type,operator]
    with np.errstate(divide="ignore"):
        alike = dataclasses.replace(seen, log_probs=np.log(rows / rows.sum(1, keepdims=True)))
    own = side("own", alike, "aurc", "aurc_margin")
    found = judge(parse("aurc < own.aurc_margin"), own, own)
    assert found.verdict is Answer.UNDECIDED
    assert found.difference == pytest.approx(0, abs=1e-12)


def plan(gate: str, tmp_path: Path) -> Any:
    rows = "\n".join(f"text {i},{'ab'[i % 2]}" for i in range(40))
    (tmp_path / "news.csv").write_text(f"text,label\n{rows}\n", encoding="utf-8")
    return plan_from_dict(
        {
            "name": "against",
            "data": {"news": {"source": {"file": "news.csv"}, "format": "csv"}},
            "steps": [
                {"id": "floor", "step": "baseline", "data": "news"},
                {"id": "other", "step": "baseline", "data": "news", "gates": [gate]},
            ],
        },
        folder=tmp_path,
    )


def test_a_plan_may_ask_it_of_itself_and_of_others(tmp_path: Path) -> None:
    for gate in ("aurc < other.aurc_random", "aurc < floor.aurc_margin"):
        plan(gate, tmp_path)
    for gate, word in (
        ("aurc < late.aurc_random", "unknown model or step 'late'"),
        ("aurc < other", "other"),
    ):
        with pytest.raises(PlanError, match=word):
            plan(gate, tmp_path)
