from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradus import registry
from gradus.catalog import CATALOG
from gradus.cli.main import main
from gradus.gates.grammar import forms, parse


@pytest.mark.parametrize("section", CATALOG)
def test_every_entry_is_listed_with_version_and_summary(
    section: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls", section, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [f"{row['name']}.{row['version']}" for row in rows] == registry.names(section)
    assert all(len(row["summary"]) > 5 for row in rows)
    assert main(["ls", section]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["name", *(row["name"] for row in rows)]


def test_metrics_say_unit_and_direction(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "metrics", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["accuracy"]["unit"], rows["accuracy"]["direction"]) == ("proportion", "higher")
    assert (rows["latency_p50_ms"]["unit"], rows["latency_p50_ms"]["direction"]) == ("ms", "lower")


def test_without_a_section_all_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {s: registry.names(s) for s in CATALOG}
    assert main(["ls"]) == 0
    assert "baseline, prompt, tokenizer, pretrain, finetune" in capsys.readouterr().out


def test_gates_explain_the_grammar_by_examples_that_parse(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ls", "gates"]) == 0
    shown = capsys.readouterr().out
    for example, meaning in forms():
        assert example in shown
        assert meaning in shown
        parse(example)
    assert "rows, duplicate_rate, conflict_rate or smallest_class_share" in shown
    assert main(["ls", "gates", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {form for form, _ in forms()} < {row["form"] for row in rows}


def _run(folder: Path, name: str, started: str | None, text: str | None = None) -> None:
    (folder / name).mkdir(parents=True)
    record = {"run": name, "plan": "news", "state": "done", "started": started, "seconds": 61.25}
    (folder / name / "run.json").write_text(text or json.dumps(record), encoding="utf-8")


def test_runs_newest_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(tmp_path, "old", "2026-01-01T10:00:00")
    _run(tmp_path, "new", "2026-02-01T10:00:00")
    _run(tmp_path, "torn", None, '{"plan": "ne')
    (tmp_path / "no-run").mkdir()
    assert main(["ls", "runs", "--runs-dir", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "new",
            "plan": "news",
            "state": "done",
            "started": "2026-02-01T10:00:00",
            "seconds": 61.25,
        },
        {
            "name": "old",
            "plan": "news",
            "state": "done",
            "started": "2026-01-01T10:00:00",
            "seconds": 61.25,
        },
        {"name": "torn", "plan": None, "state": "unreadable", "started": None, "seconds": None},
    ]
    assert main(["ls", "runs", "--runs-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "new",
        "news",
        "done",
        "2026-02-01T10:00:00",
        "61.2",
    ]


def test_no_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "runs", "--runs-dir", str(tmp_path / "none"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_an_unknown_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "metric"]) == 2
    assert capsys.readouterr().err == "error: unknown section 'metric': did you mean 'metrics'?\n"
