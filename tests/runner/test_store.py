"""The run folder: one process at a time, every file whole or as it was."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradus.errors import GradusError, RunBusy, StorageError
from gradus.records import RunRecord, State
from gradus.runner.store import RunFolder, read_json, storage, write_json

HOLD = """
import sys
from pathlib import Path
from gradus.runner.store import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        held = f"process {holder.pid} is working"
        with pytest.raises(RunBusy, match=held) as caught, folder.locked():
            pass
        assert "--runs-dir" in str(caught.value)
        holder.kill()
    with folder.locked():
        assert (folder.path / "lock").read_text() == str(os.getpid())
    with folder.locked():
        pass


def test_json_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "value.json"
    write_json(path, {"a": [1, None, "é"]})
    assert read_json(path) == {"a": [1, None, "é"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(TypeError):
        write_json(path, {"a": {1, 2}})  # type: ignore[dict-item]  # what is refused here
    assert read_json(path) == {"a": [1, None, "é"]}


def test_broken_json_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{\n"run": \n', encoding="utf-8")
    with pytest.raises(GradusError, match=r"run\.json, line 3: broken JSON"):
        RunFolder(tmp_path).load()


def test_a_record_of_another_version_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", {"run": "x", "plan": "y", "state": "done", "steps": []})
    assert RunFolder(tmp_path).load() is not None
    write_json(tmp_path / "run.json", {"run": "x", "plan": "y", "state": "lost", "steps": []})
    with pytest.raises(GradusError, match="--fresh"):
        RunFolder(tmp_path).load()
    write_json(tmp_path / "run.json", {"run": "x", "colour": "red", "state": "done", "steps": []})
    with pytest.raises(GradusError, match="--fresh"):
        RunFolder(tmp_path).load()


def test_folders_are_set_aside_under_names_of_their_own(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    kept = []
    for number in range(3):
        folder.save(RunRecord(run=str(number), plan="p", state=State.DONE))
        kept.append(folder.set_aside())
    assert len(set(kept)) == 3
    assert not folder.path.exists()
    assert [RunFolder(path).load().run for path in kept] == ["0", "1", "2"]  # type: ignore[union-attr]  # saved above


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_clear_error(tmp_path: Path, number: int) -> None:
    said = r"no space left .* MB free.*make room"
    with pytest.raises(StorageError, match=said), storage(tmp_path / "absent"):
        raise OSError(number, os.strerror(number))


def test_other_failures_keep_their_own_error(tmp_path: Path) -> None:
    said = r"can't be written \(Permission denied\)"
    with pytest.raises(StorageError, match=said), storage(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied", "x")
    with pytest.raises(FileNotFoundError), storage(tmp_path):
        (tmp_path / "none").read_bytes()
