"""Kill a run at random moments, go on with it, and compare it with a run never interrupted.

Two runs of plans/banking77.yaml are killed (SIGKILL) ten times each, at moments drawn evenly from
each tenth of the run's length, and every time run again with the same command. A run counts as
identical when every checkpoint has the same digest (the SHA-256 of its files) and every
measurement, cost aside, is the same number to the last bit.

With --pretraining the plan is plans/pretrain-shakespeare.yaml, for 300 updates of a smaller model:
its budget of minutes would make every run another one.

With --quick: 4 runs, killed once each, on 1,500 questions, with two short stages below a solved
head. --runs 20 kills twenty runs once each, which takes hours.
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
RUNS = 2
# What a resumed process needs before it goes on with what is new.
START_SECONDS = 10.0
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

# By sections of the plan, for `--set`: what makes the pretraining short and counted in updates.
PRETRAINING = (
    "steps.base.minutes=null",
    "steps.base.steps=300",
    "steps.base.model={architecture: gpt2, layers: 2, width: 64, heads: 2}",
    "steps.base.block=64",
    "steps.base.validate={every: 60, documents: 4, samples: ['ROMEO:'], sample_tokens: 8}",
    "steps.base.gates=[]",
    "measure.cost=false",
    "measure.bootstrap=200",
)


def main() -> None:
    from gradus import hardware
    from gradus.testing.killing import essence, greatest_difference, kill_after, run_to_end

    made = parser(__doc__)
    made.add_argument("--runs", type=int, default=None, help="how many runs share the moments")
    made.add_argument("--pretraining", action="store_true", help="pretrain instead of fine-tuning")
    arguments = made.parse_args()
    moments = QUICK_MOMENTS if arguments.quick else MOMENTS
    runs = arguments.runs or (QUICK_MOMENTS if arguments.quick else RUNS)
    name = "pretrain-shakespeare" if arguments.pretraining else "banking77"
    base = [sys.executable, "-m", "gradus.cli.main", "run", str(ROOT / "plans" / f"{name}.yaml")]
    # The command works on the plan as it ships; a gate that closes would end a run early.
    settings: tuple[str, ...] = (
        PRETRAINING if arguments.pretraining else (f"vars.data={shared_data()}",)
    )
    settings += QUICK if arguments.quick and not arguments.pretraining else ()
    base += [part for text in settings for part in ("--set", text)]
    draw = random.Random(SEED)
    identical = killed = 0
    difference = 0.0
    with tempfile.TemporaryDirectory(prefix="gradus-resume-") as made_for:
        folder = Path(made_for)
        options = {"cwd": folder, "env": {**os.environ, "XDG_STATE_HOME": str(folder / "state")}}

        def command(runs: str) -> list[str]:
            return [*base, "--runs-dir", str(folder / runs), "--quiet"]

        seconds = run_to_end(command("whole"), **options)
        whole = essence(folder / "whole" / name)
        say(f"never interrupted: {seconds:.1f} s, {len(whole.values)} measurements")
        for run in range(runs):
            times = moments // runs
            again = command(f"killed-{run}")
            before = 0.0
            for moment in range(times):
                at = seconds * (moment + draw.random()) / times
                stretch = at - before + (START_SECONDS if moment else 0.0)
                was_killed = kill_after(again, stretch, **options)
                killed, before = killed + was_killed, at
                how = f"killed after {stretch:.1f} s" if was_killed else "had ended before"
                say(f"run {run + 1} of {runs}, moment {moment + 1} of {times}: {how}")
            run_to_end(again, **options)
            resumed = essence(folder / f"killed-{run}" / name)
            apart = greatest_difference(whole, resumed)
            same = resumed.digests == whole.digests and apart == 0.0
            identical, difference = identical + same, max(difference, apart)
            say(f"run {run + 1} of {runs}: {'identical' if same else 'DIFFERS'}")
    result = Result(
        name="resume",
        peer="a run never interrupted",
        dtype=hardware.training_dtype(),
        threads=hardware.threads(),
        ours=identical,
        theirs=runs,
        unit="identical runs",
        ratio=identical / runs,
        target=1.0,
        max_difference=difference,
    )
    finish([result], as_json=arguments.json, killed=killed, seconds=seconds)
    sys.exit(0 if identical == runs else 1)


if __name__ == "__main__":
    main()
