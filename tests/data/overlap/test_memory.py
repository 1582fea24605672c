"""Memory doesn't grow with the corpus."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import sys
from pathlib import Path
from gradus.data.overlap.bloom import Bloom
from gradus.data.overlap.corpus import Corpus
from gradus.data.overlap.index import Index
from gradus.data.overlap.look import look
from gradus.hardware import peak_memory_mb
index = Index(["the river rose over both banks before the night was out " * 3] * 100)
look(Corpus.of([Path(sys.argv[1])]), [index], Bloom(1_000_000))
print(peak_memory_mb())
"""


def peak(file: Path) -> float:
    """Greatest resident memory of a process that reads the corpus, in MB."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one line", "jsonl"])
def test_ten_times_the_corpus_takes_no_more_memory(kind: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    peaks = []
    for megabytes in (3, 30):
        file = tmp_path / ("c.txt" if kind == "one line" else "c.jsonl")
        with file.open("w", encoding="utf-8") as stream:
            while stream.tell() < megabytes * 1_000_000:
                # Most words stand there once, so that nothing is saved by knowing them.
                text = " ".join(f"{value:x}" for value in draw.integers(0, 2**40, 500))
                stream.write(
                    f"{text} " if kind == "one line" else json.dumps({"text": text}) + "\n"
                )
        peaks.append(peak(file))
    assert peaks[1] - peaks[0] < 50
