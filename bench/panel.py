"""Whether a panel's estimates keep their word: coverage over simulated panels with a known truth.

500 panels a world, of three to ten raters who differ in severity and taste. `quality` and
`difference` are of Likert scores, `strength` (against the mean writer), `odds` (of two writers) and
`wins` of pairs; `alpha` is Krippendorff's, whose truth is what the same raters reach on 20,000
texts. The aim is 93 to 97 %. `theirs` is the level asked for.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np

import common
from gradus.stats.agreement import agreement, alpha
from gradus.stats.raters import Estimate, Scores
from gradus.testing import panels
from gradus.testing.panels import Coverage, PanelWorld

USUAL = PanelWorld()
WORLDS = (
    USUAL,
    replace(USUAL, prompts=40),
    replace(USUAL, raters=5, prompts=20),
    replace(USUAL, raters=5, prompts=20, missing=0.4),
    replace(USUAL, raters=10, prompts=30),
    replace(USUAL, severity=0.6, taste=0.0, prompts=20),
    replace(USUAL, severity=0.1, taste=0.4, raters=5, prompts=20),
)


def table(scores: Scores, raters: int) -> np.ndarray:
    """The scores as [raters, texts], NaN where there is none."""
    made = np.full((raters, int(scores.texts.max()) + 1), np.nan)
    made[scores.raters, scores.texts] = scores.values
    return made


def alphas(world: PanelWorld, number: int, seed: int) -> Coverage:
    """Coverage of alpha's interval, the raters' own numbers the same in sample and truth."""
    found, prompts = Coverage("alpha"), 20_000 // len(world.qualities)
    rng = np.random.default_rng(seed)
    for _ in range(number):
        many = panels.likert(replace(world, prompts=prompts + world.prompts), rng)
        sample = many.prompts < world.prompts
        few = Scores(*(getattr(many, name)[sample] for name in Scores.__slots__))
        _, texts = np.unique(few.texts, return_inverse=True)
        few = replace(few, texts=texts)
        groups = np.zeros(int(texts.max()) + 1, np.int64)
        groups[few.texts] = few.prompts
        told = agreement(table(few, world.raters), "ordinal", groups=groups, draws=1000)
        truth = alpha(table(many, world.raters), "ordinal")
        if math.isfinite(told.low):
            found.look(Estimate(told.alpha, told.low, told.high), truth)
    return found


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--panels", type=int, default=0, help="simulated panels a world")
    args = parser.parse_args()
    number = args.panels or (100 if args.quick else 500)
    results, cells = [], []
    for world in WORLDS:
        common.say(str(world))
        found = [*panels.coverage(world, number), alphas(world, number // 5, 1)]
        for told in found:
            common.say(
                f"  {told.name:10} {told.share:.1%}, truth below {told.below / told.number:.1%} "
                f"above {told.above / told.number:.1%}, mean length {told.length / told.number:.2f}"
                f", bias {told.errors / told.number:+.3f}"
            )
            results.append(
                common.Result(
                    name=f"{told.name}, {world}",
                    peer="level",
                    ours=told.share,
                    theirs=0.95,
                    unit="share of intervals",
                )
            )
            cells.append({"world": asdict(world), **asdict(told), "share": told.share})
    common.finish(results, as_json=args.json, cells=cells)


if __name__ == "__main__":
    main()
