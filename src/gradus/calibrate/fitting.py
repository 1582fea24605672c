"""From a checkpoint's answers on dev.select to its post-processing.

Legend: N items of dev.select, K labels of the checkpoint, M after the label map, W words.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus import registry
from gradus.calibrate import abstention, curves, thresholds
from gradus.calibrate.saving import save_postprocessed
from gradus.calibrate.temperature import fit_temperature
from gradus.errors import CheckpointError, DataError, UsageError
from gradus.predict.postprocess import TARGETS, Postprocess, relabelled, tempered
from gradus.steps.base import StepContext, StepOutcome

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.dataset import Split, TrainingData
    from gradus.metrics.base import Items
    from gradus.predict.base import Predictor
    from gradus.steps.calibrate import CalibrateConfig

SCORES = {
    "label": ("log_loss", "ece_debiased", "ece", "aurc", "aurc_margin", "aurc_random", "accuracy"),
    "labels": ("multilabel_log_loss", "multilabel_f1_micro", "multilabel_f1_macro"),
    "spans": ("span_f1", "span_precision", "span_recall"),
}
CONFIDENCE = 0.95


@dataclass(slots=True)
class Found:
    """What was settled, with what the report says of it."""

    post: Postprocess
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def calibrate(config: CalibrateConfig, context: StepContext) -> StepOutcome:
    """See `gradus.steps.calibrate.Calibrate.run`."""
    from gradus.predict import load

    start = time.perf_counter()
    ref = context.models[config.model]
    data = context.data
    if data is None or not len(data.select):
        raise DataError("calibration is fitted on dev.select, which is empty: give dev a share")
    predictor = load(ref, threads=context.threads, verify=False).predictor
    _check(config, predictor, data, ref.name)
    settle = _of_spans if data.target == "spans" else _of_labels
    found = settle(config, predictor, data)
    saved = save_postprocessed(
        context.out / "checkpoint", ref, found.post, {"parent": config.model, **found.facts}
    )
    return StepOutcome(
        checkpoint=Path(saved.path),
        notes=tuple(found.notes),
        facts={"parent": config.model, **found.facts, "digest": saved.digest},
        cost={"calibrate_seconds": time.perf_counter() - start},
    )


def _check(config: CalibrateConfig, predictor: Predictor, data: TrainingData, name: str) -> None:
    from gradus.predict.postprocessed import PostprocessedPredictor

    if isinstance(predictor, PostprocessedPredictor):
        raise CheckpointError(
            f"'{name}' is calibrated already: name the checkpoint that it was made from, and "
            "settle everything in one step"
        )
    if predictor.target not in TARGETS or predictor.target != data.target:
        raise CheckpointError(
            f"'{name}' has target '{predictor.target}', {data.name} has '{data.target}'; "
            f"calibration is of {', '.join(TARGETS)}, and both must have the same"
        )
    abstain = config.abstain
    if abstain is not None and abstain.below is None and data.target != "label":
        raise UsageError(
            "abstain: accuracy and coverage are of texts with one label; of spans give below"
        )
    if config.thresholds is not None:
        thresholds.check_metric(config.thresholds, data.target)
    below = None if abstain is None else abstain.below
    Postprocess(label_map=config.label_map, repair=config.repair, abstain_below=below).check(
        predictor.labels, data.target
    )


def _of_labels(config: CalibrateConfig, predictor: Predictor, data: TrainingData) -> Found:
    """Of one label a text, or a set of them."""
    import numpy as np

    target = data.target
    order = sorted(range(len(data.select)), key=list(data.select.ids).__getitem__)
    split, gold = _gold(data.select.take(order), data, predictor.labels)
    rows = predictor.log_probs(split.texts)
    known = np.ones(len(rows), bool) if target == "labels" else gold >= 0
    found = Found(Postprocess(label_map=config.label_map, repair=config.repair))
    if not known.all():
        found.notes.append(
            f"{int((~known).sum()):,} items of dev.select have labels that the checkpoint doesn't "
            "know; temperature and thresholds are fitted without them"
        )
    _temperature(config, found, rows[known], gold[known], target)
    new_rows = found.post.log_probs(rows, predictor.labels, target)
    _thresholds(config, found, predictor, (rows, new_rows, known), (split, data))
    first = Postprocess(label_map=config.label_map)
    seen = {
        "before": _observed(predictor, first, rows, split, data),
        "after": _observed(predictor, found.post, rows, split, data),
    }
    _scores(found, seen, target)
    _abstain(config, found, seen["after"])
    return found


def _temperature(
    config: CalibrateConfig, found: Found, rows: np.ndarray, gold: np.ndarray, target: Any
) -> None:
    """Settle the temperature, and say so where dev.select can't tell."""
    if config.temperature != "fit":
        found.post = replace(found.post, temperature=config.temperature or 1.0)
        return
    fitted = fit_temperature(rows, gold, target)
    if fitted is None:
        found.notes.append(
            "no temperature is the most likely one: dev.select has no error, or the answers tell "
            "nothing; it stays 1"
        )
    found.post = replace(found.post, temperature=fitted or 1.0)
    found.facts["fitted_on"] = len(rows)


def _gold(split: Split, data: TrainingData, labels: tuple[str, ...]) -> tuple[Split, np.ndarray]:
    """The split and what is true in the checkpoint's labels: int64 [N], -1 for one that it lacks,
    or bool [N, K]."""
    import numpy as np

    if data.target == "labels":
        gold = np.zeros((len(split), len(labels)), bool)
        for column, label in enumerate(labels):
            if label in data.labels:
                gold[:, column] = np.asarray(split.labels, bool)[:, data.labels.index(label)]
        return split, gold
    to = np.array([labels.index(n) if n in labels else -1 for n in data.labels], np.int64)
    return split, to[np.asarray(split.labels, np.int64)]


def _thresholds(
    config: CalibrateConfig,
    found: Found,
    predictor: Predictor,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
    items: tuple[Split, TrainingData],
) -> None:
    """Tune on answers at the temperature and under the labels that were settled."""
    from gradus.predict.postprocess import mapped_labels

    if config.thresholds is None:
        return
    _, new_rows, known = rows
    split, data = items
    labels = mapped_labels(predictor.labels, config.label_map)
    moved, names = relabelled(split, data.labels, config.label_map, data.target)
    _, gold = _gold(moved, replace(data, labels=names), labels)
    given = found.post.thresholds_of(predictor.thresholds, predictor.labels, data.target)
    tuned = thresholds.tune(
        new_rows[known], gold[known], labels, given, config.thresholds, data.target
    )
    kept = thresholds.named(labels, tuned, given)
    found.post = replace(found.post, thresholds=kept)
    found.facts["thresholds"] = {
        "metric": config.thresholds,
        "before": tuned.before,
        "after": tuned.after,
        "held_out": tuned.held_out,
        "kept": kept,
    }
    if tuned.thresholds is None:
        found.notes.append(
            f"thresholds tuned for {config.thresholds} gave {tuned.held_out:.4f} on items that "
            f"they weren't tuned on, and {tuned.before:.4f} is there without them: none are kept"
        )


def _observed(
    predictor: Predictor, post: Postprocess, rows: np.ndarray, split: Split, data: TrainingData
) -> Items:
    """Items as they are measured after such post-processing."""
    from gradus import benchmarks
    from gradus.benchmarks.classify import Decided
    from gradus.predict.postprocess import mapped_labels

    own = mapped_labels(predictor.labels, post.label_map)
    moved, labels = relabelled(split, data.labels, post.label_map, data.target)
    said = Decided(
        post.log_probs(rows, predictor.labels, data.target),
        post.thresholds_of(predictor.thresholds, predictor.labels, data.target),
    )
    return benchmarks.of(data.target).observe(said, own, moved, labels)


def _scores(found: Found, seen: dict[str, Any], target: Any) -> None:
    """Metrics on dev.select before and after, reliability, and accuracy by coverage."""
    import math

    from gradus.metrics.aurc import AurcMargin

    found.facts["temperature"] = found.post.temperature
    found.facts["repair"] = found.post.repair
    found.facts["labels"] = dict(found.post.label_map)
    found.facts["select"] = {
        when: {
            name: value
            for name in SCORES[target]
            if math.isfinite(value := float(registry.load("metrics", name)()(items)))
        }
        for when, items in seen.items()
    }
    pairs = {when: sureness(items) for when, items in seen.items()}
    found.facts["reliability"] = {w: curves.reliability(*p) for w, p in pairs.items() if len(p[0])}
    if target == "label":
        before, after = seen["before"], seen["after"]
        margin = AurcMargin().confidence(before)
        found.facts["answered"] = {
            "calibrated": curves.answered(*pairs["after"]),
            "margin before": curves.answered(margin, before.right()),
            "random": [[1.0, float(after.right().mean())]],
        }


def sureness(items: Any) -> tuple[np.ndarray, np.ndarray]:
    """How sure each answer is, and whether it is right: float64 and bool [M].

    Of one label the predicted one's probability; of sets each label's own, whether it is true; of
    spans each predicted one's score.
    """
    import numpy as np

    if items.target == "labels":
        return np.exp(items.log_probs).ravel(), np.asarray(items.gold, bool).ravel()
    if items.target == "spans":
        pairs = [
            (span.score or 0.0, span in gold)
            for gold, said in zip(items.gold, items.predicted, strict=True)
            for span in said
        ]
        return np.array([p for p, _ in pairs]), np.array([r for _, r in pairs], bool)
    chosen = items.log_probs[np.arange(len(items)), items.predicted]
    return np.exp(chosen), items.right()


def _abstain(config: CalibrateConfig, found: Found, after: Any) -> None:
    wanted = config.abstain
    if wanted is None:
        return
    sure, right = sureness(after)
    if wanted.accuracy is not None:
        confidence = wanted.confidence or CONFIDENCE
        chosen = abstention.for_accuracy(sure, right, wanted.accuracy, confidence)
    elif wanted.coverage is not None:
        chosen = abstention.for_coverage(sure, right, wanted.coverage)
    else:
        assert wanted.below is not None
        chosen = abstention.at(sure, right, wanted.below)
    found.post = replace(found.post, abstain_below=chosen.below)
    found.facts["abstain"] = {
        "asked": wanted.model_dump(exclude_none=True),
        "below": chosen.below,
        "coverage": chosen.coverage,
        "accuracy": chosen.accuracy,
        "least": chosen.least,
    }


def _of_spans(config: CalibrateConfig, predictor: Predictor, data: TrainingData) -> Found:
    """Of taggers the temperature is that of every word's tags."""
    import numpy as np

    from gradus.calibrate.words import gold_tags, words_of
    from gradus.metrics.spansets import SpanSets
    from gradus.predict.postprocessed import PostprocessedPredictor

    split = data.select
    words = words_of(split)
    rows = predictor.tag_log_probs(split.texts, words=words)
    gold = gold_tags(split, words, predictor.tags)
    known = gold >= 0
    found = Found(Postprocess(label_map=config.label_map, repair=config.repair))
    _temperature(config, found, rows[known], gold[known], "spans")
    if config.abstain is not None:
        found.post = replace(found.post, abstain_below=config.abstain.below)
    moved, labels = relabelled(split, data.labels, config.label_map, data.target)

    def observed(post: Postprocess) -> SpanSets:
        around: Predictor = PostprocessedPredictor(predictor, post) if post else predictor
        from gradus import benchmarks

        said = around.spans(split.texts, words=split.words)
        items = benchmarks.of("spans").observe(said, around.labels, moved, labels)
        assert isinstance(items, SpanSets)
        return items

    first = Postprocess(label_map=config.label_map)
    _scores(found, {"before": observed(first), "after": observed(found.post)}, "spans")
    picked = np.arange(int(known.sum()))
    for when, t in (("before", 1.0), ("after", found.post.temperature)):
        log_p = tempered(rows[known], t, "spans")[picked, gold[known]]
        found.facts["select"][when]["tag_log_loss"] = float(-np.maximum(log_p, -80.0).mean())
    return found
