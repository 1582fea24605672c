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
from gradus.records import CheckpointRef
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
        model: a step with `objective: classify`, or a checkpoint that one has made.
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
    """Greatest change of a log-probability, or a number, between a text alone and in company."""
    import numpy as np

    from gradus.predict import load

    predictor = load(ref, threads=threads, verify=False).predictor
    together = predictor.say(texts)
    alone = np.concatenate([predictor.say([text]) for text in texts])
    return float(np.abs(together - alone).max())
