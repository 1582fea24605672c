"""Kill a run at random moments, go on with it, and compare it with a run never interrupted.

Each of 20 runs of plans/banking77.yaml is killed (SIGKILL) once, at a moment drawn evenly from its
own twentieth of the run's length, and then run again with the same command. It counts as identical
when every checkpoint has the same digest (the SHA-256 of its files) and every measurement, cost
aside, is the same number to the last bit.

With --quick: 4 runs on 1,500 questions, with two short stages below a solved head.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

from common import ROOT, Result, finish, parser, say, shared_data

SEED = 2718
MOMENTS, QUICK_MOMENTS = 20, 4
QUICK = (
    "data.banking77.limit=1500",
    "data.banking77.split.stratify=true",
    "measure.cost=false",
    "measure.bootstrap=200",
    "steps.floor.ngrams=[1, 1]",
    "steps.tuned.max_tokens=48",
    "steps.tuned.stages=[{train: head}, {train: top-2, epochs: 1}, {train: all, epochs: 1}]",
    "steps.tuned.gates=[]",
    "steps.small.gates=[]",
    "steps.final.gates=[]",
)


def main() -> None:
    from gradus import hardware
    from gradus.testing.killing import essence, greatest_difference, kill_after, run_to_end

    arguments = parser(__doc__).parse_args()
    moments = QUICK_MOMENTS if arguments.quick else MOMENTS
    base = [sys.executable, "-m", "gradus.cli.main", "run", str(ROOT / "plans" / "banking77.yaml")]
    # The command works on the plan as it ships; a gate that closes would end a run early.
    base += ["--set", f"vars.data={shared_data()}"]
    base += [part for text in (QUICK if arguments.quick else ()) for part in ("--set", text)]
    draw = random.Random(SEED)
    identical = killed = 0
    difference = 0.0
    with tempfile.TemporaryDirectory(prefix="gradus-resume-") as name:
        folder = Path(name)
        options = {"cwd": folder, "env": {**os.environ, "XDG_STATE_HOME": str(folder / "state")}}

        def command(runs: str) -> list[str]:
            return [*base, "--runs-dir", str(folder / runs), "--quiet"]

        seconds = run_to_end(command("whole"), **options)
        whole = essence(folder / "whole" / "banking77")
        say(f"never interrupted: {seconds:.1f} s, {len(whole.values)} measurements")
        for moment in range(moments):
            after = seconds * (moment + draw.random()) / moments
            runs = command(f"killed-{moment}")
            was_killed = kill_after(runs, after, **options)
            run_to_end(runs, **options)
            resumed = essence(folder / f"killed-{moment}" / "banking77")
            apart = greatest_difference(whole, resumed)
            same = resumed.digests == whole.digests and apart == 0.0
            killed, identical = killed + was_killed, identical + same
            difference = max(difference, apart)
            how = f"killed after {after:.1f} s" if was_killed else "had ended before it was killed"
            say(f"{moment + 1} of {moments}: {how}: {'identical' if same else 'DIFFERS'}")
    result = Result(
        name="resume",
        peer="a run never interrupted",
        dtype=hardware.training_dtype(),
        threads=hardware.threads(),
        ours=identical,
        theirs=moments,
        unit="identical runs",
        ratio=identical / moments,
        target=1.0,
        max_difference=difference,
    )
    finish([result], as_json=arguments.json, killed=killed, seconds=seconds)
    sys.exit(0 if identical == moments else 1)


if __name__ == "__main__":
    main()
