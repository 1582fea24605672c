"""`gradus label-next` and `gradus label-read`, from a run to more data and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from run_plans import write_plan

import gradus
from gradus.cli import main as cli
from gradus.testing.world import default_rows


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    record = gradus.run(write_plan(tmp_path))
    pool = [text for text, _ in default_rows()[:5]]
    pool += ["The striker sold shares.", "A bank fixed a bug.", "the  STRIKER sold shares.", ""]
    pool += [f"The chip designer raised its {n} rates." for n in range(8)]
    (tmp_path / "pool.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in pool), "utf-8"
    )
    return record.checkpoint("floor")


def test_from_a_run_to_more_data(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["label-next", str(checkpoint), "--pool", "pool.jsonl", "--n", "4"]
    assert cli.main([*asked, "--out", "tasks.jsonl", "--format", "jsonl"]) == 0
    shown = capsys.readouterr()
    assert "4 of 10 texts chosen, kept apart by their words (TF-IDF)" in shown.out
    assert "labelled already: 5; repeated and left out: 1; lines without a text: 1" in shown.out
    assert "pool.jsonl, line 9: field 'text' is empty" in shown.err
    rows = [json.loads(line) for line in Path("tasks.jsonl").read_text("utf-8").splitlines()]
    assert len({row["text"] for row in rows}) == 4
    unsure = [row["uncertainty"] for row in rows]
    assert unsure == sorted(unsure, reverse=True)
    said = gradus.load(checkpoint).predict([row["text"] for row in rows])
    assert [row["suggested"] for row in rows] == [one.label for one in said]
    for row, label in zip(rows, ["sport", "sport", "spoort", None], strict=True):
        row["label"] = label
    Path("back.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    asked = ["label-read", "back.jsonl", "--into", "news.jsonl"]
    before = Path("news.jsonl").read_text("utf-8")
    assert cli.main(asked) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("2 rows put into news.jsonl; 1 skipped; 1 with unknown labels")
    assert "back.jsonl, line 3: unknown label 'spoort'; known are business, sport" in shown.err
    assert "back.jsonl, line 4: skipped" in shown.err
    after = Path("news.jsonl").read_text("utf-8")
    assert after.startswith(before)
    assert len(after.splitlines()) == len(before.splitlines()) + 2
    assert cli.main([*asked, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["added"], told["same"], len(told["unknown"])) == (0, 2, 1)


def test_a_checkpoint_outside_of_a_run_knows_no_labelled_texts_and_says_so(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = shutil.copytree(checkpoint, tmp_path / "copied")
    asked = ["label-next", str(copied), "--pool", "pool.jsonl", "--out", "t.json", "--n", "2"]
    assert cli.main(asked) == 0
    assert "copied lies in no run" in capsys.readouterr().err
    assert cli.main([*asked, "--known", "none", "--force"]) == 0
    assert "no run" not in capsys.readouterr().err


def test_other_formats_and_bad_usage(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["label-next", str(checkpoint), "--pool", "pool.jsonl"]
    more = ["--out", "folder", "--format", "argilla", "--known", "none", "--json"]
    assert cli.main([*asked, *more]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["chosen"], told["known"], told["repeated"]) == (15, 0, 1)
    assert cli.main([*asked, "--out", "t.json", "--known", "mini.yaml:news"]) == 0
    assert Path("t.xml").exists()
    capsys.readouterr()
    assert cli.main([*asked, "--out", "u", "--format", "argila"]) == 2
    assert "did you mean 'argilla'?" in capsys.readouterr().err
    assert cli.main([*asked, "--out", "u", "--known", "nowhere.jsonl"]) == 2
    assert "there is no such file" in capsys.readouterr().err
    Path("pool.jsonl").write_text("", "utf-8")
    assert cli.main([*asked, "--out", "u"]) == 2
    assert "no text of the pool is left to label: it holds none" in capsys.readouterr().err
    assert cli.main(["label-read", "t.json", "--into", "x.csv"]) == 2
    assert "name a .jsonl file" in capsys.readouterr().err


def test_neither_answers_nor_the_pool_are_written_over(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["label-next", str(checkpoint), "--pool", "pool.jsonl", "--n", "2"]
    rows = [*asked, "--format", "jsonl", "--out"]
    out, pool = Path("a/new/rows.jsonl"), Path("pool.jsonl").read_bytes()
    assert cli.main([*rows, str(out)]) == 0
    out.write_text("answers", "utf-8")
    Path("t.xml").write_text("mine", "utf-8")
    capsys.readouterr()
    for arguments, why in (
        ([*rows, str(out)], "is there already"),
        ([*asked, "--out", "t.json"], "t.xml is there already"),
        ([*rows, "pool.jsonl", "--force"], "written over --pool"),
        ([*asked, "--out", "other.xml"], "name a .json"),
        ([*asked, "--out", "."], "is a folder"),
    ):
        assert cli.main(arguments) == 2
        assert why in capsys.readouterr().err
    assert (out.read_text("utf-8"), Path("pool.jsonl").read_bytes()) == ("answers", pool)
    assert cli.main([*rows, str(out), "--force"]) == 0
    assert len(out.read_text("utf-8").splitlines()) == 2
    assert cli.main([*rows, "t.xml/rows.jsonl"]) == 1
    assert "t.xml/rows.jsonl: can't be written" in capsys.readouterr().err


def test_rows_that_stood_there_stay_to_the_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, link, back = (tmp_path / name for name in ("real.jsonl", "data.jsonl", "back.jsonl"))
    before = b'\xef\xbb\xbf{"text": "a", "label": "x"}\r\n{"text": "b", "label": "y"}'
    real.write_bytes(before)
    real.chmod(0o600)
    link.symlink_to(real)
    back.write_text('{"text": "c", "label": "x"}\n', "utf-8")
    assert cli.main(["label-read", str(back), "--into", str(link)]) == 0
    assert real.read_bytes() == before + b'\n{"text": "c", "label": "x"}\n'
    assert (link.is_symlink(), real.stat().st_mode & 0o777) == (True, 0o600)
    for row, why in (
        ('{"text": "\\ud800", "label": "x"}', "half a surrogate pair"),
        ("[" * 100_000, "not JSON"),
    ):
        back.write_text(row, "utf-8")
        assert cli.main(["label-read", str(back), "--into", str(link)]) == 2
        said = capsys.readouterr().err
        assert f"{back}, line 1" in said
        assert why in said


def test_a_checkpoint_goes_by_run_and_step(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, out in (("mini/floor", "a.jsonl"), (str(checkpoint), "b.jsonl")):
        # One text of the pool is empty.
        assert cli.main(["predict", name, "--input", "pool.jsonl", "--output", out]) == 1
    assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes()
    asked = ["label-next", "runs/mini/floor", "--pool", "pool.jsonl", "--out", "t.jsonl"]
    assert cli.main([*asked, "--format", "jsonl"]) == 0
    assert "labelled already: 5" in capsys.readouterr().out
    read = ["label-read", "t.jsonl", "--into", "new.jsonl", "--checkpoint", "mini/floor"]
    assert cli.main(read) == 0
    more = ["--pool", "pool.jsonl", "--out", "u.json"]
    for command, options in (("predict", []), ("serve", []), ("label-next", more)):
        assert cli.main([command, "mini/flor", *options]) == 2
        assert "did you mean 'floor'?" in capsys.readouterr().err
