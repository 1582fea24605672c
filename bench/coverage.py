"""Whether the statistics keep their word: intervals, claims and power, by simulation.

- coverage: how often a 95 % interval holds the value of the population that a sample was drawn
  from, for every metric of the catalog, on 50, 200 and 1,000 items, for accuracies of 0.5 to 0.999,
  two, five and twenty labels, rare ones among them, calibrated, over- and underconfident. The aim
  is 93 to 97 %. Where few errors are likely the data are so discrete that no interval of a
  proportion comes nearer; `attainable` says what one could reach. Covering more is the safe side.
- claims: plans whose steps gain nothing, each step's checkpoint the best of several on dev.select,
  judged by the gates' own code on dev.gate. At most 5 % of the plans may claim anything.
- power: a gate on as many items as the gate itself said would decide opens in 80 % of the cases.

`theirs` is the level asked for; a result's `target` is its least or greatest allowed share.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import common
from gradus import registry
from gradus.gates import Sequence, Side, judge, parse
from gradus.metrics.base import Metric, Predictions
from gradus.records import Answer, Measurement, Verdict
from gradus.stats import power, proportions
from gradus.testing import populations
from gradus.testing.populations import World

HALVES, RARE = (0.5, 0.5), (0.9, 0.1)
FIVE, UNEVEN = (0.2,) * 5, (0.4, 0.3, 0.15, 0.1, 0.05)
# As words are, by Zipf: on 50 items most of these labels have one or two, or none.
TWENTY = tuple(1 / rank / sum(1 / r for r in range(1, 21)) for rank in range(1, 21))
KINDS = ((HALVES, 1.0), (RARE, 1.5), (FIVE, 1.5), (UNEVEN, 1.0), (UNEVEN, 0.5), (TWENTY, 1.0))
ACCURACIES = (0.5, 0.9, 0.99, 0.999)
FREE = ("labelsets", "labelset probabilities", "spans")
"""Needs where `accuracy` isn't the share of right labels, so that the commonest sets no floor."""
LABELS = tuple(str(label) for label in range(5))


@dataclass(frozen=True, slots=True)
class Cell:
    """Coverage of one metric in one world."""

    metric: str
    world: str
    n: int
    runs: int
    truth: float
    share: float
    below: float
    above: float
    length: float
    attainable: float | None


def metrics_of(need: str) -> list[tuple[str, Metric]]:
    """Every metric of the catalog that needs this; those of one label for the first."""
    found = []
    for entry in registry.names("metrics"):
        kind: type[Metric] = registry.load("metrics", entry)
        if kind.needs == need and kind.interval != "none":
            name = registry.plain(entry)
            if kind.per_label:
                found.append((f"{name}[0]", kind(0)))
            if kind.overall or not kind.per_label:
                found.append((name, kind()))
    return found


def worlds(need: str) -> Iterator[World]:
    """The populations that a metric is tried on."""
    if need in ("latency", "throughput"):
        yield World()
    elif need == "numbers":
        yield from (World(accuracy=accuracy) for accuracy in ACCURACIES)
    else:
        for labels, sharpness in KINDS:
            for accuracy in ACCURACIES:
                # No classifier this poor: the commonest label alone would be right more often.
                if need in FREE or accuracy > max(labels) + 0.02:
                    yield World(accuracy=accuracy, labels=labels, sharpness=sharpness)


def coverage(
    n: int, runs: int, draws: int, wanted: Container[str], named_so: Container[str] | None
) -> list[Cell]:
    """Every metric that needs what is wanted (and has one of these names), in every world."""
    cells = []
    needs = {registry.load("metrics", entry).needs for entry in registry.names("metrics")}
    for need in sorted(needs & set(populations.BUILDERS)):
        if need not in wanted:
            continue
        named = [
            (name, metric)
            for name, metric in metrics_of(need)
            if named_so is None or name in named_so
        ]
        if not named:
            continue
        for world in worlds(need):
            population = populations.BUILDERS[need](world, np.random.default_rng(1))
            found = populations.coverage(
                [metric for _, metric in named], population, n, runs=runs, draws=draws, seed=n
            )
            for (name, metric), seen in zip(named, found, strict=True):
                if seen.runs < runs / 2 or not math.isfinite(seen.truth):
                    continue
                whole = metric.interval == "wilson" and not metric.per_label
                best = proportions.attainable(seen.truth, n) if whole else None
                cells.append(
                    Cell(name, str(world), n, seen.runs, seen.truth, seen.share,
                         seen.below / seen.runs, seen.above / seen.runs, seen.length, best)
                )  # fmt: skip
            common.say(f"coverage, n {n}, {need}: {world}")
    return cells


def equals(
    accuracy: float, labels: int, copies: int, n: int, rng: np.random.Generator
) -> list[Predictions]:
    """Checkpoints of the same quality on the same n items, their errors half shared."""
    gold = rng.integers(0, labels, n)
    signal = 1.2 + 4 * (accuracy - 0.5)
    base, found = rng.normal(size=(n, labels)), []
    for _ in range(copies):
        scores = signal * (0.8 * base + 0.6 * rng.normal(size=(n, labels)))
        scores[np.arange(n), gold] += signal * signal
        log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        found.append(
            Predictions(gold, log_probs.argmax(axis=1), log_probs, LABELS[:labels], ids_of(n))
        )
    return found


def ids_of(n: int) -> tuple[str, ...]:
    """What pairs the items of two checkpoints."""
    return tuple(map(str, range(n)))


def side(name: str, predictions: Predictions, metric: str) -> Side:
    """A checkpoint as a gate sees it."""
    value = registry.load("metrics", metric)()(predictions)
    measured = Measurement(
        metric=metric, value=value, unit="proportion", direction="higher", n=len(predictions)
    )
    return Side(name, [measured], predictions)


def verdict(gate: str, own: Predictions, other: Predictions | None, seed: int = 0) -> Verdict:
    """The gate's own code on these items."""
    spec = parse(gate)
    reference = None if other is None else side("parent", other, spec.metric)
    return judge(spec, side("own", own, spec.metric), reference, draws=400, seed=seed)


def paired(b: float, c: float, right: float, n: int, rng: np.random.Generator) -> list[Predictions]:
    """Two checkpoints with true shares b (only the first right), c (only the second), `right`."""
    kind = rng.choice(4, size=n, p=[b, c, right, 1 - b - c - right])
    gold = np.zeros(n, np.int64)
    return [
        Predictions(gold, np.where(np.isin(kind, hit), 0, 1), None, ("0", "1"), ids_of(n))
        for hit in ((0, 2), (1, 2))
    ]


def claims(runs: int) -> list[common.Result]:
    """Share of plans in which nothing was gained and something is claimed."""
    results = []

    def report(name: str, wrong: int) -> None:
        share = wrong / runs
        results.append(
            common.Result(name=f"false claims: {name}", peer="allowed", ours=share, theirs=0.05,
                          unit="share of plans", target=0.05)
        )  # fmt: skip
        common.say(f"{name}: {share:.3f}")

    for metric in ("accuracy", "f1_macro", "log_loss"):
        sign = "<" if metric == "log_loss" else ">"
        for candidates in (1, 2, 8):
            rng, wrong = np.random.default_rng(candidates), 0
            for run in range(runs):
                chosen, n = pick(metric, candidates, rng), 200
                both = equals(0.8, 3, candidates + 1, n, rng)
                opened = verdict(f"{metric} {sign} parent", both[chosen], both[-1], run)
                wrong += opened.verdict is Answer.OPEN
            report(f"{metric} {sign} parent, best of {candidates} on dev.select", wrong)
    for n in (100, 300, 1000):
        for b in (0.005, 0.02, 0.1):
            rng = np.random.default_rng(n)
            wrong = sum(
                verdict("accuracy >= parent - 0.01", *paired(b, b + 0.01, 0.7, n, rng)).verdict
                is Answer.OPEN
                for _ in range(runs)
            )
            report(f"accuracy >= parent - 0.01, loss 0.01, {b} gained, n {n}", wrong)
    rng, wrong = np.random.default_rng(5), 0
    for run in range(runs):
        sequence, claimed = Sequence(), False
        for gate in ("accuracy > parent", "f1_macro > parent", "accuracy > parent"):
            chosen = pick("accuracy", 2, rng)
            both = equals(0.8, 3, 3, 200, rng)
            found = sequence.record(verdict(gate, both[chosen], both[-1], run))
            claimed |= found.verdict is Answer.OPEN and found.claim
        wrong += claimed
    report("a plan of three such gates", wrong)
    for n in (50, 200, 1000):
        rng, wrong = np.random.default_rng(n), 0
        for _ in range(runs):
            own, _ = paired(0.0, 0.0, 0.95, n, rng)
            wrong += verdict("surely accuracy >= 0.95", own, None).verdict is Answer.OPEN
        report(f"surely accuracy >= 0.95 at 0.95, n {n}", wrong)
    return results


def pick(metric: str, candidates: int, rng: np.random.Generator) -> int:
    """Which of the candidates is best on items of dev.select."""
    made = registry.load("metrics", metric)()
    values = [made(seen) for seen in equals(0.8, 3, candidates, 200, rng)]
    return int(np.argmin(values) if metric == "log_loss" else np.argmax(values))


def powers(runs: int) -> list[common.Result]:
    """How often a gate opens on as many items as its own number says."""
    results = []

    def report(name: str, n: int | None, gate: str, b: float, c: float, right: float) -> None:
        assert n is not None
        rng = np.random.default_rng(n)
        opened = 0
        for _ in range(runs):
            own, other = paired(b, c, right, n, rng)
            reference = None if gate.startswith("surely") else other
            opened += verdict(gate, own, reference).verdict is Answer.OPEN
        results.append(
            common.Result(name=f"power: {name}, n {n}", peer="computed", ours=opened / runs,
                          theirs=power.POWER, unit="share of runs", target=power.POWER)
        )  # fmt: skip
        common.say(f"{name}, n {n}: {opened / runs:.3f}")

    for b, c in ((0.1, 0.05), (0.05, 0.02), (0.03, 0.0), (0.2, 0.15)):
        report(f"accuracy > parent, {b} gained, {c} lost", power.for_mcnemar(b, c),
               "accuracy > parent", b, c, 0.6)  # fmt: skip
    for b, c, margin in ((0.02, 0.02, 0.02), (0.05, 0.05, 0.03), (0.01, 0.0, 0.01)):
        gate = f"accuracy >= parent - {margin}"
        report(f"{gate}, {b} gained, {c} lost", power.for_paired(b, c, -margin), gate, b, c, 0.6)
    for share, bound in ((0.97, 0.95), (0.995, 0.98), (0.6, 0.5)):
        report(f"surely accuracy >= {bound} at {share}", power.for_proportion(share, bound),
               f"surely accuracy >= {bound}", 0.0, 0.0, share)  # fmt: skip
    return results


def summary(cells: list[Cell]) -> list[common.Result]:
    """For each metric and n: the mean, the least and the greatest coverage over the worlds."""
    results = []
    for name, n in sorted({(cell.metric, cell.n) for cell in cells}):
        shares = [cell.share for cell in cells if (cell.metric, cell.n) == (name, n)]
        for what, share in (
            ("mean", float(np.mean(shares))),
            ("least", min(shares)),
            ("most", max(shares)),
        ):
            results.append(
                common.Result(name=f"coverage: {name}, n {n}, {what}", peer="level", ours=share,
                              theirs=0.95, unit="share of runs", target=0.93)
            )  # fmt: skip
    return results


def main() -> None:
    """Run the parts that were asked for."""
    parser = common.parser(__doc__)
    parser.add_argument("--only", choices=("coverage", "claims", "power"), help="one part")
    parser.add_argument("--n", type=int, action="append", help="items of the coverage part")
    parser.add_argument("--need", action="append", help="what the metrics of that part need")
    parser.add_argument("--metric", action="append", help="only metrics of that name")
    parser.add_argument("--runs", type=int, help="simulations of each cell")
    options = parser.parse_args()
    runs = options.runs or (40 if options.quick else 1000)
    sizes = options.n or ([50] if options.quick else [50, 200, 1000])
    wanted = options.need or list(populations.BUILDERS)
    results: list[common.Result] = []
    extra: dict[str, Any] = {"runs": runs}
    if options.only in (None, "coverage"):
        cells = [cell for n in sizes for cell in coverage(n, runs, 400, wanted, options.metric)]
        results += summary(cells)
        extra["cells"] = [asdict(cell) for cell in cells]
    if options.only in (None, "claims"):
        results += claims(runs)
    if options.only in (None, "power"):
        results += powers(runs)
    common.finish(results, as_json=options.json, **extra)


if __name__ == "__main__":
    main()
