"""The settings of measuring: a plan's ``measure:`` section."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dtype: Literal["float32", "bfloat16"] = "float32"
    level: float = Field(default=0.95, gt=0.5, lt=1.0)
    bootstrap: int = Field(default=2000, ge=100)
    latency_texts: int = Field(default=50, ge=1)
    latency_repeats: int = Field(default=5, ge=1)
    cost: bool = True
    dev_sample: int | None = Field(default=None, ge=1)
