"""Kill each step that compresses at random moments, go on with it, compare the bits.

    python bench/resume_compress.py --json            ten moments each, about half an hour
    python bench/resume_compress.py --quick --json    two moments each on 1,000 questions

For each of distil, prune and quantize: a tuned classifier of BANKING77 is made once; the step is
done in a copy of that run without interruption, and in another copy killed (SIGKILL) at moments
drawn evenly from each part of its length, every time run again with the same command. It counts as
identical when every checkpoint has the same digest and every measurement, cost aside, is the same
number to the last bit.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from common import ROOT, Result, finish, parser, say, shared_data

SEED: Final = 2718
MOMENTS, QUICK_MOMENTS = 10, 2
QUICK_ROWS, ROWS = 1000, 3000
NAME: Final = "killed"
TUNED: Final = "tuned"
# Steps of plans/compress-banking77.yaml; quantize both as arithmetic alone and with training.
STEPS: Final[dict[str, tuple[str, ...]]] = {
    "distil": ("student",),
    "prune": ("pruned",),
    "quantize": ("trimmed", "trained"),
}


def plan(steps: tuple[str, ...], rows: int) -> dict[str, Any]:
    """The tuned classifier and these steps, without gates, short."""
    import yaml

    text = (ROOT / "plans" / "compress-banking77.yaml").read_text(encoding="utf-8")
    raw: dict[str, Any] = yaml.safe_load(text)
    known = {step["id"]: step for step in raw["steps"]}
    scheme = {"step": "quantize", "model": TUNED, "data": "banking77", "scheme": "int8-qat"}
    known["trained"] = {"id": "trained", **scheme}
    raw["name"], raw["vars"]["data"] = NAME, str(shared_data())
    raw["data"]["banking77"]["limit"] = rows
    raw["measure"] = {"cost": False, "bootstrap": 200}
    raw["steps"] = [known[name] for name in (TUNED, *steps)]
    for step in raw["steps"]:
        step.pop("gates", None)
        for stage in (*step.get("stages", ()), *step.get("recover", ())):
            if stage["train"] != "head":
                stage["epochs"] = 1
    return raw


class Place:
    """A folder with runs of one plan."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options: dict[str, Any] = {
            "cwd": folder,
            "env": {**os.environ, "XDG_STATE_HOME": str(folder / "state")},
        }

    def command(self, raw: dict[str, Any], runs: str) -> list[str]:
        """``gradus run`` of the plan in the run folder `runs`."""
        import yaml

        path = self.folder / f"{runs}.yaml"
        path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
        base = [sys.executable, "-m", "gradus.cli.main", "run", str(path)]
        return [*base, "--runs-dir", str(self.folder / runs), "--quiet"]

    def copy(self, made: str, to: str) -> None:
        """Another run that begins where `made` ended."""
        shutil.copytree(self.folder / made, self.folder / to)


def killed(place: Place, kind: str, rows: int, moments: int) -> tuple[bool, int, float]:
    """Whether the bits are the same, how often it was killed, the greatest difference."""
    from gradus.testing.killing import essence, greatest_difference, kill_after, run_to_end

    raw = plan(STEPS[kind], rows)
    for copy in ("whole", "killed"):
        place.copy("prepared", f"{kind}-{copy}")
    whole = place.command(raw, f"{kind}-whole")
    seconds = run_to_end(whole, **place.options)
    # What a process needs to start, and to see that all is done.
    start = run_to_end(whole, **place.options)
    say(f"{kind}: {seconds:.1f} s without interruption, {start:.1f} s of them to start")
    again = place.command(raw, f"{kind}-killed")
    draw, before, count = random.Random(f"{SEED}{kind}"), 0.0, 0
    work = max(seconds - start, 1.0)
    for moment in range(moments):
        at = work * (moment + draw.random()) / moments
        after = start + at - before
        was_killed = kill_after(again, after, **place.options)
        count, before = count + was_killed, at
        say(f"{kind}, moment {moment + 1}: {'killed' if was_killed else 'had ended'} ({after:.1f})")
    run_to_end(again, **place.options)
    one, two = (essence(place.folder / f"{kind}-{copy}" / NAME) for copy in ("whole", "killed"))
    apart = greatest_difference(one, two)
    return one.digests == two.digests and apart == 0.0, count, apart


def main() -> None:
    from gradus import hardware
    from gradus.testing.killing import run_to_end

    made = parser(__doc__)
    made.add_argument("--only", choices=tuple(STEPS), help="one of the steps")
    args = made.parse_args()
    rows, moments = (QUICK_ROWS, QUICK_MOMENTS) if args.quick else (ROWS, MOMENTS)
    results, counts = [], {}
    with tempfile.TemporaryDirectory(prefix="gradus-killed-") as folder:
        place = Place(Path(folder))
        run_to_end(place.command(plan((), rows), "prepared"), **place.options)
        for kind in (args.only,) if args.only else STEPS:
            same, counts[kind], apart = killed(place, kind, rows, moments)
            say(f"{kind}: {'identical' if same else 'DIFFERS'}")
            results.append(
                Result(
                    name=f"resume: {kind}",
                    peer="a step never interrupted",
                    dtype=hardware.training_dtype(),
                    threads=hardware.threads(),
                    ours=float(same),
                    theirs=1.0,
                    unit="identical",
                    ratio=float(same),
                    target=1.0,
                    max_difference=apart,
                )
            )
    finish(results, as_json=args.json, killed=counts)
    sys.exit(0 if all(r.ours for r in results) else 1)


if __name__ == "__main__":
    main()
