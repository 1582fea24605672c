from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gradus.errors import DataError, StorageError
from gradus.scoring.journal import Journal, key_of


def test_what_was_added_is_known_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    with Journal(path) as book:
        book.add("a", [-1.25, 2, True])
        book.add("b", [0.1 + 0.2])
    assert Journal(path, ["a", "c"]).known == {"a": [-1.25, 2, True]}
    assert Journal(path).known["b"] == [0.1 + 0.2]  # no digit is lost


@pytest.mark.parametrize("torn", ['{"key":"b","answ', '{"key":"b","answer":[1]}', "\x00\x00"])
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "answers.jsonl"
    with Journal(path) as book:
        book.add("a", [1])
    whole = path.read_bytes()
    path.write_bytes(whole + torn.encode())
    with Journal(path) as book:
        assert book.known == {"a": [1]}
        book.add("c", [3])
    assert path.read_bytes() == whole + b'{"key":"c","answer":[3]}\n'


@pytest.mark.parametrize("line", ["{", '"text"', '{"key": "a"}'])
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(f'{{"key":"a","answer":1}}\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"answers.jsonl, line 2: not a line of a journal"):
        Journal(path)


def test_a_journal_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="can't be opened"):
        Journal(tmp_path)


def test_keys_tell_method_contract_and_item_apart() -> None:
    keys = {
        key_of("score", {"dtype": "float32"}, ["a", "b"]),
        key_of("choose", {"dtype": "float32"}, ["a", "b"]),
        key_of("score", {"dtype": "bfloat16"}, ["a", "b"]),
        key_of("score", {"dtype": "float32"}, ["ab", ""]),
    }
    assert len(keys) == 4


def test_a_kill_loses_nothing_that_was_added(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from gradus.scoring.journal import Journal\n"
        "book = Journal(Path(sys.argv[1]))\n"
        "for n in range(50): book.add(str(n), n)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(path.read_text().splitlines()) == 50
    assert json.loads(path.read_text().splitlines()[-1]) == {"key": "49", "answer": 49}
