"""Measurements on those items of a benchmark that a training corpus holds, and on the others.

Brown et al. (2020), appendix C, set the score on the clean subset beside that on all items.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np

from gradus.benchmarks.base import Benchmark
from gradus.errors import ContractError
from gradus.measure import quality
from gradus.metrics.repeated import Repeated, Seen
from gradus.metrics.score import NONE, Scores
from gradus.records import Measurement

SUBSETS: Final = ("", "clean", "dirty")


def subsets(
    seen: Seen,
    *,
    known: Collection[str],
    dirty: Collection[str],
    common: Mapping[str, Any],
    level: float,
    draws: int,
    seed: int,
    scores: Scores = NONE,
    benchmark: type[Benchmark] | None = None,
) -> list[Measurement]:
    """Measurements on all items, on the clean ones (``NAME clean`` as data) and on the dirty ones.

    A subset without items has none.

    Args:
        seen: what a model says of the items.
        known: ids of the benchmark's items.
        dirty: those among them that the corpus holds.
        common: fields of the record, see `quality.measurements`.
        level: of the intervals.
        draws: of a bootstrap.
        seed: of a bootstrap.
        scores: the plan's own metrics.
        benchmark: whose metrics are taken.

    Raises:
        ContractError: an item isn't one of the benchmark's.
    """
    strange = [item for item in seen.ids if item not in known]
    if strange:
        raise ContractError(
            f"{len(strange):,} of {len(seen.ids):,} kept items of {common.get('checkpoint')} on "
            f"{common.get('data')} aren't in the benchmark's file: give the file, and the options, "
            "that they were taken with"
        )
    is_dirty = np.fromiter((item in dirty for item in seen.ids), np.bool_, len(seen.ids))
    found = []
    for subset in SUBSETS:
        rows = np.flatnonzero(is_dirty if subset == "dirty" else ~is_dirty)
        part = _take(seen, rows) if subset else seen
        if not len(part):
            continue
        fields = {**common, "data": f"{common['data']} {subset}".strip()}
        found += quality.measurements(
            part,
            common=fields,
            level=level,
            draws=draws,
            seed=seed,
            scores=scores,
            benchmark=benchmark,
        )
    return found


def _take(seen: Seen, rows: np.ndarray) -> Seen:
    if isinstance(seen, Repeated):
        return Repeated(tuple(run.take(rows) for run in seen.runs), seen.chosen)
    return seen.take(rows)
