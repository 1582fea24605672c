"""What a second run does again, and what it doesn't."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .plans import FLOOR, Runs, states, step

FINAL = {
    "id": "final",
    "step": "evaluate",
    "models": ["floor", "floor.majority"],
    "on": "news.test",
}
KEYS = {"id", "step", "state", "checkpoint", "seconds", "measurements", "gates"}
RECORD = {
    *("metric", "value", "unit", "direction", "n", "ci_low", "ci_high", "ci_method", "level"),
    *("data", "split", "benchmark", "contract", "checkpoint", "items"),
}


def readings(runs: Runs) -> list[dict[str, Any]]:
    path = Path(runs.environment["XDG_STATE_HOME"]) / "gradus" / "ledger.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_printed_object_is_as_documented(runs: Runs) -> None:
    printed = runs.run(runs.plan({**FLOOR, "gates": ["accuracy >= 0.5"]}, FINAL))
    assert {"run", "plan", "state", "steps"} <= printed.keys()
    assert printed["run"] == str(runs.folder / "runs" / "mini")
    assert (printed["plan"], printed["state"]) == ("mini", "done")
    for one in printed["steps"]:
        assert one.keys() >= KEYS
        assert one["measurements"]
        assert all(set(m) == RECORD for m in one["measurements"])
        assert all((Path(printed["run"]) / m["items"]).is_file() for m in one["measurements"])
    floor, final = printed["steps"]
    assert [one["step"] for one in printed["steps"]] == ["baseline", "evaluate"]
    assert (Path(floor["checkpoint"]) / "gradus.json").is_file()
    assert final["checkpoint"] is None
    assert floor["gates"][0].keys() >= {"gate", "verdict", "why"}
    assert floor["gates"][0]["verdict"] == "open"


def test_second_run_reuses_and_reads_no_test_again(runs: Runs) -> None:
    plan = runs.plan(FLOOR, FINAL)
    first = runs.run(plan)
    assert states(first) == {"floor": "done", "final": "done"}
    entries = readings(runs)
    assert [entry["models"] for entry in entries] == [["floor", "floor.majority"]]

    again = runs("run", plan, "--json")
    printed = json.loads(again.stdout)
    assert states(printed) == {"floor": "reused", "final": "reused"}
    assert "reused: nothing that it depends on has changed" in again.stderr
    assert [s["measurements"] for s in printed["steps"]] == [
        s["measurements"] for s in first["steps"]
    ]
    assert readings(runs) == entries
    assert runs.json("show", "mini") == printed
    assert runs.json("show", printed["run"]) == printed

    # Another level of the intervals needs no second look at test; another model does.
    wider = runs.run(plan, "--set", "measure.level=0.9")
    assert step(wider, "final")["measurements"][0]["level"] == 0.9
    assert readings(runs) == entries
    fewer = runs.run(plan, "--set", "steps.final.models=[floor]")
    assert states(fewer) == {"floor": "reused", "final": "done"}
    assert len(readings(runs)) == 2
    assert fewer["readings"] == {"news": 2}

    fresh = runs.run(plan, "--fresh")
    assert states(fresh) == {"floor": "done", "final": "done"}
    assert fresh["readings"] == {"news": 3}
    old = [path for path in (runs.folder / "runs").iterdir() if path.name != "mini"]
    assert len(old) == 1
    assert (old[0] / "report.html").is_file()
    assert (old[0] / "run.json").is_file()

    listed = runs.json("ls", "runs")
    assert {row["name"] for row in listed} == {"mini", old[0].name}
    assert {row["state"] for row in listed} == {"done"}


def test_a_changed_step_reruns_with_what_depends_on_it(runs: Runs) -> None:
    other = {**FLOOR, "id": "other"}
    final = {**FINAL, "models": ["floor"], "on": "news"}
    plan = runs.plan(FLOOR, other, final)
    runs.run(plan)
    changed = runs.run(plan, "--set", "steps.floor.C=1.0")
    assert states(changed) == {"floor": "done", "other": "reused", "final": "done"}
    values = {
        m["metric"]: m["value"]
        for m in step(changed, "floor")["measurements"]
        if m["checkpoint"] == "floor"
    }
    for m in step(changed, "final")["measurements"]:
        assert m["value"] == values[m["metric"]]


def test_editing_a_gate_trains_nothing_again(runs: Runs) -> None:
    first = runs.run(runs.plan({**FLOOR, "gates": ["accuracy >= 0.5"]}))
    edited = runs.run(runs.plan({**FLOOR, "gates": ["accuracy > floor.majority"]}))
    assert states(edited) == {"floor": "reused"}
    assert step(edited, "floor")["measurements"] == step(first, "floor")["measurements"]
    (verdict,) = step(edited, "floor")["gates"]
    assert verdict["verdict"] == "open"
    assert verdict["test"] == "exact McNemar"


def test_until_set_report_and_show(runs: Runs) -> None:
    plan = runs.plan(FLOOR, FINAL)
    until = runs.run(plan, "--until", "floor", "--set", "steps.floor.C=3.0")
    assert states(until) == {"floor": "done", "final": "pending"}
    assert until["state"] == "pending"
    resolved = (runs.folder / "runs/mini/plan.resolved.yaml").read_text(encoding="utf-8")
    assert "C: 3.0" in resolved
    report = runs.folder / "runs/mini/report.html"
    report.unlink()
    said = runs("report", "mini").stdout.splitlines()
    assert {Path(line).name for line in said} == {"report.html", "report.md", "report.json"}
    assert report.is_file()
    facts = runs.json("report", "mini")
    assert [s["id"] for s in facts["steps"]] == ["floor", "final"]
    shown = runs("show", "mini").stdout
    assert "mini: pending" in shown
    assert "floor.majority" in shown
    assert "unknown run 'mino': did you mean 'mini'?" in runs("show", "mino", code=2).stderr
    assert (
        "unknown step 'flor': did you mean 'floor'?"
        in runs("run", plan, "--until", "flor", code=2).stderr
    )


def test_several_faults_at_once(runs: Runs) -> None:
    typos = {**FLOOR, "data": "newz", "sublinear": True, "gates": ["acuracy >= 0.5"]}
    plan = runs.plan(typos)
    refused = runs("run", plan, code=2)
    assert "has 3 faults" in refused.stderr
    for hint in ("did you mean 'news'?", "'sublinear'", "did you mean 'accuracy'?"):
        assert hint in refused.stderr
    assert not (runs.folder / "runs").exists()
    faults = runs.json("check", plan, code=2)
    assert len(faults) == 3
    assert all(set(fault) == {"path", "line", "message"} for fault in faults)
    assert all(fault["line"] > 0 for fault in faults)
