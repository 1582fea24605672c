"""Cards of a real run: what the Hub's own code reads in them, and what people read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import EvalResult, ModelCard, ModelCardData

import gradus
from gradus.cards import facts, render, write_card, write_run
from gradus.cards.facts import _named
from gradus.cards.write import Written, is_own
from gradus.checkpoints import read_manifest, verify
from gradus.errors import CheckpointError, DataError, UsageError
from gradus.metrics.items import read_items
from gradus.records import RunRecord, StepRecord

from .conftest import plan


def card(checkpoint: Path) -> ModelCard:
    return ModelCard.load(checkpoint / "README.md")


def results(checkpoint: Path) -> list[EvalResult]:
    found = card(checkpoint).data.eval_results
    assert found
    return list(found)


def value(found: list[EvalResult], metric: str, split: str) -> EvalResult:
    one = [e for e in found if e.metric_type == metric and e.dataset_split == split]
    assert len(one) == 1
    return one[0]


def test_every_checkpoint_of_a_run_has_a_card_and_is_as_it_was(run: RunRecord) -> None:
    folders = [
        Path(run.run) / path
        for step in run.steps
        for path in (step.checkpoint, *step.checkpoints.values())
        if path is not None
    ]
    assert len(set(folders)) == 5
    for folder in folders:
        verify(folder)
        assert "README.md" not in read_manifest(folder).files
        assert is_own((folder / "README.md").read_text("utf-8"))


def test_the_hub_reads_what_was_measured(run: RunRecord) -> None:
    found = results(run.checkpoint("floor"))
    measured = {
        (m.metric, m.split): m
        for step in run.steps
        for m in step.measurements
        if m.checkpoint == "floor" and "[" not in m.metric and "{" not in m.metric
    }
    assert {(e.metric_type, e.dataset_split) for e in found} == set(measured)
    for one in found:
        m = measured[one.metric_type, str(one.dataset_split)]
        assert one.metric_value == m.value
        assert one.metric_args is not None
        assert one.metric_args["n"] == m.n
        assert one.metric_args["contract"] == m.contract
        assert (one.metric_args["ci_low"], one.metric_args["ci_high"]) == (m.ci_low, m.ci_high)
        assert one.dataset_args == {"digest": run.data["news"]["split_digests"][m.split]}
        assert one.task_type == "text-classification"
    assert found[0].dataset_split == "test"


def test_accuracy_in_the_index_is_that_of_the_items(run: RunRecord) -> None:
    found = value(results(run.checkpoint("floor")), "accuracy", "test")
    final = run.step("final")
    file = next(m.items for m in final.measurements if m.checkpoint == "floor")
    items, _ = read_items(Path(run.run) / str(file))
    assert found.metric_value == pytest.approx(float((items.gold == items.predicted).mean()))


def test_the_head_survives_the_hubs_own_writer(run: RunRecord) -> None:
    read = card(run.checkpoint("tuned"))
    again = ModelCard(str(read))
    assert again.data.to_dict() == read.data.to_dict()
    rebuilt = ModelCardData(
        **{**read.data.to_dict(), "model-index": read.data.to_dict()["model-index"]}
    )
    assert rebuilt.eval_results == read.data.eval_results
    data = read.data.to_dict()
    assert data["license"] == "apache-2.0"
    assert data["language"] == ["en"]
    assert data["pipeline_tag"] == "text-classification"
    assert data["library_name"] == "gradus"
    assert "base_model" not in data  # a folder is nothing that the Hub could link to
    assert data["tags"] == ["gradus", "transformer", "finetune"]


def test_a_repeated_step_gives_each_seed_its_own_figures(run: RunRecord) -> None:
    step = run.step("tuned")
    said = next(
        row
        for row in run.step("final").facts["seeds"]["measured"]
        if row["metric"] == "accuracy" and row["checkpoint"] == "tuned"
    )
    for number in (1, 2):
        folder = Path(run.run) / step.checkpoints[f"seed{number}"]
        one = value(results(folder), "accuracy", "test")
        assert one.metric_value == said["values"][number - 1]
        assert one.metric_args is not None
        assert "ci_low" not in one.metric_args
        text = (folder / "README.md").read_text("utf-8")
        assert "Over all 2 seeds of the step" in text
        assert f"this is seed {number}" in text


def test_limits_are_said_from_facts(run: RunRecord) -> None:
    limits = facts(run.checkpoint("floor"))["limits"]
    assert "The test split of news has been read once in all runs." in limits
    assert any("Languages weren't told apart" in one for one in limits)
    assert any(one.startswith("Figures on news.test rest on ") for one in limits)
    assert any(
        one.startswith("Its licence is unknown: it was made from no other") for one in limits
    )
    untested = facts(Path(run.run) / run.step("floor").checkpoints["majority"])["limits"]
    assert any("never with this checkpoint" in one for one in untested)
    trained = facts(run.checkpoint("tuned"))["limits"]
    assert any(
        "tokens of a text; none of those that it learnt from is longer" in o for o in trained
    )


def test_a_closed_gate_stands_at_the_top(run: RunRecord) -> None:
    text = (run.checkpoint("late") / "README.md").read_text("utf-8")
    assert "> **A gate is closed: “accuracy &gt;= 1.01”.**" in text
    assert any("is closed" in one for one in facts(run.checkpoint("late"))["limits"])
    assert "closed" not in (run.checkpoint("tuned") / "README.md").read_text("utf-8")


def test_data_and_licences_are_told(run: RunRecord) -> None:
    data = facts(run.checkpoint("tuned"))["data"]
    assert [(one["name"], one["trained_on"], one["measured_on"]) for one in data] == [
        ("news", True, True)
    ]
    assert data[0]["sources"][0]["licence"]["hub"] == "cc-by-4.0"
    assert data[0]["sources"][0]["licence"]["where"] == "the plan"
    text = (run.checkpoint("tuned") / "README.md").read_text("utf-8")
    assert run.data["news"]["digest"] in text
    assert str(Path(run.run)) not in text
    assert str(Path(run.data["news"]["path"]["all"]).parent) not in text


def test_only_what_a_step_takes_as_data_is_what_it_was_trained_on() -> None:
    step = {"id": "news", "step": "finetune", "model": "posts", "data": "mails", "about": "plays"}
    mixed = {"id": "next", "corpora": {"plays": 0.5}, "extra": ["posts.train"]}
    known = ["news", "posts", "mails", "plays"]
    assert _named([step], known) == ["mails"]
    assert sorted(_named([mixed], known)) == ["plays", "posts"]


def test_facts_are_plain_json(run: RunRecord) -> None:
    found = facts(run.checkpoint("tuned"))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_card_changes_when_test_is_read(
    state: None, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = plan(world)
    made["steps"] = made["steps"][:1]
    first = gradus.run(made, runs_dir=tmp_path)
    checkpoint = first.checkpoint("floor")
    digest = read_manifest(checkpoint).digest
    assert {e.dataset_split for e in results(checkpoint)} == {"dev.gate"}
    assert "has never been read" in (checkpoint / "README.md").read_text("utf-8")
    before = (checkpoint / "README.md").stat().st_mtime_ns
    gradus.run(made, runs_dir=tmp_path)
    assert (checkpoint / "README.md").stat().st_mtime_ns == before  # nothing new, nothing written
    made["steps"].append({"id": "end", "step": "evaluate", "models": ["floor"], "on": "news.test"})
    gradus.run(made, runs_dir=tmp_path)
    assert {e.dataset_split for e in results(checkpoint)} == {"test", "dev.gate"}
    assert verify(checkpoint).digest == digest


def test_a_card_changed_by_hand_stays(run: RunRecord, tmp_path: Path) -> None:
    copied = shutil.copytree(Path(run.run), tmp_path / "run")
    assert run.step("floor").checkpoint is not None
    checkpoint = copied / str(run.step("floor").checkpoint)
    own = (checkpoint / "README.md").read_text("utf-8")
    (checkpoint / "README.md").write_text(own + "\nOurs.\n", "utf-8")
    assert write_card(checkpoint) is Written.KEPT
    assert write_run(copied, run) == [checkpoint / "README.md"]
    assert (checkpoint / "README.md").read_text("utf-8").endswith("Ours.\n")
    assert write_card(checkpoint, force=True) is Written.WRITTEN
    assert write_card(checkpoint) is Written.UNCHANGED


def test_a_copy_is_known_by_its_content(run: RunRecord, tmp_path: Path) -> None:
    copied = shutil.copytree(run.checkpoint("tuned"), tmp_path / "mine")
    alone = facts(copied)
    assert alone["measurements"] == []
    assert "Nothing was measured" in alone["limits"][0]
    known = facts(copied, run=Path(run.run))
    assert known["measurements"] == facts(run.checkpoint("tuned"))["measurements"]


def test_a_card_without_a_run_is_read_by_the_hub(run: RunRecord, tmp_path: Path) -> None:
    copied = shutil.copytree(run.checkpoint("tuned"), tmp_path / "mine")
    assert write_card(copied, license="MIT", force=True) is Written.WRITTEN
    data = card(copied).data
    assert data.license == "mit"
    assert data.eval_results is None


def test_joined_halves_of_dev_stay_out_of_the_index(
    state: None, world: Path, tmp_path: Path
) -> None:
    made = plan(world)
    made["steps"] = made["steps"][:1]
    made["data"]["news"]["dev"] = "joined"
    record = gradus.run(made, runs_dir=tmp_path)
    assert card(record.checkpoint("floor")).data.eval_results is None
    assert "optimistic" in (record.checkpoint("floor") / "README.md").read_text("utf-8")


def test_slices_are_text_and_no_index(state: None, world: Path, tmp_path: Path) -> None:
    made = plan(world)
    made["steps"] = made["steps"][:1]
    made["measure"] |= {"slices": ["length"], "slice_least": 2}
    record = gradus.run(made, runs_dir=tmp_path)
    assert any("{" in m.metric for m in record.step("floor").measurements)
    found = results(record.checkpoint("floor"))
    assert not [e for e in found if "{" in e.metric_type or "[" in e.metric_type]
    assert "{length=" in (record.checkpoint("floor") / "README.md").read_text("utf-8")


def test_what_is_no_checkpoint_and_no_run_is_told(run: RunRecord, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        facts(tmp_path / "none")
    copied = shutil.copytree(run.checkpoint("tuned"), tmp_path / "mine")
    with pytest.raises(UsageError, match=r"no run\.json"):
        facts(copied, run=tmp_path)
    (tmp_path / "run.json").write_text("{", "utf-8")
    with pytest.raises(DataError, match="record of a run"):
        facts(copied, run=tmp_path)


def test_rendering_says_the_same_each_time(run: RunRecord) -> None:
    found = facts(run.checkpoint("tuned"))
    assert render(found) == render(json.loads(json.dumps(found)))
    assert isinstance(run.step("tuned"), StepRecord)


def test_language_models_say_their_contract_and_tokenizers_no_task(
    state: None, tmp_path: Path
) -> None:
    lines = [f"The {a} went to the {b}, and the {b} saw the {a}." for a in "abcd" for b in "wxyz"]
    rows = [{"text": f"{line} {n}. " * 30, "id": str(n)} for n, line in enumerate(lines * 3)]
    (tmp_path / "tales.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    corpus = {"source": {"file": str(tmp_path / "tales.jsonl"), "license": "cc0-1.0"}}
    small = {"architecture": "gpt2", "layers": 1, "width": 16, "heads": 2}
    steps = [
        {"id": "tok", "step": "tokenizer", "corpus": "tales", "vocabulary": 300},
        {
            "id": "base",
            "step": "pretrain",
            "tokenizer": "tok",
            "corpus": "tales",
            "model": small,
            "block": 32,
            "steps": 2,
            "lr": 1e-3,
        },
    ]
    made = {"name": "lm", "measure": {"cost": False}, "corpora": {"tales": corpus}, "steps": steps}
    record = gradus.run(made, runs_dir=tmp_path)
    assert "pipeline_tag" not in card(record.checkpoint("tok")).data.to_dict()
    base = record.checkpoint("base")
    assert card(base).data.pipeline_tag == "text-generation"
    one = value(results(base), "bits_per_byte", "dev.gate")
    assert one.metric_args is not None
    assert one.metric_args["contract"]["window"] == "32"
    assert facts(base)["data"][0]["sources"][0]["licence"]["hub"] == "cc0-1.0"
