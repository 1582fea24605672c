from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import confusion_matrix

from gradus.errors import CheckpointError, DataError, UsageError
from gradus.metrics.items import read_items
from gradus.records import State
from gradus.report import facts, table
from gradus.report.gather import finite

from .runs import news_run, stopped_run

KEYS = (
    "format run headline main best lineage steps final frontiers predictions data corpora readings "
    "looks models notes published environment plan"
)


def test_the_facts_are_plain_json_and_complete(known: dict[str, Any]) -> None:
    assert set(known) == set(KEYS.split())
    assert json.loads(json.dumps(known, allow_nan=False)) == known


def test_every_measurement_and_verdict_of_the_record_is_a_fact(
    news: Path, known: dict[str, Any]
) -> None:
    raw = json.loads((news / "run.json").read_text())
    for step, told in zip(raw["steps"], known["steps"], strict=True):
        assert told["measurements"] == step["measurements"]
        assert told["gates"] == step["gates"]
        assert told["state"] == step["state"]


def test_no_path_of_the_machine_is_told(known: dict[str, Any]) -> None:
    assert "/somewhere/" not in json.dumps(known)


def test_the_best_checkpoint_is_chosen_on_dev_gate_and_told_with_its_test_score(
    known: dict[str, Any],
) -> None:
    after = {
        m["checkpoint"]: m["value"]
        for s in known["steps"]
        for m in s["measurements"]
        if (m["metric"], m["split"]) == ("accuracy", "dev.gate")
    }
    best = known["best"]
    assert after[best["checkpoint"]] == max(after.values())
    assert best["test"]["split"] == "test"
    assert f"accuracy {best['test']['value']:.3f} [" in known["headline"]["best"]
    assert "chosen on dev.gate" in known["headline"]["best"]


def test_lower_is_better_turns_the_choice_round(tmp_path: Path) -> None:
    folder = news_run(tmp_path)
    raw = json.loads((folder / "run.json").read_text())
    for step in raw["steps"]:
        step["measurements"] = [m for m in step["measurements"] if m["metric"] == "log_loss"]
    (folder / "run.json").write_text(json.dumps(raw))
    told = facts(folder)
    values = {
        m["checkpoint"]: m["value"]
        for s in told["steps"]
        for m in s["measurements"]
        if m["split"] == "dev.gate"
    }
    assert told["main"]["metric"] == "log_loss"
    assert values[told["best"]["checkpoint"]] == min(values.values())


def test_the_confusion_counts_agree_with_scikit_learn(news: Path, known: dict[str, Any]) -> None:
    assert len(known["predictions"]) == 5
    for told in known["predictions"]:
        items, _ = read_items(news / told["items"])
        k = len(told["labels"])
        expected = confusion_matrix(items.gold, items.predicted, labels=range(k))
        counted = [[0] * k for _ in range(k)]
        for gold, predicted, count in told["counts"]:
            counted[gold][predicted] = count
        assert counted == expected.tolist()
        assert told["wrong"] == int(expected.sum() - expected.trace())
        assert [c["gold"] for c in told["classes"]] == expected.sum(axis=1).tolist()
        assert [c["predicted"] for c in told["classes"]] == expected.sum(axis=0).tolist()
        assert told["split"] == "test"


def test_the_worst_errors_are_the_surest_and_stand_in_full(
    news: Path, known: dict[str, Any]
) -> None:
    told = known["predictions"][0]
    assert told["checkpoint"] == known["best"]["checkpoint"]
    items, texts = read_items(news / told["items"])
    assert items.log_probs is not None
    errors = sorted(
        (
            (-math.exp(items.log_probs[i].max()), text, items.ids[i])
            for i, text in enumerate(texts)
            if items.gold[i] != items.predicted[i]
        ),
    )
    assert errors
    assert [(w["text"], w["id"]) for w in told["worst"]] == [e[1:] for e in errors[:12]]
    assert [w["probability"] for w in told["worst"]] == pytest.approx([-e[0] for e in errors[:12]])


def test_the_lineage_joins_models_data_and_steps(known: dict[str, Any]) -> None:
    assert known["lineage"]["edges"] == [
        ["data:news", "floor"],
        ["lm", "zero-shot"],
        ["encoder", "tuned"],
        ["tuned", "small"],
        ["floor", "final"],
        ["zero-shot", "final"],
        ["tuned", "final"],
        ["small", "final"],
    ]
    assert len(known["lineage"]["nodes"]) == 8


def test_stages_are_joined_on_one_axis(known: dict[str, Any]) -> None:
    curves = next(s["curves"] for s in known["steps"] if s["id"] == "tuned")
    assert curves["axis"] == "epoch"
    spans = [(s["train"], s["start"], s["end"]) for s in curves["stages"]]
    assert spans == [("head", 0, 3), ("top-2", 3, 5), ("all", 5, 7)]
    xs = [row["x"] for row in curves["rows"]]
    assert xs == sorted(set(xs))


def test_the_terminal_table_has_a_row_for_each_checkpoint(known: dict[str, Any]) -> None:
    rows = table(known)
    assert [r["step"].split()[0] for r in rows] == [
        "floor",
        "floor.majority",
        "zero-shot",
        "tuned",
        "small",
        "final",
    ]
    value = next(m["value"] for m in known["steps"][2]["measurements"])
    assert f"{value:.3f} [" in rows[3]["accuracy"]
    assert "significant gain" in rows[3]["change"]
    assert "1 undecided" in rows[4]["gates"]


def test_notes_tell_of_optimistic_verdicts_and_lost_claims(tmp_path: Path) -> None:
    folder = news_run(tmp_path)
    raw = json.loads((folder / "run.json").read_text())
    raw["data"]["news"]["optimistic"] = True
    (folder / "run.json").write_text(json.dumps(raw))
    texts = [n["text"] for n in facts(folder)["notes"]]
    assert any("verdicts are optimistic" in t for t in texts)
    assert any("latency_p50_ms <= 0.6 * tuned" in t and "No claim" in t for t in texts)
    assert any("3 prompts were too long" in t for t in texts)


def test_undefined_numbers_become_null() -> None:
    given = {"a": [math.nan, math.inf, 1.5], "b": {"c": -math.inf}, "d": "nan"}
    assert finite(given) == {"a": [None, None, 1.5], "b": {"c": None}, "d": "nan"}


def test_a_missing_item_file_is_named(tmp_path: Path) -> None:
    folder = news_run(tmp_path)
    (folder / "items/tuned.test.parquet").unlink()
    with pytest.raises(CheckpointError, match=r"items/tuned\.test\.parquet.*'final'.*--fresh"):
        facts(folder)


def test_a_failed_step_may_lack_its_files(tmp_path: Path) -> None:
    def fail(steps: list[Any]) -> None:
        raw = steps[2].to_json()
        steps[2] = type(steps[2]).from_json({**raw, "state": "failed", "error": "the loss is NaN"})
        del steps[3:]

    folder = stopped_run(tmp_path, State.FAILED, fail)
    (folder / "items/tuned.dev.gate.parquet").unlink()
    path = folder / "curves/tuned.jsonl"
    path.write_text(path.read_text()[:-9])  # cut within the last line
    told = facts(folder)
    assert len(told["steps"][2]["curves"]["rows"]) == 13
    assert "tuned" not in [p["checkpoint"] for p in told["predictions"]]
    path.unlink()
    assert facts(folder)["steps"][2]["curves"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "run.json, line 1"), ("[]", "not the record"), ('{"run": 1}', "not the record")],
)
def test_a_broken_record_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match=message):
        facts(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run folder.*run\.json"):
        facts(tmp_path)


def test_a_broken_curve_names_file_and_line(tmp_path: Path) -> None:
    folder = news_run(tmp_path)
    path = folder / "curves/tuned.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "{", *lines[3:]]))
    with pytest.raises(DataError, match=r"tuned\.jsonl, line 4"):
        facts(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"tuned\.jsonl.*missing"):
        facts(folder)


def test_a_broken_plan_is_named(tmp_path: Path) -> None:
    folder = news_run(tmp_path)
    (folder / "plan.resolved.yaml").write_text("a: [")
    with pytest.raises(DataError, match=r"plan\.resolved\.yaml"):
        facts(folder)


def test_reporting_loads_no_model_library(news: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gradus.report import write_report;"
        f"write_report(Path({str(news)!r}));"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
