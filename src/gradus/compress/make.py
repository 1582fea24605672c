"""Making a compressed checkpoint of a classifier: what surrounds every scheme.

Legend: n texts of L tokens each, K labels.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from gradus import parity, registry
from gradus.checkpoints import save_checkpoint
from gradus.compress import calibrating
from gradus.compress.base import Allowance, Material, Scheme
from gradus.compress.classifier import load_classifier
from gradus.compress.scoring import allowance
from gradus.compress.trimming import trimmed_parent
from gradus.data.prepare import Prepare
from gradus.predict import load
from gradus.records import CheckpointRef, Span
from gradus.steps.base import StepContext, StepOutcome, Target

if TYPE_CHECKING:
    from gradus.steps.quantize import QuantizeConfig

# Of the texts that parity is told on, so many are compared at the export, too.
SAMPLE_TEXTS: Final = 64


@dataclass(slots=True, kw_only=True)
class Job:
    """What is compressed, as far as it has come.

    Attributes:
        parent: the step's model.
        ref: the checkpoint that the scheme shall take: the parent, or what was made of it.
        prepare: what its checkpoints do to texts first.
        allowance: the budget on dev.select, where there is one.
    """

    config: QuantizeConfig
    context: StepContext
    parent: CheckpointRef
    ref: CheckpointRef
    prepare: Prepare
    allowance: Allowance | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A compressed checkpoint with what is said of it.

    `parent` is what it is held against: the step's model or, where that was trained on under
    rounding, what came of it.
    """

    ref: CheckpointRef
    parent: CheckpointRef
    bounds: parity.Bounds
    facts: Mapping[str, Any]
    notes: tuple[str, ...]


def quantise(config: QuantizeConfig, context: StepContext) -> StepOutcome:
    """See `gradus.steps.quantize.Quantize.run`."""
    from gradus.steps.quantize import AUTO

    torch.set_num_threads(context.threads)
    context.monitor.rewind(0)
    start = time.perf_counter()
    job = _job(config, context)
    out = context.out / "checkpoint"
    if config.scheme == AUTO:
        from gradus.compress.choosing import choose

        made = choose(job, out)
    else:
        made = make(job, config.scheme, out)
    texts = parity.texts(context.data)
    found = parity.check(
        made.parent,
        made.ref,
        texts,
        made.bounds,
        handoff=registry.plain(str(made.facts["scheme"])),
        threads=context.threads,
    )
    seconds = time.perf_counter() - start
    facts = {**made.facts, "digest": made.ref.digest, "parity": [found.to_json()]}
    facts["batch_effect_max_log_prob"] = _batch_effect(
        made.ref, texts[:SAMPLE_TEXTS], context.threads
    )
    own = config.data is not None and config.calibration.data is not None
    return StepOutcome(
        checkpoint=out,
        measure=[Target(checkpoint=context.id, data=str(config.data))] if own else None,
        notes=made.notes,
        facts=facts,
        cost={"compress_seconds": seconds},
    )


def make(job: Job, name: str, out: Path) -> Made:
    """A checkpoint in `out` under the scheme of that name."""
    scheme: Scheme = registry.load("schemes", name)()
    context, ref = job.context, job.ref
    calibration: calibrating.Calibrated | None = None
    if scheme.calibrates:
        calibration = calibrating.texts(job.config.calibration, context)
    facts: dict[str, Any] = {"scheme": name, **job.facts}
    if scheme.trains:
        from gradus.compress.training import train_rounded

        trained = train_rounded(ref, job.config.stages, context)
        ref, facts = trained.ref, {**facts, **trained.facts}
    held = ref if scheme.trains else job.parent
    material = Material(
        texts=parity.texts(context.data, SAMPLE_TEXTS),
        calibration=() if calibration is None else job.prepare.texts(calibration.texts),
        allowance=job.allowance if scheme.budget else None,
        threads=context.threads,
    )
    staged = _empty(context.work / "staged")
    written = scheme.write(load_classifier(ref), staged, material=material)
    facts |= {**written.facts, **({} if calibration is None else calibration.facts)}
    saved = save_checkpoint(
        out,
        kind=scheme.kind,
        labels=job.parent.labels,
        preprocessing=written.preprocessing,
        parents=(job.parent,),
        facts=facts,
        write=lambda folder: _move(staged, folder),
    )
    notes = (*job.notes, *written.notes)
    return Made(ref=saved, parent=held, bounds=scheme.bounds, facts=facts, notes=notes)


def _job(config: QuantizeConfig, context: StepContext) -> Job:
    """The work with its parent loaded, trimmed and scored as far as the config asks for it."""
    from gradus.checkpoints import find_manifest
    from gradus.steps.quantize import AUTO

    parent = context.models[config.model]
    manifest = find_manifest(Path(parent.path))
    prepare = Prepare.of(manifest.preprocessing) if manifest else Prepare()
    job = Job(config=config, context=context, parent=parent, ref=parent, prepare=prepare)
    kind = config.kind()
    if config.scheme == AUTO or kind.budget:
        job.allowance = allowance(parent, config.budget, context, prepare)
    if config.vocabulary == "trim":
        trimmed = trimmed_parent(parent, context, prepare)
        job.ref = trimmed.ref
        job.facts |= {"vocabulary": trimmed.facts}
        job.notes.append(trimmed.note)
    return job


def _empty(folder: Path) -> Path:
    """The folder, made anew: what a killed attempt left there is of no use."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _move(staged: Path, folder: Path) -> None:
    for path in staged.iterdir():
        shutil.move(path, folder / path.name)


def _batch_effect(ref: CheckpointRef, texts: Sequence[str], threads: int) -> float:
    """Greatest change between a text alone and in company: of a log-probability, a number or a
    span's score."""
    predictor = load(ref, threads=threads, verify=False).predictor
    if predictor.target == "spans":
        alike = zip(predictor.spans(texts), texts, strict=True)
        return max(_span_effect(spans, predictor.spans([text])[0]) for spans, text in alike)
    together = predictor.say(texts)
    alone = np.concatenate([predictor.say([text]) for text in texts])
    return float(np.abs(together - alone).max())


def _span_effect(one: Sequence[Span], two: Sequence[Span]) -> float:
    """Greatest difference of a span's score; a span that isn't there has 0."""
    scores = [{span: span.score or 0.0 for span in of} for of in (one, two)]
    every = {*scores[0], *scores[1]}
    return max((abs(scores[0].get(s, 0.0) - scores[1].get(s, 0.0)) for s in every), default=0.0)
