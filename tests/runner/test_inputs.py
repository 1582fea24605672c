"""Names that stand for data and checkpoints, and data that changed under an unfinished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradus.errors import CheckpointError, DataChanged, UsageError
from gradus.plan import plan_from_dict
from gradus.predict.linear import save_majority
from gradus.records import RunRecord, State
from gradus.runner.inputs import Inputs, refuse_changed_data
from gradus.runner.store import RunFolder

from .rows import write_rows

ANOTHER = '{"text": "one more goal", "label": "sport"}\n'


def inputs(folder: Path, **more: Any) -> Inputs:
    plan = plan_from_dict(
        {
            "name": "p",
            "seed": 3,
            "data": {"rows": {"source": {"file": "rows.jsonl"}}},
            "steps": [{"id": "floor", "step": "baseline", "data": "rows"}],
            **more,
        },
        folder=folder,
    )
    return Inputs(plan, RunFolder(folder / "run"))


def earlier(facts: dict[str, Any], state: State) -> RunRecord:
    return RunRecord(run="r", plan="p", state=state, data=facts)


@pytest.mark.parametrize("state", [State.RUNNING, State.INTERRUPTED, State.FAILED])
def test_an_unfinished_run_refuses_other_rows(tmp_path: Path, state: State) -> None:
    path = write_rows(tmp_path / "rows.jsonl")
    before = inputs(tmp_path).data_facts()
    refuse_changed_data(earlier(before, state), inputs(tmp_path).data_facts())
    write_rows(path, ANOTHER)
    after = inputs(tmp_path).data_facts()
    with pytest.raises(DataChanged, match=r"data 'rows' has changed since this run began.*--fresh"):
        refuse_changed_data(earlier(before, state), after)


@pytest.mark.parametrize("state", [State.DONE, State.CLOSED, State.PENDING])
def test_a_finished_run_may_go_on_with_new_rows(tmp_path: Path, state: State) -> None:
    path = write_rows(tmp_path / "rows.jsonl")
    before = inputs(tmp_path).data_facts()
    write_rows(path, ANOTHER)
    refuse_changed_data(earlier(before, state), inputs(tmp_path).data_facts())
    refuse_changed_data(None, before)


def test_another_plan_for_the_data_is_no_change_of_the_data(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")
    before = inputs(tmp_path).data_facts()
    smaller = {"rows": {"source": {"file": "rows.jsonl"}, "limit": 80}}
    refuse_changed_data(earlier(before, State.FAILED), inputs(tmp_path, data=smaller).data_facts())


def test_names_and_what_stands_in_the_way(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")
    ours = tmp_path / "ours"
    save_majority(ours, labels=["money", "sport"], counts=[1, 2])
    strange = tmp_path / "strange"
    save_majority(strange, labels=["cat", "dog"], counts=[1, 2])
    models = {"ours": {"folder": "ours"}, "strange": {"folder": "strange"}}
    known = inputs(tmp_path, models=models)
    assert known.obstacle("ours", "rows") is None
    assert known.obstacle("strange", "rows") == "'strange' knows none of the labels of 'rows'"
    assert known.obstacle("floor", "rows") == "'floor' has made no checkpoint"
    with pytest.raises(UsageError, match="'floor' has made no checkpoint"):
        known.checkpoint("floor")
    made = known.add("floor", ours)
    assert known.checkpoint("floor") is made
    assert made.origin == {"step": "floor"}
    assert known.obstacle("floor", "rows") is None


def test_what_is_damaged_is_not_used(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")
    folder = tmp_path / "ours"
    save_majority(folder, labels=["money", "sport"], counts=[1, 2])
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    known = inputs(tmp_path, models={"ours": {"folder": "ours"}})
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        known.checkpoint("ours")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        known.add("floor", folder)
