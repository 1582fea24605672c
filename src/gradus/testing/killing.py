"""Killing runs, going on with them, and comparing what came out with a run never interrupted."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradus.benchmarks.cost import CostBenchmark
from gradus.checkpoints import read_manifest
from gradus.errors import EXIT_CLOSED, EXIT_DONE
from gradus.records import RunRecord


@dataclass(frozen=True, slots=True)
class Essence:
    """What must not depend on interruptions.

    `digests` maps a step's id (or ``id.extra``) to its checkpoint's digest, which covers the
    SHA-256 of every file; `values` holds every measurement but cost: (step, checkpoint, data,
    split, metric) to value and both ends of its interval.
    """

    digests: Mapping[str, str]
    values: Mapping[tuple[str, ...], tuple[float | None, ...]]


def essence(run: Path) -> Essence:
    """The essence of a finished run, read from its folder."""
    record = RunRecord.from_json(json.loads((run / "run.json").read_text(encoding="utf-8")))
    places = {s.id: s.checkpoint for s in record.steps if s.checkpoint is not None}
    for step in record.steps:
        places |= {f"{step.id}.{name}": path for name, path in step.checkpoints.items()}
    return Essence(
        digests={name: read_manifest(run / path).digest for name, path in places.items()},
        values={
            (step.id, m.checkpoint, m.data, m.split, m.metric): (m.value, m.ci_low, m.ci_high)
            for step in record.steps
            for m in step.measurements
            if m.metric not in CostBenchmark.metrics
        },
    )


def greatest_difference(one: Essence, two: Essence) -> float:
    """The greatest absolute difference of two runs' numbers; infinite where one lacks a number."""
    if one.values.keys() != two.values.keys():
        return math.inf
    greatest = 0.0
    for key, numbers in one.values.items():
        for left, right in zip(numbers, two.values[key], strict=True):
            if (left is None) != (right is None):
                return math.inf
            if left is not None and right is not None:
                greatest = max(greatest, abs(left - right))
    return greatest


def run_to_end(command: Sequence[str], **options: Any) -> float:
    """Seconds that `command` takes; `options` as for `subprocess.run`.

    A gate that closes (exit code 3) is an outcome like any other.

    Raises:
        RuntimeError: it failed; the message holds the end of what it said.
    """
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode not in (EXIT_DONE, EXIT_CLOSED):
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-2000:]}")
    return time.monotonic() - began


def kill_after(command: Sequence[str], seconds: float, **options: Any) -> bool:
    """Start `command` and kill it (SIGKILL) after `seconds`; False when it had ended before."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False
