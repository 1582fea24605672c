"""Many looks at one hold-out: read directly, and through Thresholdout.

An analyst chooses among features of pure noise by what the hold-out answers, so every accuracy is
one half (`gradus.testing.adaptive`). Told are the accuracy that the analyst ends up believing, how
far the worst of all answers is from the truth, and the bound that is stated (which may fail in one
analysis of twenty). `ours` is Thresholdout, `theirs` the hold-out read directly; `target` of the
row `within the bound` is the least share of analyses.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict

import common
from gradus.stats.thresholdout import Settings
from gradus.testing.adaptive import TRUTH, Analysis, analyse


def main() -> None:
    """Analyse fresh noise many times, either way."""
    made = common.parser(__doc__)
    made.add_argument("--runs", type=int, default=None, help="analyses of each kind")
    options = made.parse_args()
    runs = options.runs or (10 if options.quick else 100)
    n, features = (4000, 1000) if options.quick else (10_000, 4000)
    settings = Settings(threshold=0.05 if options.quick else 0.04)
    held, naive = list[Analysis](), list[Analysis]()
    for seed in range(runs):
        naive.append(analyse(seed, n=n, features=features, settings=None))
        held.append(analyse(seed, n=n, features=features, settings=settings))
        common.say(
            f"{seed + 1} of {runs}: read directly {naive[-1].accuracy:.3f}, through Thresholdout "
            f"{held[-1].accuracy:.3f}, worst error {held[-1].worst:.3f} of {held[-1].bound:.3f}"
        )
    common.finish(
        results(held, naive),
        as_json=options.json,
        n=n,
        features=features,
        runs=runs,
        settings=asdict(settings),
        refused=sum(one.refused for one in held),
    )


def results(held: list[Analysis], naive: list[Analysis]) -> list[common.Result]:
    """The comparison as rows."""
    ours, theirs = (statistics.mean(one.accuracy for one in of) for of in (held, naive))
    worst = [max(one.worst for one in of) for of in (held, naive)]
    bias = [abs(value - TRUTH) for value in (ours, theirs)]
    kept = statistics.mean(one.worst <= one.bound for one in held)
    shared = {"peer": "hold-out read directly"}
    return [
        common.Result(
            name="bias of the accuracy believed in the end",
            ours=bias[0],
            theirs=bias[1],
            unit="accuracy",
            ratio=common.ratio(bias[0], bias[1], lower_is_better=True),
            **shared,
        ),
        common.Result(
            name="worst error of any answer",
            ours=worst[0],
            theirs=worst[1],
            unit="accuracy",
            **shared,
        ),
        common.Result(
            name="within the bound",
            peer="stated bound, mean",
            ours=kept,
            theirs=statistics.mean(one.bound for one in held),
            unit="share of analyses",
            target=0.95,
        ),
    ]


if __name__ == "__main__":
    main()
