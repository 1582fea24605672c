"""`gradus report`: the report again, from what the run folder holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_plans import write_plan

import gradus
from gradus.cli import main as cli


def test_it_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(gradus.run(write_plan(tmp_path)).run)
    names = ("report.json", "report.md", "report.html")
    for name in names:
        (folder / name).unlink()
    assert cli.main(["report", "mini"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(folder / name) for name in names]
    assert all((folder / name).stat().st_size > 1000 for name in names)
    assert cli.main(["report", str(folder), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert cli.main(["report", "none"]) == 2
    assert "unknown run 'none'" in capsys.readouterr().err
