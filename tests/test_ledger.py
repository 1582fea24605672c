"""The ledger counts readings: once each, over processes, and loses nothing in silence."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gradus import ledger
from gradus.errors import StorageError

A, B = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "gradus" / "ledger.jsonl"


def look(
    digest: str = A, reading: str = "r1", run: str = "run", models: tuple[str, ...] = ("m",)
) -> int:
    return ledger.read(digest, data="news", run=run, reading=reading, models=models)


def test_readings_are_counted_for_each_digest() -> None:
    assert ledger.count(A) == 0
    assert ledger.entries(A) == []
    assert look(A, "r1", models=("floor", "tuned")) == 1
    assert look(A, "r2") == 2
    assert look(B, "r3") == 1
    assert (ledger.count(A), ledger.count(B)) == (2, 1)
    first, second = ledger.entries(A)
    assert (first.reading, first.models, first.data, first.run) == (
        "r1",
        ("floor", "tuned"),
        "news",
        "run",
    )
    assert first.time <= second.time


def test_a_resumed_evaluation_counts_once(state: Path) -> None:
    assert look(A, "r1") == 1
    before = state.read_bytes()
    assert look(A, "r1", run="resumed") == 1
    assert state.read_bytes() == before
    assert look(B, "r1") == 1  # the same id on another split is another reading


def test_the_ledger_is_only_appended_to(state: Path) -> None:
    look(A, "r1")
    before = state.read_bytes()
    look(A, "näxt\nline")
    after = state.read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 2
    assert ledger.entries(A)[1].reading == "näxt\nline"


def test_the_default_is_the_users_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ledger.ledger_path() == tmp_path / ".local" / "state" / "gradus" / "ledger.jsonl"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"not json\n", "Expecting value"),
        (b"\n", "Expecting value"),
        (b"[]\n", "not a JSON object"),
        (b'{"digest": "a"}\n', "'models' is not a list"),
        (b'{"digest": "a", "models": []}\n', "missing 4 required keyword-only arguments"),
        (b"\xff\n", "can't decode byte 0xff"),
        (b'{"digest": "a', "the line is cut short"),
    ],
)
def test_a_damaged_line_is_named(state: Path, line: bytes, why: str) -> None:
    look(A, "r1")
    with state.open("ab") as stream:
        stream.write(line)
    before = state.read_bytes()
    for call in (lambda: ledger.count(B), lambda: ledger.entries(A), lambda: look(B)):
        with pytest.raises(StorageError) as caught:
            call()
        assert f"{state}, line 2: the ledger of test readings is damaged (" in str(caught.value)
        assert why in str(caught.value)
    assert state.read_bytes() == before


def test_a_field_of_the_wrong_type_is_damage(state: Path) -> None:
    look(A, "r1")
    entry = json.loads(state.read_text())
    state.write_text(json.dumps({**entry, "reading": 3}) + "\n")
    with pytest.raises(StorageError, match=r"line 1.*a field is not a string"):
        ledger.count(A)


def test_a_state_folder_that_cant_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="or set XDG_STATE_HOME to a folder that is"):
        look()
    with pytest.raises(StorageError, match="can't be used"):
        ledger.count(A)


def test_a_full_disk_leaves_no_half_line(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look(A, "r1")
    before = state.read_bytes()
    whole = os.write
    with monkeypatch.context() as patch:
        # A disk that takes ten more bytes: the kernel's answer is a short write.
        patch.setattr(os, "write", lambda fd, content: whole(fd, content[:10]))
        with pytest.raises(StorageError, match="No space left on device"):
            look(A, "r2")
    assert state.read_bytes() == before
    assert look(A, "r2") == 2


def test_readers_wait_for_one_another(state: Path) -> None:
    look(A, "r1")
    done: list[int] = []
    other = threading.Thread(target=lambda: done.append(look(A, "r2")))
    with state.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        other.start()
        other.join(timeout=0.3)
        assert done == []
    other.join(timeout=10)
    assert done == [2]


def test_processes_at_once_lose_nothing(state: Path) -> None:
    code = (
        "import sys; from gradus import ledger\n"
        "for i in range(25):\n"
        "    ledger.read('a'*64, data='d', run='r', reading=f'{sys.argv[1]}-{i}', models=['m'])\n"
        "    ledger.read('a'*64, data='d', run='r', reading=f'shared-{i}', models=['m'])\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
    assert [process.wait(timeout=300) for process in running] == [0] * 4
    assert ledger.count(A) == 4 * 25 + 25
    assert len(state.read_text().splitlines()) == 125
