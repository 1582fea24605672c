"""What the ranks of a training hand each other; alone, nothing.

Every rank runs the same loop in lockstep: the same batches are planned, each rank takes its share
of every batch, gradients are summed, and the weights stay the same everywhere. What hangs on the
clock, on signals or on the disk is agreed on. Only the leader (rank 0) writes.

`Exchange` is the training of one process: every method is what the loop does anyway, to the bit.
`gradus.training.distributed` has those of several.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from gradus.training.config import StageConfig
    from gradus.training.task import Task

T = TypeVar("T")


class PartDone(Exception):
    """A follower's part of a step ends with the training: saving what came of it is the leader's,
    which alone holds the whole weights then."""


class Exchange:
    """One process.

    Attributes:
        rank: this process's number, from 0.
        world: number of processes.

    Class attributes:
        shards: whether each rank holds a part of the weights only; what isn't the loop (samples,
            benchmarks) can't run the model then.
    """

    rank: int = 0
    world: int = 1
    shards: ClassVar[bool] = False

    @property
    def leads(self) -> bool:
        """Whether this rank writes."""
        return self.rank == 0

    def begin(self, task: Task, stages: Sequence[StageConfig]) -> None:
        """Before training: the leader's weights everywhere, in parts where they are sharded.

        Raises:
            TrainingError: these stages can't be trained by several processes.
        """

    def begin_stage(self, task: Task) -> None:
        """The leader's weights everywhere, also where a stage before solved its head."""

    def finish(self, task: Task) -> None:
        """After training: the whole weights in the task again, on the leader.

        Raises:
            PartDone: on every other rank.
        """

    def share(self, make: Callable[[], T]) -> T:
        """What `make` returns on the leader, where alone it is called."""
        return make()

    def first(self, make: Callable[[], T]) -> T:
        """What `make` returns, called on the leader before the others, which find what it left on
        the disk."""
        return make()

    def deal(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """This rank's part of the rows of a batch, and the factor of its loss.

        The factor is 1, or 0 for a rank without rows of its own, which stands in with another's:
        all ranks run the model equally often.
        """
        return rows, 1.0

    def seed(self, stage_seed: int, update: int) -> None:
        """Before an update: random numbers that differ from rank to rank; the leader's own
        generator goes on as it would alone."""

    def sum(self, *values: float) -> tuple[float, ...]:
        """Each value summed over the ranks, in float64."""
        return values

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag: whether it is set on any rank."""
        return flags

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """After the last backward pass of an update: gradients summed over the ranks."""

    def clip(self, parameters: Iterable[nn.Parameter], most: float | None) -> torch.Tensor:
        """The norm of all gradients together, which are then scaled so that it is at most `most`
        (no bound when None)."""
        return nn.utils.clip_grad_norm_(list(parameters), most or math.inf, foreach=True)

    @contextmanager
    def examining(self) -> Iterator[None]:
        """The model is run in the block without learning from it."""
        with torch.inference_mode():
            yield

    def whole(self, tensors: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """What a file holds of `tensors`; every rank must call it, the leader alone gets them."""
        return tensors

    def put(self, into: torch.Tensor, value: torch.Tensor) -> None:
        """Copy the whole `value` into a weight, or this rank's part of it."""
        into.copy_(value)

    def like(self, value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
        """The whole `value`, or the part of it that belongs to this rank's part of `parameter`."""
        return value


_current = [Exchange()]


def current() -> Exchange:
    """The exchange that trainings of this process take part in."""
    return _current[-1]


@contextmanager
def taking_part(exchange: Exchange) -> Iterator[None]:
    """Trainings in the block take part in `exchange`."""
    _current.append(exchange)
    try:
        yield
    finally:
        _current.pop()
