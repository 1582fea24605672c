"""Quality on dev.select, for schemes and choices under a budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradus import benchmarks, registry
from gradus.checkpoints import read_manifest
from gradus.compress.base import Allowance, Budget
from gradus.data.prepare import Prepare
from gradus.errors import DataError
from gradus.predict import load
from gradus.predict.base import Predictor
from gradus.predict.postprocess import Postprocess
from gradus.predict.postprocessed import PostprocessedPredictor
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext


def value_on_select(predictor: Predictor, context: StepContext, texts: Sequence[str]) -> Any:
    """What dev.select's metrics are for a predictor that is given `texts` for its items."""
    assert context.data is not None  # whoever scores has data
    if predictor.label_map:
        raise DataError(
            "dev.select can't be scored by a checkpoint that calls its labels something else: "
            "compress the checkpoint that it was made from, and map labels last"
        )
    words = context.data.select.words
    said = (
        predictor.spans(texts, words=words)
        if context.data.target == "spans"
        else predictor.say(texts)
    )
    return context.monitor.score(said)


def allowance(
    parent: CheckpointRef, budget: Budget | None, context: StepContext, prepare: Prepare
) -> Allowance:
    """The budget with the parent's own value.

    Raises:
        DataError: there is no dev.select, or its metrics have no such name.
    """
    wanted = Budget() if budget is None else budget
    data = context.data
    if data is None or len(data.select) == 0:
        raise DataError("a budget is held on dev.select, which is empty: give dev a larger share")
    texts = list(data.select.texts)
    values = value_on_select(
        load(parent, threads=context.threads, verify=False).predictor, context, texts
    )
    metric = wanted.metric or next(iter(benchmarks.of(data.target).compared), "")
    if metric not in values:
        raise DataError(
            f"budget: dev.select of {data.name} has no metric '{metric}': known are "
            f"{', '.join(sorted(values)) or 'none'}"
        )
    prepared = list(prepare.texts(texts))
    higher = registry.load("metrics", metric).direction == "higher"

    post = Postprocess.of(read_manifest(Path(parent.path)).preprocessing)

    def value(predictor: Predictor) -> float:
        answering = PostprocessedPredictor(predictor, post) if post else predictor
        found = value_on_select(answering, context, prepared)
        return float(found.get(metric, float("nan")))

    return Allowance(metric, float(values[metric]), wanted.lose, 1 if higher else -1, value)
