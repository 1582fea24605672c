"""Sample runs: the news plan done or stopped on its way, and one with 77 labels.

    python -m tests.report.runs FOLDER

writes them with their reports, to look at while working on the report.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradus.records import Answer, Measurement, State, StepRecord, Verdict

from .sample import Sample


def step(id_: str, kind: str, **known: Any) -> StepRecord:
    """A step's record with the usual states and folders filled in."""
    usual: dict[str, Any] = {
        "state": State.DONE,
        "checkpoint": f"steps/{id_}/checkpoint",
        "folder": f"steps/{id_}",
        "seconds": 12.0,
    }
    return StepRecord(id=id_, step=kind, **{**usual, **known})


Measured = dict[str, list[Measurement]]


def _floor(sample: Sample, after: Measured) -> StepRecord:
    """TF-IDF and the majority class."""
    return step(
        "floor",
        "baseline.v1",
        seconds=4.2,
        measurements=(*after["floor"], *after["floor.majority"]),
        cost={"seconds": 4.2, "peak_memory_mb": 212.0},
    )


def _zero_shot(sample: Sample, after: Measured) -> StepRecord:
    """A prompt without examples."""
    return step(
        "zero-shot",
        "prompt.v1",
        seconds=118.4,
        parents=("lm",),
        measurements=tuple(after["zero-shot"]),
        facts={"changes": [sample.change("zero-shot", "floor", after)]},
        cost={"seconds": 118.4, "tokens_per_second": 1390.0, "ceiling_share": 0.31},
        notes=("3 prompts were too long and lost examples from the far end.",),
    )


def _tuned(sample: Sample, after: Measured) -> StepRecord:
    """Three stages and two open gates."""
    accuracy = {name: found[0].value or 0.0 for name, found in after.items()}
    n = after["tuned"][0].n
    return step(
        "tuned",
        "finetune.v1",
        seconds=161.0,
        parents=("encoder",),
        measurements=tuple(after["tuned"]),
        curves=sample.curves("tuned"),
        gates=(
            Verdict(
                gate="accuracy >= 0.95",
                verdict=Answer.OPEN,
                why=f"accuracy {accuracy['tuned']:.3f} is at least 0.95",
                value=accuracy["tuned"],
                reference=0.95,
                n=n,
            ),
            Verdict(
                gate="accuracy > zero-shot",
                verdict=Answer.OPEN,
                why="a significant gain over zero-shot on the same items",
                test="exact McNemar",
                value=accuracy["tuned"],
                reference=accuracy["zero-shot"],
                difference=accuracy["tuned"] - accuracy["zero-shot"],
                ci_low=0.14,
                ci_high=0.31,
                p_value=0.0000004,
                n=n,
            ),
        ),
        facts={
            "changes": [
                sample.change("tuned", "zero-shot", after),
                sample.change("tuned", "floor", after),
            ]
        },
        cost={
            "seconds": 161.0,
            "train_tokens": 1_812_344,
            "tokens_per_second": 11_256.0,
            "flops": 2.31e13,
            "ceiling_share": 0.36,
            "peak_memory_mb": 1410.0,
        },
    )


def _small(sample: Sample, after: Measured) -> StepRecord:
    """Int8: one gate undecided, one without a claim."""
    accuracy = {name: found[0].value or 0.0 for name, found in after.items()}
    n = after["tuned"][0].n
    return step(
        "small",
        "quantize.v1",
        seconds=21.7,
        parents=("tuned",),
        measurements=tuple(after["small"]),
        gates=(
            Verdict(
                gate="accuracy >= tuned - 0.01",
                verdict=Answer.UNDECIDED,
                why="the interval of the difference reaches below \u22120.01: too few items",
                test="non-inferiority on the confidence bound",
                value=accuracy["small"],
                reference=accuracy["tuned"],
                difference=accuracy["small"] - accuracy["tuned"],
                ci_low=-0.027,
                ci_high=0.018,
                n=n,
                n_needed=1240,
            ),
            Verdict(
                gate="latency_p50_ms <= 0.6 * tuned",
                verdict=Answer.OPEN,
                why="5.2 ms against 0.6 * 11.4 ms",
                test="medians of interleaved timings",
                value=5.2,
                reference=11.4,
                n=50,
                claim=False,
            ),
        ),
        facts={"changes": [sample.change("small", "tuned", after)]},
        cost={"seconds": 21.7, "peak_memory_mb": 880.0},
    )


def news_steps(sample: Sample) -> list[StepRecord]:
    """The five steps of the news plan, all of them done."""
    names = ("floor", "floor.majority", "zero-shot", "tuned", "small")
    after = {name: sample.measurements(name, "dev.gate", cost=True) for name in names}
    tested = [m for name in names for m in sample.measurements(name, "test", cost=False)]
    made = [build(sample, after) for build in (_floor, _zero_shot, _tuned, _small)]
    final = step(
        "final",
        "evaluate.v1",
        seconds=33.9,
        parents=("floor", "zero-shot", "tuned", "small"),
        checkpoint=None,
        measurements=tuple(tested),
        cost={"seconds": 33.9},
    )
    return [*made, final]


def news_run(folder: Path, **changed: Any) -> Path:
    """A whole run of the news plan, done."""
    sample = Sample(folder)
    return sample.write(sample.record(State.DONE, news_steps(sample), **changed))


def banking_run(folder: Path) -> Path:
    """A run with 77 labels: one tuned checkpoint, read once on test."""
    labels = [f"intent_{i:02d}_of_a_customer" for i in range(77)]
    sample = Sample(folder, labels=labels, n=3080)
    tuned = step(
        "tuned",
        "finetune.v1",
        parents=("encoder",),
        measurements=tuple(sample.measurements("tuned", "dev.gate", cost=True)),
        curves=sample.curves("tuned"),
    )
    final = step(
        "final",
        "evaluate.v1",
        parents=("tuned",),
        checkpoint=None,
        measurements=tuple(sample.measurements("tuned", "test", cost=False)),
    )
    return sample.write(sample.record(State.DONE, [tuned, final]))


def stopped_run(folder: Path, state: State, edit: Callable[[list[StepRecord]], None]) -> Path:
    """The news run, changed by `edit` and ended in `state`."""
    sample = Sample(folder)
    steps = news_steps(sample)
    edit(steps)
    return sample.write(sample.record(state, steps))


if __name__ == "__main__":
    from gradus.report import write_report

    for made in (news_run(Path(sys.argv[1]) / "news"), banking_run(Path(sys.argv[1]) / "banking")):
        for path in write_report(made).values():
            print(path)
