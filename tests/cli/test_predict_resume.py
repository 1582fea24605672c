"""Killed, interrupted or out of room: the same command goes on to the same bytes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradus.predict.linear import make_vectorizer, save_linear

SLOWLY = """
import sys, time
from gradus.cli.main import main
from gradus.predict import resume, windows
resume.SECONDS_BETWEEN_MARKS = 0.0
answer = windows.lines
def slowly(*arguments, **options):
    time.sleep(0.03)
    return answer(*arguments, **options)
windows.lines = slowly  # where one process does it all; workers have modules of their own
keep = resume.Output.keep
def marked(self):
    time.sleep(0.02)
    keep(self)
resume.Output.keep = marked
sys.exit(main(sys.argv[1:]))
"""
LINES = 3000


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np

    vectorizer = make_vectorizer(ngrams=(1, 1)).fit(["goal", "vote"])
    folder = tmp_path_factory.mktemp("resume") / "checkpoint"
    save_linear(
        folder,
        labels=("sport", "politics"),
        vectorizer=vectorizer,
        coef=np.array([[2.0, 0.3], [0.1, 2.0]]),
        intercept=np.zeros(2),
    )
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Quoted texts over several lines, and some that can't be read."""
    made = random.Random(0)
    rows = ["id,text"]
    for n in range(LINES):
        words = " ".join(made.choices(["goal", "vote", "and", "late"], k=made.randint(1, 9)))
        rows.append({7: f'{n},""', 8: f"{n},a,b"}.get(n % 100, f'{n},"{words}\n{n}"'))
    file = tmp_path / "texts.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


@pytest.fixture
def whole(checkpoint: Path, source: Path, tmp_path: Path) -> bytes:
    """What comes out of a command that nobody interrupts."""
    target = tmp_path / "whole.jsonl"
    assert predict(checkpoint, source, target).returncode == 1
    return target.read_bytes()


def command(checkpoint: Path, source: Path, target: Path, *more: object) -> list[str]:
    paths = ("predict", checkpoint, "--input", source, "--output", target, "--batch-texts", 50)
    return [sys.executable, "-c", SLOWLY, *map(str, (*paths, *more))]


def predict(checkpoint: Path, source: Path, target: Path, *more: object, **options):
    return subprocess.run(
        command(checkpoint, source, target, *more),
        capture_output=True,
        timeout=300,
        check=False,
        **options,
    )


def stopped(arguments: list[str], journal: Path, marks: int, number: int) -> subprocess.Popen:
    """Send the signal once the journal has so many marks more than it had."""
    before = journal.read_bytes().count(b"\n") if journal.exists() else 1
    process = subprocess.Popen(
        arguments,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        if journal.exists() and journal.read_bytes().count(b"\n") >= before + marks:
            break
        time.sleep(0.002)
    process.send_signal(number)
    process.wait(60)
    return process


def test_killed_it_goes_on_to_the_same_bytes(
    checkpoint: Path, source: Path, whole: bytes, tmp_path: Path
) -> None:
    target, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    arguments = command(checkpoint, source, target)
    assert stopped(arguments, journal, 3, signal.SIGKILL).returncode == -signal.SIGKILL
    assert not target.exists()
    refused = predict(checkpoint, source, target, "--top-k", 2)
    assert refused.returncode == 2
    assert b"begun with another --top-k: 1, now 2; use that again, or begin anew" in refused.stderr
    done = predict(checkpoint, source, target)
    assert done.returncode == 1  # the bad lines of both are counted
    assert b"going on after " in done.stderr
    assert b"60 of 3,000 records can't be classified" in done.stderr
    assert target.read_bytes() == whole
    assert not journal.exists()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments(
    checkpoint: Path, source: Path, whole: bytes, tmp_path: Path, seed: int, workers: int
) -> None:
    target, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    made, kills = random.Random(seed), 0
    arguments = command(checkpoint, source, target, "--workers", workers)
    while not target.exists():
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE)
        started = journal.read_bytes() if journal.exists() else b""
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until:
            if (journal.read_bytes() if journal.exists() else b"") != started:
                break
            time.sleep(0.001)
        time.sleep(made.uniform(0, 0.7))
        process.kill()
        process.wait(60)
        process.stderr.close()
        kills += 1
    assert kills > 1
    assert target.read_bytes() == whole


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_what_can_be_gone_on_with(
    checkpoint: Path, source: Path, whole: bytes, tmp_path: Path, number: int
) -> None:
    target = tmp_path / "out.jsonl"
    arguments = command(checkpoint, source, target)
    process = stopped(arguments, tmp_path / "out.jsonl.journal", 2, number)
    assert process.returncode == 130
    said = process.stderr.read()
    assert b"run the same command again to go on" in said
    assert b"Traceback" not in said
    assert predict(checkpoint, source, target).returncode == 1
    assert target.read_bytes() == whole


@pytest.mark.slow
def test_a_full_disk_loses_nothing_that_was_done(
    checkpoint: Path, source: Path, whole: bytes, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    limit = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(whole) // 2},) * 2)\n"
    )
    arguments = command(checkpoint, source, target)
    arguments[2] = limit + arguments[2]
    full = subprocess.run(arguments, capture_output=True, timeout=300, check=False)
    assert full.returncode == 1
    assert b"can't be written (File too large); " in full.stderr
    assert b"make room and run the same command again" in full.stderr
    assert (tmp_path / "out.jsonl.partial").stat().st_size <= len(whole) // 2
    done = predict(checkpoint, source, target)
    assert b"going on after" in done.stderr
    assert target.read_bytes() == whole


@pytest.mark.slow
def test_another_input_or_process_is_refused_and_restart_begins_anew(
    checkpoint: Path, source: Path, whole: bytes, tmp_path: Path
) -> None:
    target, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    arguments = command(checkpoint, source, target)
    stopped(arguments, journal, 2, signal.SIGKILL)
    content = source.read_bytes()
    source.write_bytes(content.replace(b"goal", b"Goal", 1))
    changed = predict(checkpoint, source, target)
    assert changed.returncode == 1
    assert b"others than when they were predicted for" in changed.stderr
    source.write_bytes(content + b"1,more\n")
    longer = predict(checkpoint, source, target)
    assert longer.returncode == 1
    assert b"another input size" in longer.stderr
    piped = predict(checkpoint, Path("-"), target, input=b"goal\n")
    assert piped.returncode == 2
    assert b"give that file as --input" in piped.stderr
    source.write_bytes(content)
    anew = predict(checkpoint, source, target, "--restart")
    assert anew.returncode == 1
    assert b"going on" not in anew.stderr
    assert target.read_bytes() == whole


@pytest.mark.slow
def test_another_checkpoint_is_refused(checkpoint: Path, source: Path, tmp_path: Path) -> None:
    from gradus.predict.linear import save_majority

    target = tmp_path / "out.jsonl"
    stopped(command(checkpoint, source, target), tmp_path / "out.jsonl.journal", 1, signal.SIGKILL)
    other = tmp_path / "other"
    save_majority(other, labels=["a", "b"], counts=[1, 2])
    refused = predict(other, source, target)
    assert refused.returncode == 1
    assert b"begun with another checkpoint digest" in refused.stderr


@pytest.mark.slow
def test_records_and_their_order_are_those_of_one_worker(
    checkpoint: Path, source: Path, whole: bytes, tmp_path: Path
) -> None:
    target = tmp_path / "two.jsonl"
    assert predict(checkpoint, source, target, "--workers", 2).returncode == 1
    assert target.read_bytes() == whole
    assert len({json.loads(line)["line"] for line in whole.splitlines()}) == LINES


@pytest.mark.slow
def test_a_million_lines_killed_midway(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "texts.txt"
    made = random.Random(0)
    texts = [" ".join(made.choices(["goal", "vote", "late"], k=1 + n % 7)) for n in range(997)]
    with source.open("w") as out:
        out.writelines(f"{texts[n % 997]} {n}\n" for n in range(1_000_000))
    whole, target = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    partial = tmp_path / "out.jsonl.partial"

    def command(to: Path) -> list[str]:
        paths = ("predict", checkpoint, "--input", source, "--output", to)
        return [sys.executable, "-m", "gradus.cli.main", *map(str, paths)]

    subprocess.run(command(whole), check=True, timeout=900)
    process = subprocess.Popen(command(target))
    until = time.monotonic() + 900
    while not partial.exists() or partial.stat().st_size < whole.stat().st_size // 2:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    process.wait(60)
    again = subprocess.run(
        command(target), check=True, timeout=900, stderr=subprocess.PIPE, text=True
    )
    after = int(again.stderr.split("going on after ")[1].split()[0].replace(",", ""))
    assert 400_000 < after < 600_000
    with whole.open("rb") as one, target.open("rb") as other:
        count = 0
        for count, lines in enumerate(zip(one, other, strict=True), start=1):
            assert lines[0] == lines[1]
            assert lines[0].startswith(b'{"line": %d,' % count)
    assert count == 1_000_000
