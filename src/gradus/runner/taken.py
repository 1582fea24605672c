"""What one pass of measuring found, as it is kept on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradus.records import Measurement
from gradus.runner.store import read_json, write_json


@dataclass(frozen=True, slots=True)
class Taken:
    """What one pass of measuring found, as it is kept on disk."""

    measurements: tuple[Measurement, ...]
    slices: tuple[Mapping[str, Any], ...] = ()
    seeds: tuple[Mapping[str, Any], ...] = ()
    benchmarks: tuple[Mapping[str, Any], ...] = ()
    seconds: float = 0.0
    written: Mapping[str, Any] = field(default_factory=dict)

    def joined(self, other: Taken) -> Taken:
        """Both, one after the other."""
        return Taken(
            self.measurements + other.measurements,
            self.slices + other.slices,
            self.seeds + other.seeds,
            self.benchmarks + other.benchmarks,
            self.seconds + other.seconds,
            {**self.written, **other.written},
        )


def once(done: Path, work: Callable[[], Taken]) -> Taken:
    """What is in the file, or what `work` gives, kept there."""
    if not done.exists():
        start = time.perf_counter()
        found = work()
        kept = {
            "seconds": time.perf_counter() - start,
            "measurements": [m.to_json() for m in found.measurements],
            "slices": [dict(row) for row in found.slices],
            "seeds": [dict(row) for row in found.seeds],
            "benchmarks": [dict(row) for row in found.benchmarks],
            "written": dict(found.written),
        }
        write_json(done, kept)
    raw = read_json(done)
    return Taken(
        tuple(Measurement.from_json(m) for m in raw["measurements"]),
        tuple(raw.get("slices", ())),
        tuple(raw.get("seeds", ())),
        tuple(raw.get("benchmarks", ())),
        raw["seconds"],
        raw.get("written", {}),
    )
