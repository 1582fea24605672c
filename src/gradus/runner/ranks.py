"""A run by several processes (torchrun): the leader runs the plan, the others join where it trains.

::

    torchrun --nproc-per-node=2 -m gradus run PLAN

The leader (rank 0) does everything that one process would. When a step comes that several do
together (`Step.together`), it says so; each follower then loads the step's inputs for itself and
runs the same step in a folder of its own, which it drops afterwards. Only the exchange of the
training loop connects them. Imports nothing heavy: every command passes through `joined`.
"""

from __future__ import annotations

import base64
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus.errors import (
    EXIT_DONE,
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    GradusError,
    Interrupted,
    UsageError,
)

if TYPE_CHECKING:
    from gradus.records import CheckpointRef, Plan, StepSpec
    from gradus.runner.inputs import Inputs
    from gradus.steps.base import Step, StepContext, StepOutcome

PATIENCE: Final = timedelta(days=7)
# How long an error may come to a follower before it has come to the leader.
GRACE: Final = timedelta(seconds=60)
SHARD: Final = "GRADUS_SHARD"
_WANTED: Final = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a follower must know to join a step."""

    plan: Plan
    folder: Path
    spec: StepSpec
    seed: int
    dtype: str
    models: Mapping[str, CheckpointRef]
    digests: Mapping[str, str]


class Group:
    """This process among those that torchrun started.

    Messages go through torchrun's store, not through collectives: a follower that waits for the
    next step needn't know whether the last one ended well.
    """

    def __init__(self) -> None:
        import torch
        import torch.distributed as dist
        from torch.distributed.distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        from gradus.training.distributed import Replicated, Sharded

        _share_cores()
        store, rank, world = next(rendezvous("env://"))
        store.set_timeout(PATIENCE)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(
            backend,
            store=PrefixStore("collectives", store),
            rank=rank,
            world_size=world,
            timeout=PATIENCE,
        )
        self.store = PrefixStore("gradus", store)
        self.exchange = Sharded() if _sharded() else Replicated()
        self.calls = 0

    def call(self, call: Call) -> None:
        """Have the followers join a step."""
        self._say(base64.b64encode(pickle.dumps(call)).decode())

    def leave(self) -> None:
        """Let the followers go; they notice wherever they are."""
        self._say("")

    def _say(self, message: str) -> None:
        self.store.set(str(self.calls), message)
        self.calls += 1

    def hear(self) -> Call | None:
        """The leader's next call, as soon as it comes; None when it has left."""
        message = self.store.get(str(self.calls))
        self.calls += 1
        # What is read here was written by this run's first process.
        return pickle.loads(base64.b64decode(message)) if message else None  # noqa: S301

    def spoken(self, within: timedelta) -> bool:
        """Whether the leader's next call has come, or comes in time."""
        import torch.distributed as dist

        try:
            self.store.wait([str(self.calls)], within)
        except dist.DistStoreError:
            return False
        return True


_group: list[Group] = []


def _sharded() -> bool:
    value = os.environ.get(SHARD, "0")
    if value not in ("0", "1"):
        raise UsageError(
            f"{SHARD}={value}: it is 1 (each process holds a part of the weights) or 0"
        )
    return value == "1"


def _share_cores() -> None:
    """The processes of a machine share its cores, where nobody says how many each may use."""
    from gradus import hardware

    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    os.environ.setdefault("GRADUS_THREADS", str(max(1, hardware.threads() // here)))


def several() -> bool:
    """Whether torchrun (or a launcher that sets the same variables) started several processes."""
    return all(os.environ.get(name) for name in _WANTED) and int(os.environ["WORLD_SIZE"]) > 1


@contextmanager
def joined() -> Iterator[bool]:
    """Take part in the group of processes, where there is one; yields whether this one leads."""
    if not several():
        yield True
        return
    import torch.distributed as dist

    from gradus.training.exchange import taking_part

    group = Group()
    _group.append(group)
    try:
        with taking_part(group.exchange):
            yield group.exchange.leads
    finally:
        _group.pop()
        if group.exchange.leads:
            group.leave()
        dist.destroy_process_group()


def run(
    step: Step, config: Any, context: StepContext, spec: StepSpec, inputs: Inputs
) -> StepOutcome:
    """Run a step, together with the followers where it is one for several processes."""
    if not _group:
        return step.run(config, context)
    if not step.together:
        from gradus.training.exchange import Exchange, taking_part

        with taking_part(Exchange()):
            return step.run(config, context)
    call = Call(
        plan=inputs.plan,
        folder=inputs.folder.path,
        spec=spec,
        seed=context.seed,
        dtype=context.dtype,
        models=context.models,
        digests=digests(context),
    )
    _group[-1].call(call)
    return step.run(config, context)


def digests(context: StepContext) -> dict[str, str]:
    """The digest of everything that the step trains on."""
    corpora = {name: corpus.digest for name, corpus in context.corpora.items()}
    return corpora | {name: data.digest for name, data in context.datasets.items()}


def follow() -> int:
    """Join every step that the leader calls for, until it leaves; returns the exit code."""
    group = _group[-1]
    inputs: Inputs | None = None
    while (call := group.hear()) is not None:
        inputs = _inputs(call, inputs)
        try:
            _join(call, inputs)
        except Interrupted:
            # Not necessarily agreed on: the leader may wait for this process's part, and only
            # sees that none will come when the connection breaks.
            return EXIT_INTERRUPTED
        except (GradusError, RuntimeError) as error:
            # What ends the leader's step as well is the leader's to say; a connection breaks
            # when it leaves.
            if not group.spoken(GRACE):
                if isinstance(error, RuntimeError):
                    raise
                print(f"process {group.exchange.rank}: {error}", file=sys.stderr)
                return EXIT_ERROR
    return EXIT_DONE


def _inputs(call: Call, known: Inputs | None) -> Inputs:
    """The run's inputs, loaded once."""
    from gradus.runner.inputs import Inputs
    from gradus.runner.store import RunFolder

    if known is not None and known.folder.path == call.folder:
        return known
    return Inputs(call.plan, RunFolder(call.folder))


def _join(call: Call, inputs: Inputs) -> None:
    """Run the leader's step in a folder of this process's own."""
    from gradus import registry
    from gradus.runner.context import step_context
    from gradus.training.exchange import PartDone

    step: Step = registry.load("steps", call.spec.kind)()
    with tempfile.TemporaryDirectory(prefix="gradus-rank-") as folder:
        context, _ = step_context(
            call.spec,
            inputs,
            place=Path(folder),
            seed=call.seed,
            models=call.models,
            dtype=call.dtype,
        )
        own = digests(context)
        if own != call.digests:
            differ = ", ".join(name for name in call.digests if own.get(name) != call.digests[name])
            raise UsageError(
                f"{differ}: this process reads other data than the first one: let every node see "
                "the same files at the same places"
            )
        config = step.Config.model_validate(dict(call.spec.config))
        with suppress(PartDone):
            step.run(config, context)
