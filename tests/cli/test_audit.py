"""``gradus audit``: files, plans, samples of real use, and what it says of each."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from run_plans import write_plan

from gradus.cli.main import main
from gradus.testing.world import default_rows


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A CSV with its own column names, one row without a text and one under two labels."""
    rows = default_rows()
    path = tmp_path / "reviews.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("review", "stars"))
        writer.writerows(rows)
        writer.writerow(("", rows[0][1]))
        other = next(label for _, label in rows if label != rows[0][1])
        writer.writerow((rows[0][0].upper() + "!", other))
    return path


def test_a_file_with_its_columns(reviews: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(reviews), "--text", "review", "--label", "stars"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("reviews: audited in ")
    assert "Rows without a text, or with a shorter one than the filter asks, left out: 1." in shown
    assert "near_duplicate_rate" in shown
    assert "adversarial_auroc" in shown
    assert "drift of" in shown
    assert default_rows()[0][0].upper() in shown


def test_a_plans_data_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = write_plan(tmp_path)
    assert main(["audit", f"{plan}:news", "--json", "--pairs", "2"]) == 0
    (named,) = json.loads(capsys.readouterr().out)["audits"]
    assert main(["audit", str(plan), "--json", "--pairs", "2"]) == 0
    (whole,) = json.loads(capsys.readouterr().out)["audits"]
    assert {**named, "seconds": 0} == {**whole, "seconds": 0}
    assert named["data"] == "news"
    assert len(named["pairs"]) <= 2
    assert {m["data"] for m in named["measurements"]} == {"news"}


@pytest.mark.parametrize("suffix", [".jsonl", ".txt"])
def test_against_a_sample(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan, sample = write_plan(tmp_path), tmp_path / f"week{suffix}"
    texts = [f"parcel {i} never came and nobody answers the phone at the depot" for i in range(40)]
    lines = [json.dumps({"text": t}) if suffix == ".jsonl" else t for t in texts]
    sample.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert main(["audit", f"{plan}:news", "--against", str(sample)]) == 0
    shown = capsys.readouterr().out
    assert f"news beside week{suffix}: audited in" in shown
    assert "A classifier tells sample from dev" in shown
    assert "parcel" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv"], "nowhere.csv: no such file or folder; DATA is a plan"),
        (["mini.yaml:newz"], "unknown data set 'newz': did you mean 'news'?"),
        (["mini.yaml", "--text", "x"], "--text and --label are for files"),
        (["mini.yaml", "--against", "gone.txt"], "--against gone.txt: can't be read"),
        (["mini.yaml", "--against", "empty.txt"], "empty.txt: holds no texts"),
        (["mini.yaml", "--against", "bad.jsonl"], "bad.jsonl, line 2: "),
    ],
)
def test_what_cant_be_audited(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_plan(tmp_path)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "bad.jsonl").write_text('{"text": "fine"}\n{"text": 3}\n')
    monkeypatch.chdir(tmp_path)
    assert main(["audit", *arguments]) == 2
    assert said in capsys.readouterr().err
