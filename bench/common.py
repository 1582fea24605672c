"""What every bench script shares: the machine's description and the common JSON form."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(kw_only=True)
class Result:
    """One comparison. `ratio` is how many times ours is better; `target` is the ratio aimed at."""

    name: str
    peer: str
    peer_version: str = ""
    peer_flags: str = ""
    dtype: str = ""
    threads: int = 0
    ours: float | None = None
    theirs: float | None = None
    unit: str = ""
    ratio: float | None = None
    target: float | None = None
    max_difference: float | None = None


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all scripts take."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", action="store_true", help="print nothing but the JSON object")
    made.add_argument("--quick", action="store_true", help="a smaller version, under 5 minutes")
    return made


def shared_data() -> Path:
    """The folder of real data beside the project."""
    folder = Path(os.environ.get("GRADUS_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        sys.exit(f"real data is not at {folder}; set GRADUS_SHARED_DATA")
    return folder


def shipped_plan(name: str) -> dict[str, Any]:
    """The mapping in plans/NAME.yaml, read as Gradus reads it (`on` is a key, no truth value)."""
    from gradus.plan import tree
    from gradus.plan.faults import Faults

    found: dict[str, Any] = tree.read(
        (ROOT / "plans" / f"{name}.yaml").read_text(encoding="utf-8"), Faults()
    ).value
    return found


def say(text: str) -> None:
    """Progress, on standard error."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def finish(results: Sequence[Result], *, as_json: bool, **extra: Any) -> None:
    """End with the one JSON object; a table before it for people."""
    from gradus import hardware

    if not as_json:
        for r in results:
            ratio = "-" if r.ratio is None else f"{r.ratio:.2f}x"
            target = "" if r.target is None else f" (target {r.target:g}x)"
            print(f"{r.name}: ours {r.ours} {r.unit}, {r.peer} {r.theirs}: {ratio}{target}")
    machine = hardware.describe()
    print(json.dumps({"machine": machine, "results": [asdict(r) for r in results], **extra}))


def ratio(ours: float | None, theirs: float | None, *, lower_is_better: bool) -> float | None:
    """How many times ours is better."""
    if not ours or not theirs:
        return None
    return theirs / ours if lower_is_better else ours / theirs


def median_of(work: Callable[[], float], repeats: int) -> float:
    """Median of `repeats` values that `work` gives."""
    return statistics.median(work() for _ in range(repeats))
