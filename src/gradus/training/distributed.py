"""Training by several processes: replicas of the weights, or parts of them.

`Replicated` keeps the whole weights on every rank and sums gradients (data parallelism, Li et al.
2020, PyTorch Distributed). `Sharded` keeps a part of every weight, gradient and moment on each
rank and gathers a layer's weights when it is run (Rajbhandari et al. 2020, ZeRO, stage 3; Zhao et
al. 2023, PyTorch FSDP), by torch's ``fully_shard``.

Both train on the batches that one process would have: each rank takes its rows of every batch, a
loss is divided by the weight of the whole batch, and gradients are summed, never averaged. A text
with more targets so counts for more, wherever it is computed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from gradus import registry
from gradus.errors import TrainingError
from gradus.training.exchange import Exchange, PartDone

if TYPE_CHECKING:
    from gradus.training.config import StageConfig
    from gradus.training.task import Task

T = TypeVar("T")
BUCKET: Final = 8_000_000  # numbers summed in one message: 32 MB in float32
# The leader may measure or write for hours while others wait; torchrun sees to a rank that dies.
PATIENCE: Final = timedelta(days=7)
# Their state has the parameters' shape or none, so that a part of it can be cut from the whole.
SHARDABLE: Final = ("adamw", "lion", "sgd")


class Replicated(Exchange):
    """The whole weights on every rank.

    Attributes:
        control: group for numbers and objects, over the processors' own memory.
    """

    def __init__(self) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.control = dist.new_group(backend="gloo", timeout=PATIENCE)

    def begin(self, task: Task, stages: Sequence[StageConfig]) -> None:
        """The leader's weights everywhere; refuses losses that couple a batch's rows."""
        for number, stage in enumerate(stages, 1):
            if stage.chosen_loss.couples:
                name = registry.plain(stage.chosen_loss.name)
                raise TrainingError(
                    f"stage {number}: loss: {name} compares the rows of a batch with each other, "
                    f"and {self.world} processes hold parts of it: train in one process, or take "
                    "another loss"
                )
        self.begin_stage(task)

    def begin_stage(self, task: Task) -> None:
        """The leader's weights and buffers everywhere."""
        for module in (task.backbone.model, task.head):
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.is_floating_point():
                    dist.broadcast(tensor.data, 0)

    def share(self, make: Callable[[], T]) -> T:
        """By a pickle of what the leader made; an error there is one everywhere."""
        held: list[Any] = [None, None]
        if self.leads:
            try:
                held = [make(), None]
            except BaseException as error:
                told = f"{type(error).__name__}: {error}"
                dist.broadcast_object_list([None, told], 0, group=self.control)
                raise
        dist.broadcast_object_list(held, 0, group=self.control)
        if held[1] is not None:
            raise TrainingError(f"the first process failed: {held[1]}")
        made: T = held[0]
        return made

    def first(self, make: Callable[[], T]) -> T:
        """The others wait for the leader; an error there is one everywhere."""
        made: list[T] = []
        self.share(lambda: made.append(make()))
        return made[0] if self.leads else make()

    def deal(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Every `world`-th row, from this rank's number on: neighbours in a batch have like
        lengths, so parts do as well."""
        own = rows[self.rank :: self.world]
        return (own, 1.0) if len(own) else (rows[:1], 0.0)

    def seed(self, stage_seed: int, update: int) -> None:
        """A function of stage, update and rank, so that a resumed rank has nothing to restore."""
        if not self.leads:
            sequence = np.random.SeedSequence([stage_seed, update, self.rank])
            torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))

    def sum(self, *values: float) -> tuple[float, ...]:
        """In the order of ranks, the same everywhere."""
        return tuple(self._reduced(values, dist.ReduceOp.SUM).tolist())

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """By the greatest of 0 and 1."""
        return tuple(bool(v) for v in self._reduced(flags, dist.ReduceOp.MAX).tolist())

    def _reduced(self, values: Sequence[float], how: Any) -> torch.Tensor:
        held = torch.tensor([float(v) for v in values], dtype=torch.float64)
        dist.all_reduce(held, how, group=self.control)
        return held

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Summed in messages of at most `BUCKET` numbers; a parameter that no rank's loss reached
        keeps no gradient, as it would alone."""
        trained = list(parameters)
        reached = self.any(*(p.grad is not None for p in trained))
        gradients = []
        for parameter, wanted in zip(trained, reached, strict=True):
            if wanted and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if wanted and parameter.grad is not None:
                gradients.append(parameter.grad)
        _sum_over_ranks(gradients)

    def finish(self, task: Task) -> None:
        """The weights are whole; followers are done."""
        if not self.leads:
            raise PartDone


class Sharded(Replicated):
    """A part of every weight on each rank.

    Layers are gathered when they are run and let go of afterwards; embeddings, final norm and head
    stay gathered from a forward pass to the end of its backward pass, so that a loss may read
    them (tied embeddings, a loss cut into chunks).
    """

    shards: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self._before: list[_Plain] = []

    def begin(self, task: Task, stages: Sequence[StageConfig]) -> None:
        """Cut the weights up; refuses what needs them whole."""
        super().begin(task, stages)
        for number, stage in enumerate(stages, 1):
            self._refuse(number, stage, task, len(stages))
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, fully_shard

        # Hidden states are views of a packed row; nothing here works on them in place.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")

        model, layers = task.backbone.model, task.backbone.groups.layers
        device = next(model.parameters()).device.type
        mesh = init_device_mesh(device, (self.world,))
        units = [*layers, model]
        self._before = [_Plain(unit) for unit in units]
        # One unit with what isn't a layer: the head is gathered with the embeddings.
        model.add_module(_HEAD, nn.ModuleList(task.holders()))
        for unit in units:
            fully_shard(unit, mesh=mesh)
        del model._modules[_HEAD]
        for unit in units:
            assert isinstance(unit, FSDPModule)
            # Losses are divided by the whole batch's weight already.
            unit.set_gradient_divide_factor(1.0)
            unit.set_force_sum_reduction_for_comms(True)

    def _refuse(self, number: int, stage: StageConfig, task: Task, stages: int) -> None:
        optimiser = registry.plain(stage.optimiser.name)
        if stages > 1 or stage.train != "all" or stage.solved or task.backbone.groups.adapter:
            raise TrainingError(
                f"stage {number} (train: {stage.label}): sharded weights take one stage that "
                "trains all layers, without an adapter: leave GRADUS_SHARD out, so that every "
                "process holds the whole weights"
            )
        if optimiser not in SHARDABLE:
            raise TrainingError(
                f"stage {number}: optimiser: {optimiser} needs whole matrices, and the weights "
                f"are sharded: take one of {', '.join(SHARDABLE)}, or leave GRADUS_SHARD out"
            )

    def begin_stage(self, task: Task) -> None:
        """Before they are cut up the leader's; afterwards each rank's part is its own."""
        if not self._before:
            super().begin_stage(task)

    def finish(self, task: Task) -> None:
        """Gather the weights into plain parameters, and leave nothing of the cutting behind."""
        whole: dict[int, nn.Parameter] = {}
        for module in _modules(task) if self._before else ():
            for name, parameter in module._parameters.items():
                if parameter is None:
                    continue
                if id(parameter) not in whole:
                    # Tied weights stay one parameter. Followers drop what they help to gather.
                    gathered = _full(parameter.detach())
                    kept = gathered if self.leads else parameter.detach()
                    whole[id(parameter)] = nn.Parameter(kept, parameter.requires_grad)
                if self.leads:
                    module._parameters[name] = whole[id(parameter)]
        for plain in self._before:
            plain.restore()
        self._before = []
        super().finish(task)

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Done by the backward pass."""

    def clip(self, parameters: Iterable[nn.Parameter], most: float | None) -> torch.Tensor:
        """The norm over all ranks' parts."""
        return _full(super().clip(parameters, most))

    @contextmanager
    def examining(self) -> Iterator[None]:
        """Without inference mode, whose tensors the next backward pass couldn't use; and what a
        forward pass leaves gathered is let go of, since the weights change before the next."""
        from torch.distributed.fsdp import FSDPModule

        with torch.no_grad():
            yield
        for plain in self._before:
            if isinstance(plain.module, FSDPModule):
                plain.module.reshard()

    def whole(self, tensors: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """Gathered one after the other; only the leader keeps them."""
        found = {}
        for name, tensor in tensors.items():
            gathered = _full(tensor.detach())
            if self.leads:
                found[name] = gathered
        return found

    def put(self, into: torch.Tensor, value: torch.Tensor) -> None:
        """This rank's part."""
        into.copy_(self.like(value, into))

    def like(self, value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
        """Cut as the parameter is, where it has its shape."""
        from torch.distributed.tensor import DTensor, distribute_tensor

        if not isinstance(parameter, DTensor) or value.shape != parameter.shape:
            return value
        # Every rank has the whole value: it cuts, and nothing is sent.
        return distribute_tensor(
            value, parameter.device_mesh, parameter.placements, src_data_rank=None
        )


_HEAD: Final = "gradus_head"


class _Plain:
    """A module as it was before it was sharded: its class and its hooks."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.kind = module, type(module)
        self.hooks = {
            name: dict(value)
            for name, value in vars(module).items()
            if name.endswith(("_hooks", "_hooks_with_kwargs", "_hooks_always_called"))
        }

    def restore(self) -> None:
        """Put class and hooks back."""
        self.module.__class__ = self.kind
        for name, value in self.hooks.items():
            held = vars(self.module)[name]
            held.clear()
            held.update(value)


def _modules(task: Task) -> list[nn.Module]:
    return [m for one in (task.backbone.model, *task.holders()) for m in one.modules()]


def _full(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a tensor that may be cut up."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _sum_over_ranks(tensors: Sequence[torch.Tensor]) -> None:
    """In place, in flat messages, all under way at once."""
    with torch.no_grad():
        sent = []
        for bucket in _buckets(tensors):
            flat = torch.cat([t.reshape(-1) for t in bucket])
            sent.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
        for bucket, flat, work in sent:
            work.wait()
            parts = torch.split_with_sizes(flat, [t.numel() for t in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))


def _buckets(tensors: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Runs of tensors of one type and of at most `BUCKET` numbers, or of one tensor."""
    held: list[torch.Tensor] = []
    size = 0
    for tensor in tensors:
        if held and (size + tensor.numel() > BUCKET or tensor.dtype != held[0].dtype):
            yield held
            held, size = [], 0
        held.append(tensor)
        size += tensor.numel()
    if held:
        yield held
