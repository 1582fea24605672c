"""`gradus ratings`: writings go out to be rated elsewhere, answers come back into the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradus.cli import main as cli
from gradus.panel import setting
from gradus.panel.records import read_ratings
from gradus.panel.setting import Panel, Setting
from gradus.panel.store import Item, Store
from gradus.records import RunRecord, State
from gradus.runner.store import write_json
from gradus.writing.records import Samples, Writing, write_samples

SAMPLES = Samples(
    Writing.of(writer=writer, prompt=f"Once {k}", text=f" {writer} goes on with {k}.")
    for writer in ("base", "human")
    for k in range(5)
)


@pytest.fixture
def panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Panel:
    """A run that waits at a panel."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "quality"
    place = run / "steps" / "written" / "checkpoint"
    ref = write_samples(place, SAMPLES, facts={})
    record = RunRecord(run=str(run), plan="quality", state=State.WAITING)
    write_json(run / "run.json", record.to_json())
    about = Setting(
        step="people",
        mode="likert",
        criteria=("fluency", "coherence"),
        language="en",
        raters=1,
        each=8,
        seed=3,
        samples=place.relative_to(run).as_posix(),
        digest=ref.digest,
    )
    return setting.leave(run, about)


def test_out_and_back_through_label_studio(
    panel: Panel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["ratings", "export", "quality", "out", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    # Four prompts with both writers: as many writings as one rater on the page would see.
    assert (told["tasks"], told["ratings"]) == (8, 0)
    assert [Path(path).name for path in told["files"]] == ["tasks.json", "config.xml"]

    tasks = json.loads(Path("out/tasks.json").read_text("utf-8"))
    scores = {"base": 2, "human": 5}
    of = {one.text: scores[one.writer] for one in SAMPLES.writings}
    for task in tasks:
        results = [
            {
                "from_name": name,
                "to_name": "text",
                "type": "rating",
                "value": {"rating": of[task["data"]["text"]]},
            }
            for name in ("fluency", "coherence")
        ]
        task["annotations"] = [{"completed_by": {"email": "zoe@x.org"}, "result": results}]
    Path("back.json").write_text(json.dumps(tasks), "utf-8")
    assert cli.main(["ratings", "import", "quality", "back.json"]) == 0
    shown = capsys.readouterr()
    assert "label-studio-1: 16 of 16 answered" in shown.out
    assert "zoe@x.org is called label-studio-1" in shown.out
    assert shown.err == ""
    file = panel.imported / "label-studio.jsonl"
    rows = read_ratings(file)
    assert {(row.rater, row.value) for row in rows} == {
        ("label-studio-1", 2),
        ("label-studio-1", 5),
    }
    assert "zoe" not in file.read_text("utf-8")

    # Again, with less: it replaces what came before, and says what is missing.
    Path("back.json").write_text(json.dumps(tasks[:3]), "utf-8")
    assert cli.main(["ratings", "import", "quality", "back.json"]) == 0
    assert "leaves 10 unanswered" in capsys.readouterr().err
    assert len(read_ratings(file)) == 6
    # What the panel's own exports call a writing stays what an import knows it by.
    assert cli.main(["ratings", "export", "quality", "once-more"]) == 0
    assert Path("once-more/tasks.json").read_text() == Path("out/tasks.json").read_text()


def test_what_was_said_here_and_elsewhere_goes_out(
    panel: Panel, capsys: pytest.CaptureFixture[str]
) -> None:
    about = panel.setting
    store = Store.create(
        panel.store, mode=about.mode, criteria=about.criteria, samples=about.digest
    )
    store.enrol("rater-1", [Item(first=SAMPLES.of("human")[0].id), Item(first="c", expected=2)])
    for item in store.items("rater-1"):
        scores = dict.fromkeys(about.criteria, 2)
        assert store.submit("rater-1", item.name, store.nonce("rater-1", item.name), scores, 1.0)
    store.close()
    command = ["ratings", "export", "quality", "all", "--format", "argilla", "--answers"]
    assert cli.main([*command, "--json"]) == 0
    # Two criteria; the attention check stays at home.
    assert json.loads(capsys.readouterr().out)["ratings"] == 2
    # They are the page's, and would count twice.
    back = ["ratings", "import", "quality", "all", "--format", "argilla", "--name", "again"]
    assert cli.main(back) == 2
    assert "has all these answers already" in capsys.readouterr().err
    assert not panel.imported.exists()
    records = json.loads(Path("all/records.json").read_text("utf-8"))
    for record in records:
        record["responses"].setdefault("fluency", []).append({"value": 3, "user_id": "zoe"})
    Path("all/records.json").write_text(json.dumps(records), "utf-8")
    assert cli.main([*back, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ratings"] == len(records)
    assert (list(told["raters"]), told["left_out"]) == (["again-1"], ["rater-1"])
    assert (panel.imported / "again.jsonl").is_file()
    # The same import again replaces itself.
    assert cli.main([*back, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ratings"] == len(records)


def test_faults_are_named(panel: Panel, capsys: pytest.CaptureFixture[str]) -> None:
    for args, said in (
        (["exprt", "quality", "out"], "did you mean 'export'"),
        (["export", "qualty", "out"], "did you mean 'quality'"),
        (["export", "quality", "out", "--format", "argila"], "did you mean 'argilla'"),
        (["import", "quality", "absent.json"], "no such file"),
        (["import", "quality", "absent.json", "--name", "a/b"], "letters, digits"),
        (["import", "quality", "absent.json", "--name", "rater"], "of the page"),
        (["export", "quality", "out", "--step", "peple"], "did you mean 'people'"),
    ):
        assert cli.main(["ratings", *args]) == 2, args
        assert said in capsys.readouterr().err
    Path("empty.json").write_text("[]", "utf-8")
    assert cli.main(["ratings", "import", "quality", "empty.json"]) == 2
    assert "nobody has answered" in capsys.readouterr().err
    assert not panel.imported.exists()
