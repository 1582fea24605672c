"""The settings of measuring: a plan's ``measure:`` section."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gradus.errors import unknown

SLICINGS: Final = ("length", "label", "language")


class HoldoutConfig(BaseModel):
    """dev.gate answers through Thresholdout; see `gradus.stats.thresholdout`.

    Attributes:
        threshold: how far dev.select and dev.gate may differ before dev.gate itself answers.
        sigma: rate of the noise; both are shares of the metric's range.
        budget: how often dev.gate itself may answer, over all runs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(default=0.04, gt=0, lt=1)
    sigma: float = Field(default=0.002, gt=0, lt=1)
    budget: int = Field(default=20, ge=1)


class MeasureConfig(BaseModel):
    """How the runner measures; part of every measurement's contract.

    Attributes:
        dtype: arithmetic of evaluation. A comparison across dtypes is a parity check.
        level: confidence level of intervals and of the gates' tests, as a share.
        bootstrap: number of bootstrap draws.
        latency_texts: number of texts timed one at a time.
        latency_repeats: how often each of them is timed, interleaved between checkpoints.
        cost: whether latency, throughput, memory and size are measured at all.
        dev_sample: at most so many items of dev.gate, chosen by content hash; null for all.
        slices: what results are broken down by: ``length`` (words, in quarters of train),
            ``label`` (the true one), ``language`` (the script of most letters) or ``column:NAME``,
            a column that the data keep (``columns: {keep: [NAME]}``).
        slice_least: slices of fewer items aren't measured.
        window: most tokens of a language model's pass over a corpus; null for the model's limit.
        stride: tokens from one of these windows to the next; null for the window, so that they
            don't overlap.
        reusable_holdout: for who must look often: gates on dev.gate of a data set are answered
            through Thresholdout, and nothing else is shown of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dtype: Literal["float32", "bfloat16"] = "float32"
    level: float = Field(default=0.95, gt=0.5, lt=1.0)
    bootstrap: int = Field(default=2000, ge=100)
    latency_texts: int = Field(default=50, ge=1)
    latency_repeats: int = Field(default=5, ge=1)
    cost: bool = True
    dev_sample: int | None = Field(default=None, ge=1)
    slices: tuple[str, ...] = ()
    slice_least: int = Field(default=20, ge=2)
    window: int | None = Field(default=None, ge=2)
    stride: int | None = Field(default=None, ge=1)
    reusable_holdout: HoldoutConfig | None = None

    @field_validator("slices")
    @classmethod
    def _known_slicings(cls, slices: tuple[str, ...]) -> tuple[str, ...]:
        for name in slices:
            column = name.removeprefix("column:")
            if name not in SLICINGS and (column == name or not column):
                raise ValueError(f"{unknown('slicing', name, SLICINGS)}; a column is column:NAME")
            if column != name and column in SLICINGS:
                raise ValueError(f"'{name}' would be called '{column}', which is a slicing itself")
        twice = sorted({name for name in slices if slices.count(name) > 1})
        if twice:
            raise ValueError(f"named more than once: {', '.join(twice)}")
        return slices
