"""Whether the tests of `crossval` keep their word: false alarms over null experiments.

Each experiment draws a data set and cross-validates two ways of training that are equally good by
construction: logistic regression (scikit-learn) on one half of the features and on the other, the
two halves alike in distribution. Every claim of a difference at 95 % is a false alarm. The
corrected resampled t-test (Nadeau and Bengio 2003) is held against the naive paired t-test on the
same folds.

The aim is 5 % with 1.5 either way for the corrected test under repeated cross-validation, which is
what it is recommended for. The other settings are there so that nobody takes that for more than it
is: one partition alone makes it conservative, and so the naive test looks better there than it is;
learners that a few items can turn (the nearest neighbour, a single split) make it liberal.

`ours` and `theirs` are shares of false alarms; a result's `ratio` is the naive one's over ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

import common
from gradus.data.folds import Scheme, assign
from gradus.data.splits import content_id
from gradus.stats.resampled import corrected, naive

LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Setting:
    """One way of cross-validating one kind of data.

    Attributes:
        items: rows of a data set.
        features: of each of the two halves.
        folds: k.
        repeats: r.
        scheme: of the folds.
        signal: how far the classes' means are apart in each feature, in standard deviations.
        learner: ``logistic``, ``neighbour`` (the nearest one's label) or ``split`` (one threshold).
        headline: whether the aim is held against it.
    """

    items: int
    features: int
    folds: int
    repeats: int
    scheme: Scheme = "stratified"
    signal: float = 0.3
    learner: str = "logistic"
    headline: bool = False

    @property
    def name(self) -> str:
        """In words."""
        return (
            f"{self.repeats} x {self.folds} folds ({self.scheme}), {self.items} items, "
            f"{self.features} features, {self.learner}"
        )


SETTINGS: Final = (
    Setting(100, 20, 5, 5, headline=True),
    Setting(100, 10, 5, 10),
    Setting(60, 10, 5, 10),
    Setting(200, 10, 5, 5),
    Setting(200, 10, 10, 3),
    Setting(200, 10, 5, 1),
    Setting(200, 10, 5, 5, scheme="hash"),
    Setting(100, 5, 5, 5, signal=0.1),
    Setting(100, 5, 5, 5, learner="neighbour"),
    Setting(100, 5, 5, 5, learner="split"),
    Setting(40, 5, 5, 5, learner="split"),
)


def learner(name: str) -> Any:
    """A fresh classifier of scikit-learn."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    if name == "neighbour":
        return KNeighborsClassifier(1)
    if name == "split":
        return DecisionTreeClassifier(max_depth=1, random_state=0)
    return LogisticRegression(solver="newton-cholesky")


def differences(setting: Setting, rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Accuracy of one way less that of the other in every fold; items trained on and held out."""
    n, p = setting.items, setting.features
    gold = rng.integers(0, 2, n)
    rows = rng.normal(0, 1, (n, 2 * p)) + setting.signal * (2 * gold[:, None] - 1)
    ids = [content_id(str(number)) for number in rng.integers(0, 2**62, n)]
    gaps, trained, held = [], [], []
    for repeat in range(setting.repeats):
        fold = assign(
            ids, setting.folds, seed=0, repeat=repeat, scheme=setting.scheme, labels=gold.tolist()
        )
        for number in range(setting.folds):
            out = fold == number
            right = [
                learner(setting.learner)
                .fit(rows[~out][:, half], gold[~out])
                .score(rows[out][:, half], gold[out])
                for half in (slice(0, p), slice(p, 2 * p))
            ]
            gaps.append(right[0] - right[1])
            trained.append(int((~out).sum()))
            held.append(int(out.sum()))
    return np.array(gaps), float(np.mean(trained)), float(np.mean(held))


def false_alarms(setting: Setting, experiments: int, *, seed: int = 0) -> tuple[float, float]:
    """Shares of experiments in which the corrected and the naive test claim a difference."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no types

    claims = np.zeros(2)
    with threadpool_limits(1):
        for number in range(experiments):
            found, trained, held = differences(setting, np.random.default_rng([seed, number]))
            tests = (
                corrected(found, trained=trained, held=held, level=LEVEL),
                naive(found, level=LEVEL),
            )
            claims += [test.p_value < 1 - LEVEL for test in tests]
    ours, theirs = claims / experiments
    return float(ours), float(theirs)


def main() -> None:
    """Every setting, one result each."""
    options = common.parser(__doc__).parse_args()
    experiments = 60 if options.quick else 1000
    results = []
    for setting in SETTINGS:
        ours, theirs = false_alarms(setting, experiments)
        error = math.sqrt(0.05 * 0.95 / experiments)
        common.say(f"{setting.name}: corrected {ours:.3f}, naive {theirs:.3f} (+- {error:.3f})")
        results.append(
            common.Result(
                name=f"false alarms: {setting.name}",
                peer="naive paired t-test",
                ours=ours,
                theirs=theirs,
                unit="share of null experiments",
                ratio=common.ratio(ours, theirs, lower_is_better=True),
            )
        )
    headline = next(r for r, s in zip(results, SETTINGS, strict=True) if s.headline)
    common.finish(
        results,
        as_json=options.json,
        experiments=experiments,
        aim=[0.035, 0.065],
        held=headline.ours is not None and 0.035 <= headline.ours <= 0.065,
    )


if __name__ == "__main__":
    main()
