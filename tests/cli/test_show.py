"""`gradus show`: what `gradus run` has printed, at any time after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_plans import FLOOR, write_plan

import gradus
from gradus.cli import main as cli
from gradus.cli.view import number
from gradus.records import Measurement


def test_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    final = {"id": "final", "step": "evaluate", "models": ["floor"], "on": "news.test"}
    record = gradus.run(write_plan(tmp_path, {**FLOOR, "gates": ["accuracy >= 0.2"]}, final))
    assert cli.main(["show", "mini"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("mini: done, begun ")
    assert "floor: open: accuracy >= 0.2: " in shown
    assert "news: its test split has been read once" in shown
    assert "news.dev.gate" in shown
    assert "news: its dev.gate has been looked at once" in shown
    assert cli.main(["looks", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["splits"]
    assert {(row["split"], row["looks"], row["gates"]) for row in listed} == {
        ("test", 1, 0),
        ("dev.gate", 1, 1),
        ("dev.select", 1, 0),
    }
    assert cli.main(["looks", "--data", "news"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:4] == [
        "data",
        "split",
        "digest",
        "looks",
    ]
    assert cli.main(["looks", "--data", "other"]) == 0
    assert capsys.readouterr().out == "nothing called other has been looked at yet\n"
    for name in ("mini", "runs/mini", str(tmp_path / "runs/mini")):
        assert cli.main(["show", name, "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["run"] == record.run
        assert [s["measurements"] for s in printed["steps"]] == [
            [m.to_json() for m in s.measurements] for s in record.steps
        ]
    assert cli.main(["show", "mni"]) == 2
    assert "unknown run 'mni': did you mean 'mini'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"value": 0.9734, "unit": "proportion", "ci_low": 0.9, "ci_high": 1.0},
            "0.973 [0.900, 1.000]",
        ),
        ({"value": 12.34, "unit": "ms", "ci_low": 11.0, "ci_high": 13.0}, "12.3 [11.0, 13.0]"),
        ({"value": 90.0, "unit": "MB", "n": 1, "ci_low": 1.0, "ci_high": 2.0}, "90.0"),
        ({"value": 0.5, "unit": "proportion"}, "0.500"),
        ({"value": None, "unit": "nats"}, "undefined"),
    ],
)
def test_numbers_with_their_interval(fields: dict[str, object], said: str) -> None:
    common: dict[str, object] = {"metric": "m", "direction": "higher", "n": 10}
    assert number(Measurement(**{**common, **fields})) == said  # type: ignore[arg-type]  # by name
