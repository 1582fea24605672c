"""Step `quantize`: make a fine-tuned classifier smaller and faster without training it again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import Field, field_validator

from gradus import benchmarks, registry
from gradus.benchmarks.cost import CostBenchmark
from gradus.benchmarks.parity import ParityBenchmark
from gradus.compress.base import Scheme
from gradus.errors import GradusError
from gradus.records import CheckpointRef, Span
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome

SAMPLE_TEXTS: Final = 64
# Texts to compare graph and torch on where the step has no data of its own.
FALLBACK_TEXTS: Final = (
    "The committee meets again on Thursday.",
    "Why was I charged twice for the same transfer?",
    "Rain.",
    "Shares rose by 3.4 % after the company said that it would buy back stock worth 200 million.",
)


class QuantizeConfig(StepConfig):
    """Config of `quantize`.

    Attributes:
        model: a finetune step, or a checkpoint that one has made.
        scheme: name of a compression scheme (`gradus ls schemes`).
        data: what the result is measured on; left out: the data of the model's step.
    """

    model: str
    scheme: Annotated[str, Field(validate_default=True)] = "int8-dynamic"
    data: str | None = None

    @field_validator("scheme")
    @classmethod
    def _with_version(cls, scheme: str) -> str:
        try:
            return registry.resolve("schemes", scheme)
        except GradusError as error:
            raise ValueError(str(error)) from error


class Quantize(Step):
    """Compress a fine-tuned transformer under a scheme.

    What is handed to the scheme's runtime is compared with torch before it is compressed, and
    refused when it strays; how far the compressed checkpoint strays from its parent is measured
    afterwards on dev.gate (`parity_kl`, `parity_flips`), as its quality and cost are.
    """

    Config: ClassVar[type[StepConfig]] = QuantizeConfig
    seeded: ClassVar[bool] = False
    summary: ClassVar[str] = "make a fine-tuned classifier smaller and faster, without training"
    example: ClassVar[str] = """\
id: small
step: quantize
model: tuned
scheme: int8-dynamic
gates: ["accuracy >= tuned - 0.01", "latency_p50_ms <= 0.6 * tuned"]
"""

    @classmethod
    def needs(cls, config: QuantizeConfig) -> Needs:
        """One model, and the data set where one is named."""
        data = {} if config.data is None else {"data": config.data}
        return Needs(models={"model": config.model}, data=data)

    @classmethod
    def produces(cls, config: QuantizeConfig) -> frozenset[str]:
        """Quality, cost, and parity with the parent."""
        return frozenset(
            {*benchmarks.quality_metrics(), *CostBenchmark.metrics, *ParityBenchmark.metrics}
        )

    def run(self, config: QuantizeConfig, context: StepContext) -> StepOutcome:
        """Export, compress, save.

        Raises:
            CheckpointError: the model isn't a fine-tuned transformer, or its architecture can't
                be expressed in the scheme's format.
            MissingExtra: the scheme's runtime isn't installed.
        """
        import torch

        from gradus.checkpoints import save_checkpoint
        from gradus.compress.classifier import load_classifier

        torch.set_num_threads(context.threads)
        context.monitor.rewind(0)
        scheme: Scheme = registry.load("schemes", config.scheme)()
        ref, texts = context.models[config.model], _texts(context)
        start = time.perf_counter()
        staged = _empty(context.work / "staged")
        written = scheme.write(load_classifier(ref), staged, texts=texts)
        facts = {"scheme": config.scheme, **written.facts}
        saved = save_checkpoint(
            context.out / "checkpoint",
            kind=scheme.kind,
            labels=ref.labels,
            preprocessing=written.preprocessing,
            parents=(ref,),
            facts=facts,
            write=lambda folder: _move(staged, folder),
        )
        seconds = time.perf_counter() - start
        spread = _batch_effect(saved, texts, context.threads)
        return StepOutcome(
            checkpoint=context.out / "checkpoint",
            notes=written.notes,
            facts={**facts, "digest": saved.digest, "batch_effect_max_log_prob": spread},
            cost={"compress_seconds": seconds},
        )


def _texts(context: StepContext) -> Sequence[str]:
    if context.data is None or len(context.data.select) == 0:
        return FALLBACK_TEXTS
    return context.data.select.sample(SAMPLE_TEXTS).texts


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
    import numpy as np

    from gradus.predict import load

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
