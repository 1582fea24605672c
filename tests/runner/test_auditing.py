"""The audit in a run: once for each content, behind gates, left out where the plan says so."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest

import gradus
from gradus.errors import PlanError
from gradus.records import RunRecord, State
from gradus.testing.world import default_rows


def run(folder: Path, **data: Any) -> RunRecord:
    lines = (json.dumps({"text": t, "label": c}) for t, c in default_rows())
    (folder / "news.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = {"file": str(folder / "news.jsonl")}
    plan = {
        "name": "mini",
        "seed": 1,
        "data": {"news": {"source": source, "split": {"dev": 0.3, "test": 0.2}, **data}},
        "measure": {"cost": False, "bootstrap": 100},
        "steps": [{"id": "floor", "step": "baseline", "data": "news", "ngrams": [1, 1]}],
    }
    return gradus.run(plan, runs_dir=folder / "runs")


def test_an_audit_is_kept_and_used_again(tmp_path: Path) -> None:
    first = run(tmp_path).data["news"]["audit"]
    (kept,) = (tmp_path / "runs/mini/audits").iterdir()
    stored = json.loads(kept.read_text())
    assert stored == first
    kept.write_text(json.dumps({**stored, "seconds": 4321.0}))
    assert run(tmp_path).data["news"]["audit"]["seconds"] == 4321.0
    kept.write_text("{")
    again = run(tmp_path).data["news"]["audit"]
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    report = json.loads((tmp_path / "runs/mini/report.json").read_text())
    assert report["data"]["news"]["audit"]["findings"] == again["findings"]
    for page in ("report.md", "report.html"):
        shown = html.unescape((tmp_path / "runs/mini" / page).read_text())
        assert again["findings"][-1]["text"][:30] in shown


def test_gates_on_an_audit(tmp_path: Path) -> None:
    wide = ["near_duplicate_rate <= 1", "surely adversarial_auroc <= 1", "length_drift_p >= 0"]
    assert run(tmp_path, gates=wide).state is State.DONE
    record = run(tmp_path, gates=["surely adversarial_auroc <= 0.01"])
    assert record.state is State.CLOSED
    (verdict,) = record.data["news"]["gates"]
    auroc = next(
        m for m in record.data["news"]["measurements"] if m["metric"] == "adversarial_auroc"
    )
    assert verdict["value"] == auroc["ci_high"] > auroc["value"]


def test_left_out(tmp_path: Path) -> None:
    record = run(tmp_path, audit=False)
    assert "audit" not in record.data["news"]
    assert not (tmp_path / "runs/mini/audits").exists()
    with pytest.raises(PlanError, match="of the audit, which 'audit: false' leaves out"):
        run(tmp_path, audit=False, gates=["near_duplicate_rate <= 0.1"])
