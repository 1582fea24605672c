from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gradus.predict.linear import make_vectorizer, save_linear

LABELS = ("sport", "politics")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labels, told apart by one word each."""
    import numpy as np

    vectorizer = make_vectorizer(ngrams=(1, 1)).fit(["goal", "vote"])
    folder = tmp_path_factory.mktemp("predict") / "checkpoint"
    save_linear(
        folder,
        labels=LABELS,
        vectorizer=vectorizer,
        coef=np.array([[2.0, 0.0], [0.0, 2.0]]),
        intercept=np.zeros(2),
    )
    return folder


def gradus(*arguments: object, **options) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "gradus.cli.main", "predict", *map(str, arguments)],
        capture_output=True,
        timeout=300,
        check=False,
        **options,
    )


def start(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gradus.cli.main", "predict", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Where the tests run in the background, a shell has told them to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def records(output: bytes) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def test_five_thousand_lines_with_bad_ones_among_them(checkpoint: Path, tmp_path: Path) -> None:
    bad = {
        17: b'{"text": "cut',
        1024: b'{"body": "no text"}',
        1025: b'{"text": ""}',
        3000: b'{"text": "caf\xe9"}',
        5000: b"null",
    }
    source = tmp_path / "texts.jsonl"
    words = {i: ("goal" if i % 3 else "vote") for i in range(1, 5001)}
    source.write_bytes(
        b"\n".join(
            bad.get(i, json.dumps({"text": f"a {words[i]} {i}", "id": f"n{i}"}).encode())
            for i in range(1, 5001)
        )
    )
    target = tmp_path / "labels.jsonl"
    done = gradus(checkpoint, "--input", source, "--output", target, "--top-k", 2)
    assert done.returncode == 1
    assert b"5 of 5,000 records can't be classified" in done.stderr
    assert done.stdout == b""
    found = records(target.read_bytes())
    assert [r["line"] for r in found] == list(range(1, 5001))
    assert {r["line"] for r in found if "error" in r} == set(bad)
    for record in found:
        if "error" not in record:
            expected = "sport" if record["line"] % 3 else "politics"
            assert (record["label"], record["id"]) == (expected, f"n{record['line']}")
            assert sum(t["probability"] for t in record["top"]) == pytest.approx(1.0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["labels.jsonl", "texts.jsonl"]


def test_standard_input_and_output(checkpoint: Path) -> None:
    done = gradus(checkpoint, "--threshold", "0.6", "--echo", input="a goal\nna\u00efve\n".encode())
    assert (done.returncode, done.stderr) == (0, b"")
    first, second = records(done.stdout)
    assert (first["text"], first["label"], first["abstained"]) == ("a goal", "sport", False)
    assert (second["text"], second["label"], second["abstained"]) == ("naïve", None, True)


def test_a_file_as_standard_input_is_read_from_where_it_stands(
    checkpoint: Path, tmp_path: Path
) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("a title\ngoal\n")
    with source.open("rb", buffering=0) as stream:
        stream.seek(8)
        done = gradus(checkpoint, "--echo", stdin=stream)
    assert [r["text"] for r in records(done.stdout)] == ["goal"]


def test_what_stands_beside_the_output_is_no_input(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "out.jsonl.partial"
    source.write_text("goal\n")
    done = gradus(checkpoint, "--input", source, "--output", tmp_path / "out.jsonl")
    assert (done.returncode, b"written over" in done.stderr) == (2, True)
    assert source.read_text() == "goal\n"


def test_a_line_is_answered_before_the_next_is_written(checkpoint: Path) -> None:
    process = start(checkpoint)
    killer = threading.Timer(60, process.kill)
    killer.start()
    for line, word in enumerate(["goal", "vote", "goal"], start=1):
        process.stdin.write(word.encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["line"] == line
    process.stdin.close()
    assert process.wait(300) == 0
    killer.cancel()


def test_interrupted_keeps_what_was_done(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "labels.jsonl"
    partial = tmp_path / "labels.jsonl.partial"
    process = start(checkpoint, "--output", target)
    process.stdin.write(b"goal\n")
    process.stdin.flush()
    until = time.monotonic() + 300
    while not (partial.exists() and partial.stat().st_size) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(300) == 130
    assert str(partial).encode() in process.stderr.read()
    assert records(partial.read_bytes())[0]["label"] == "sport"
    assert not target.exists()
    process.stdin.close()


def test_reader_that_leaves_is_no_error_message(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("goal\n" * 20_000)
    process = start(checkpoint, "--input", source)
    process.stdout.readline()
    process.stdout.close()
    process.wait(300)
    assert process.stderr.read() == b""


def test_named_pipe_is_written_to_and_stays_one(checkpoint: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = start(checkpoint, "--output", pipe)
    process.stdin.write(b"goal\n")
    process.stdin.close()
    with pipe.open("rb") as stream:
        assert records(stream.read())[0]["label"] == "sport"
    assert process.wait(300) == 0
    assert pipe.is_fifo()
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_output_behind_a_link_keeps_the_link(checkpoint: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    real.write_text("old")
    link.symlink_to(real)
    assert gradus(checkpoint, "--output", link, input=b"goal\n").returncode == 0
    assert link.is_symlink()
    assert records(real.read_bytes())[0]["label"] == "sport"


def test_full_disk_is_named(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("goal\n" * 20_000)
    limit = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from gradus.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    )
    target = tmp_path / "labels.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", limit, "predict", checkpoint, "--input", source, "--output", target],
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert b"labels.jsonl: can't be written (File too large)" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not target.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--input", "nowhere.csv"], 2, b"nowhere.csv: can't be read"),
        (["--input", "{file}", "--output", "{file}"], 2, b"written over"),
        (["--input", "{file}", "--text-field", "body"], 2, b"the header has text"),
        (["--output", "no/such/folder/x"], 1, b"can't be written"),
        (["--output", "."], 1, b"--output .: can't be written (Is a directory)"),
        (["--threshold", "1.5"], 2, b"threshold"),
        (["--format", "xml"], 2, b"xml"),
        (["--text-field", "body"], 2, b"--text-field body has no meaning"),
    ],
)
def test_bad_usage(checkpoint: Path, tmp_path: Path, arguments, code: int, says: bytes) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text\ngoal\n")
    filled = [a.format(file=file) for a in arguments]
    done = gradus(checkpoint, *filled, input=b"goal\n", cwd=tmp_path)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert b"Traceback" not in done.stderr
    assert file.read_text() == "text\ngoal\n"
    assert [p.name for p in tmp_path.iterdir()] == ["texts.csv"]


def test_flipped_byte_stops_it_unless_told(checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    refused = gradus(copy, input=b"goal\n")
    assert refused.returncode == 1
    assert b"model.safetensors" in refused.stderr
    assert gradus(copy, "--no-verify", input=b"goal\n").returncode == 0


PEAK = """
import resource, sys
from gradus.cli.main import main
from gradus.hardware import peak_memory_mb
code = main(sys.argv[1:])
workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(max(peak_memory_mb(), workers), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("from_pipe", "workers"), [(False, 1), (True, 1), (False, 2)])
def test_memory_does_not_grow_with_the_input(
    checkpoint: Path, tmp_path: Path, from_pipe: bool, workers: int
) -> None:
    def peak(lines: int) -> float:
        source = tmp_path / f"{lines}.txt"
        with source.open("w") as out:
            out.writelines(f"goal or vote {i} {'filler ' * 40}\n" for i in range(lines))
        target = tmp_path / "out.jsonl"
        given = ["-"] if from_pipe else [str(source)]
        feed = subprocess.Popen(["cat", str(source)], stdout=subprocess.PIPE)
        done = subprocess.run(
            [
                *(sys.executable, "-c", PEAK, "predict", str(checkpoint)),
                *("--input", *given, "--output", str(target), "--workers", str(workers)),
            ],
            stdin=feed.stdout,
            stderr=subprocess.PIPE,
            timeout=500,
            check=True,
        )
        feed.stdout.close()
        feed.wait(300)
        with target.open("rb") as found:
            assert sum(1 for _ in found) == lines
        return float(done.stderr.splitlines()[-1])

    small, large = peak(5_000), peak(200_000)
    # The larger input has 57 MB more; what an allocator keeps back is allowed for.
    assert large - small < 15
