"""Benchmarks on files while a language model trains: progress, kept in the curves for nobody to
judge by."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gradus import registry
from gradus.benchmarks import named
from gradus.records import CheckpointRef


@contextmanager
def looked_at(full: Any) -> Iterator[Any]:
    """The model for the length of the block, built anew around the very same weights.

    Whoever asks a model sets its attention as it needs it; the one that trains keeps its own.
    """
    shared = {id(tensor): tensor for tensor in (*full.parameters(), *full.buffers())}
    seen = copy.deepcopy(full, shared).eval()
    seen.set_attn_implementation("sdpa" if seen._supports_sdpa else "eager")
    yield seen


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark with its documents read."""

    name: str
    kind: Any
    config: Any
    documents: Sequence[Any]


def read_benchmarks(entries: Sequence[Any], folder: Path) -> list[Benchmark]:
    """The benchmarks that a plan's entries name, their files relative to `folder`.

    Raises:
        SourceError, DataError: a file isn't there or not in its format.
    """
    found = []
    for entry in entries:
        asked = named.read(entry)
        kind = asked.load()
        config = kind.Config.model_validate(asked.options)
        path = named.place(config, folder)
        if path is not None:
            config = config.model_copy(update={"path": str(path)})
        found.append(Benchmark(asked.name, kind, config, kind.read(config, path or Path())))
    return found


class ZeroShot:
    """Benchmarks on files through the scoring engine, in float32."""

    def __init__(self, full: Any, tokenizer: Any, benchmarks: Sequence[Benchmark]) -> None:
        self._full, self._tokenizer, self._benchmarks = full, tokenizer, benchmarks

    def __call__(self) -> list[dict[str, float]]:
        """One row: ``zero_NAME.METRIC`` for the metrics that each benchmark compares."""
        from gradus.scoring.engine import Scorer
        from gradus.scoring.records import Source
        from gradus.scoring.text import TextScorer

        row: dict[str, float] = {}
        with looked_at(self._full) as full:
            ref = CheckpointRef(name="training", kind="transformer", path="")
            source = Source(ref, "float32", torch.get_num_threads())
            engine = TextScorer(Scorer(full), self._tokenizer, source)
            for one in self._benchmarks:
                items = one.kind.ask(one.config, one.documents, engine)
                for name in one.kind.compared:
                    value = float(registry.load("metrics", name)()(items))
                    if math.isfinite(value):
                        row[f"zero_{one.name}.{registry.plain(name)}"] = value
        return [row] if row else []
