"""What an objective is. Imports nothing heavy: `gradus ls` and `gradus check` read objectives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from gradus.records import CheckpointRef

if TYPE_CHECKING:
    from gradus.data.dataset import TrainingData
    from gradus.steps.base import Monitor
    from gradus.training.task import Task

COSTS = ("latency_p50_ms", "latency_p95_ms", "throughput_texts_s", "peak_memory_mb", "size_mb")


class ObjectiveConfig(BaseModel):
    """Base of every objective's config: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A task that is ready to be trained.

    Attributes:
        task: what the loop trains.
        notes: sentences for the report.
        facts: JSON for the report.
        save: writes all files of a checkpoint but the manifest into a folder.
        labels: label names in the order of the outputs.
        preprocessing: the manifest's.
        kind: the checkpoint's kind.
        settle: called once after training; what it gives joins `preprocessing`.
    """

    task: Task
    save: Callable[[Path], None]
    labels: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    kind: str = "transformer"
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    settle: Callable[[], Mapping[str, Any]] = dict


class Objective(ABC):
    """An objective: turns weights and data into a `Task` and a trained task into files.

    Class attributes:
        Config: its typed config; what a plan writes under ``objective`` beside ``name``.
        summary: one line for `gradus ls`.
        example: ``objective:`` as it stands in a plan, in YAML.
        headed: whether it puts a head on the model that can be trained by itself.
        corpora: whether it learns from corpora, by step `pretrain`, and not from labelled data.
    """

    Config: ClassVar[type[ObjectiveConfig]]
    summary: ClassVar[str]
    example: ClassVar[str]
    headed: ClassVar[bool] = True
    corpora: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def metrics(cls) -> frozenset[str]:
        """Plain names of the metrics that its checkpoints can be measured by."""

    @abstractmethod
    def prepare(
        self,
        config: Any,
        *,
        ref: CheckpointRef,
        data: TrainingData,
        monitor: Monitor,
        max_tokens: int | None,
        seed: int,
    ) -> Prepared:
        """Load weights, tokenise, build the head.

        Raises:
            CheckpointError: the weights can't be read.
            TrainingError: the data don't fit the objective.
        """
