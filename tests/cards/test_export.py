"""Exports: whole, checked, with a card; or nothing at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi, ModelCard

from gradus.cards.export import export
from gradus.cards.push import check_name, push
from gradus.cards.write import is_own
from gradus.checkpoints import read_manifest, verify
from gradus.cli.main import main
from gradus.errors import CheckpointError, ServiceError, UsageError
from gradus.predict import load
from gradus.records import RunRecord


def test_a_copy_predicts_as_the_checkpoint_does(run: RunRecord, tmp_path: Path) -> None:
    made = export(run.checkpoint("tuned"), tmp_path / "deep" / "out")
    folder = tmp_path / "deep" / "out"
    assert verify(folder).digest == made["digest"] == read_manifest(run.checkpoint("tuned")).digest
    assert set(made["files"]) == {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()
    }
    texts = ["The striker won the final.", "A software firm fixed a bug in its code."]
    ours, theirs = load(folder).predict(texts), load(run.checkpoint("tuned")).predict(texts)
    assert ours == theirs


def test_licence_texts_and_notices_come_along(run: RunRecord, world: Path, tmp_path: Path) -> None:
    made = export(run.checkpoint("tuned"), tmp_path / "out")
    assert made["licence"] == "apache-2.0"
    for name in ("LICENSE", "NOTICE"):
        assert (tmp_path / "out" / name).read_bytes() == (world / "encoder" / name).read_bytes()
    assert "came with its sources: LICENSE, NOTICE" in (tmp_path / "out" / "README.md").read_text()


def test_the_card_of_a_copy_is_that_of_the_run(run: RunRecord, tmp_path: Path) -> None:
    export(run.checkpoint("floor"), tmp_path / "out", license="Ours 1.0", name="my-model")
    data = ModelCard.load(tmp_path / "out" / "README.md").data
    assert (data.license, data.license_name, data.model_name) == ("other", "ours-1.0", "my-model")
    own = ModelCard.load(run.checkpoint("floor") / "README.md").data
    assert data.eval_results == own.eval_results


def test_a_copy_of_a_copy_keeps_what_is_told(run: RunRecord, tmp_path: Path) -> None:
    export(run.checkpoint("tuned"), tmp_path / "one")
    made = export(tmp_path / "one", tmp_path / "two")
    files = [sorted(p.name for p in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert files[0] == files[1]
    for name in files[0]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert made["name"] == "mini-tuned"
    with pytest.raises(UsageError, match="--run"):
        export(tmp_path / "one", tmp_path / "three", license="mit")
    made = export(tmp_path / "one", tmp_path / "three", license="mit", run=Path(run.run))
    assert made["licence"] == "mit"


@pytest.mark.parametrize("fault", ["changed", "missing", "manifest"])
def test_what_is_corrupt_is_refused_and_leaves_nothing(
    run: RunRecord, tmp_path: Path, fault: str
) -> None:
    source = shutil.copytree(run.checkpoint("tuned"), tmp_path / "source")
    if fault == "changed":
        content = bytearray((source / "model.safetensors").read_bytes())
        content[-1] ^= 1
        (source / "model.safetensors").write_bytes(content)
    elif fault == "missing":
        (source / "tokenizer.json").unlink()
    else:
        (source / "gradus.json").unlink()
    with pytest.raises(CheckpointError, match=str(source)):
        export(source, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_a_folder_that_holds_something_is_refused(run: RunRecord, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".hidden").write_text("mine", "utf-8")
    (tmp_path / "file").write_text("mine", "utf-8")
    for name, why in (("out", "isn't empty"), ("file", "is a file"), ("file/a/b", "is a file")):
        with pytest.raises(UsageError, match=why):
            export(run.checkpoint("floor"), tmp_path / name)
    with pytest.raises(UsageError, match="within the checkpoint"):
        export(run.checkpoint("floor"), run.checkpoint("floor") / "inner")
    (tmp_path / "empty").mkdir()
    export(run.checkpoint("floor"), tmp_path / "empty")


def test_the_command(
    run: RunRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(Path(run.run).parent.parent)
    runs = Path(run.run).parent.name
    assert main(["export", f"{run.run}/late", str(tmp_path / "a"), "--json"]) == 0
    said = capsys.readouterr()
    made = json.loads(said.out)
    assert made["closed"] == ["accuracy >= 1.01"]
    assert "is closed, which the card says" in said.err
    named = ["mini/floor.majority", str(tmp_path / "b"), "--runs-dir", runs]
    assert main(["export", *named]) == 0
    assert "mini-floor.majority: " in capsys.readouterr().out
    assert main(["export", *named]) == 2
    assert "isn't empty" in capsys.readouterr().err
    assert main(["export", "mini/flor", str(tmp_path / "c"), "--runs-dir", runs]) == 2
    assert "did you mean 'floor'?" in capsys.readouterr().err
    assert main(["export", "nothing", str(tmp_path / "c")]) == 2
    assert main(["export", "mini/floor", str(tmp_path / "c"), "--public"]) == 2
    assert main(["export", f"{run.run}/floor", str(tmp_path / "c"), "--push-to", "a b"]) == 2
    assert main(["export", f"{run.run}/floor", str(tmp_path / "c"), "--license", " "]) == 2
    assert "is empty: name it, or leave it out" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_the_command_for_cards(
    run: RunRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(run.checkpoint("floor"), tmp_path / "out")
    assert main(["card", str(tmp_path / "out")]) == 2
    assert "--run" in capsys.readouterr().err
    assert main(["card", str(tmp_path / "out"), "--run", run.run]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "README.md")
    (tmp_path / "out" / "README.md").write_text("Mine.\n", "utf-8")
    assert main(["card", str(tmp_path / "out"), "--run", run.run]) == 2
    assert "changed by hand" in capsys.readouterr().err
    assert main(["card", str(tmp_path / "out"), "--run", run.run, "--force"]) == 0
    capsys.readouterr()
    assert main(["card", str(tmp_path / "out"), "--run", run.run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mini-floor"


class _Hub:
    """What would be sent to the Hub; signatures are those of the real client."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def replace(self, name: str, answer: Any) -> Callable[..., Any]:
        import inspect

        signature = inspect.signature(getattr(HfApi, name))

        def call(api: HfApi, *args: Any, **keywords: Any) -> Any:
            bound = signature.bind(api, *args, **keywords)
            self.sent.append((name, {k: v for k, v in bound.arguments.items() if k != "self"}))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def test_pushing_sends_the_folder(
    run: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(run.checkpoint("floor"), tmp_path / "out")
    hub = _Hub()
    made, commit = SimpleNamespace(repo_id="me/news"), SimpleNamespace(commit_url="https://hub/1")
    monkeypatch.setattr(HfApi, "create_repo", hub.replace("create_repo", made))
    monkeypatch.setattr(HfApi, "upload_folder", hub.replace("upload_folder", commit))
    assert push(tmp_path / "out", "news") == "https://hub/1"
    (_, created), (_, uploaded) = hub.sent
    assert (created["repo_id"], created["private"], created["exist_ok"]) == ("news", True, True)
    assert uploaded["repo_id"] == "me/news"
    assert uploaded["folder_path"] == str(tmp_path / "out")
    assert push(tmp_path / "out", "me/news", public=True)
    assert hub.sent[2][1]["private"] is False


def test_pushing_says_what_went_wrong(
    run: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(run.checkpoint("floor"), tmp_path / "out")
    refused = _Hub().replace("create_repo", ConnectionError("no\nnetwork."))
    monkeypatch.setattr(HfApi, "create_repo", refused)
    with pytest.raises(ServiceError, match=r"ConnectionError: no network\. Log in"):
        push(tmp_path / "out", "me/news")
    with pytest.raises(UsageError, match="no repository's name"):
        check_name("me/../news")
    (tmp_path / "out" / "gradus.json").unlink()
    with pytest.raises(CheckpointError):
        push(tmp_path / "out", "me/news")


KILLED = """
import shutil
import sys
from pathlib import Path
from gradus.cards import write_card
from gradus.cards.export import export
print("ready", flush=True)
source, out = Path(sys.argv[1]), Path(sys.argv[2])
for number in range(100000):
    write_card(source, license=f"Licence {number}", force=True)
    export(source, out / f"copy{number % 5}", license=f"Licence {number}")
    (out / f"copy{number % 5}").rename(out / ".gone")
    shutil.rmtree(out / ".gone")
"""


def _killed(source: Path, out: Path, after: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(source), str(out)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.05 * n for n in range(1, 9)])
def test_killed_anywhere_cards_and_copies_are_whole(
    run: RunRecord, tmp_path: Path, after: float
) -> None:
    source = shutil.copytree(run.checkpoint("floor"), tmp_path / "source")
    (source / "README.md").unlink()
    out = tmp_path / "out"
    out.mkdir()
    _killed(source, out, after)
    verify(source)
    if (source / "README.md").exists():
        assert is_own((source / "README.md").read_text("utf-8"))
    for copied in (p for p in out.iterdir() if not p.name.startswith(".")):
        verify(copied)
        assert is_own((copied / "README.md").read_text("utf-8"))
    export(source, out / "whole", license="mit")
    verify(out / "whole")
