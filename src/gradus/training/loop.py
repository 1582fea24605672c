"""The one training loop. What differs between objectives is a `Task`, handed to it.

A stage is a pure function of the weights it begins with, its settings, the data and the seed:
each begins by seeding torch's generator from the step's seed and its own index, so a stage that
is resumed draws what it would have drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gradus import hardware, registry
from gradus.checkpoints.hashing import hash_json
from gradus.errors import TrainingError
from gradus.steps.base import Monitor
from gradus.training.activations import Activations
from gradus.training.config import StageConfig
from gradus.training.exchange import Exchange, current
from gradus.training.gradient import GradientStage
from gradus.training.groups import select
from gradus.training.interrupts import Interrupts
from gradus.training.long import LongStage
from gradus.training.losses.base import Loss
from gradus.training.pretraining import PretrainStage
from gradus.training.stage import Probe, Shared
from gradus.training.state import Progress, load_state, save_state
from gradus.training.storage import load_tensors
from gradus.training.task import Task
from gradus.training.within import TEXTS, Boundary, Paused
from gradus.training.within import current as current_within

SAVE_SECONDS = 15.0
# How long a launcher may take to stop this process after another one has left.
LAUNCHER_SECONDS = 5.0
# The most of a long training's time that saving its state takes.
SAVE_SHARE = 0.01
WATCHED = ("validation_seconds", "checkpoint_seconds", "probe_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of training; the weights are in the task.

    `stages` holds each stage's facts (train, updates, epochs, the last evaluation, ...); `cost`
    has ``train_tokens``, ``train_seconds``, ``tokens_per_second``, ``flops`` and
    ``stage_seconds``.
    """

    stages: Sequence[Mapping[str, Any]]
    cost: Mapping[str, Any]


def train(
    task: Task,
    stages: Sequence[StageConfig],
    *,
    seed: int,
    work: Path,
    monitor: Monitor,
    dtype: str = "float32",
    identity: Mapping[str, str] | None = None,
    save_seconds: float = SAVE_SECONDS,
    probes: Sequence[Probe] = (),
    ceiling: float | None = None,
) -> Trained:
    """Train `task` through all `stages`, from the state in `work` if one is there.

    Args:
        task: the model and its objective; its weights are changed in place.
        stages: at least one.
        seed: of batches and dropout.
        work: folder for state and caches; must exist.
        monitor: gets the curves.
        dtype: ``float32`` or ``bfloat16`` (autocast; the weights stay float32).
        identity: what a state must agree with to be gone on from (settings, digests);
            ``data`` is the data's digest.
        save_seconds: least time between saves; 0 saves after every update.
        probes: what a `PretrainStage` looks at beside dev.select at each validation, with the
            weights that are validated; what they return joins the curves.
        ceiling: operations a second of the matrix product in `dtype`, to say what share of it a
            `PretrainStage` reaches; None says nothing.

    Raises:
        TrainingError: the loss isn't finite, nothing trains, there are no examples.
        DataChanged: an unfinished training began on other data.
        StorageError: the disk is full; the state saved last is intact.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    if not len(task.train):
        raise TrainingError("the train split has no examples")
    with hardware.kept_memory(), Interrupts() as interrupts:
        run = _Run(task, stages, seed, work, monitor, getattr(torch, dtype), interrupts)
        run.identity = {**(identity or {}), "stages": repr(tuple(stages)), "seed": str(seed)}
        run.identity |= {"dtype": dtype, "threads": str(torch.get_num_threads())}
        run.save_seconds, run.probes, run.ceiling = save_seconds, probes, ceiling
        try:
            return run.run()
        except RuntimeError:
            # Where all are stopped, another process may leave first, and the connection breaks.
            if run.exchange.world > 1:
                interrupts.check(within=LAUNCHER_SECONDS)
            raise


class _Run:
    """All stages of one training, with its state on disk."""

    identity: dict[str, str]
    save_seconds: float
    probes: Sequence[Probe]
    ceiling: float | None

    def __init__(
        self,
        task: Task,
        stages: Sequence[StageConfig],
        seed: int,
        work: Path,
        monitor: Monitor,
        dtype: torch.dtype,
        interrupts: Interrupts,
    ) -> None:
        self.task, self.stages, self.seed, self.work = task, stages, seed, work
        self.monitor, self.dtype, self.interrupts = monitor, dtype, interrupts
        self.progress = Progress()
        # All of them now: what is wrong with the last stage's shows before the first one trains.
        self.losses = [make_loss(stage, task) for stage in stages]
        self._since = time.monotonic()
        self._saved_at, self._saving = self._since, 0.0
        self.exchange = current()

    def run(self) -> Trained:
        own_aligned_memory(self.task)
        self.exchange.begin(self.task, self.stages)
        saved = self._resume()
        try:
            for index in range(self.progress.stage, len(self.stages)):
                self._boundary(index)
                self._stage(index, saved)
                saved = None
        finally:
            self._tell_spent()
        self.exchange.finish(self.task)
        return Trained(stages=tuple(self.progress.stages), cost=self._cost())

    def _tell_spent(self) -> None:
        """Whoever runs this inside another step pays for it, also where it fails."""
        spent = current_within().spent
        if spent is not None:
            spent.tokens += self.progress.tokens
            spent.seconds += sum(self.progress.seconds) + time.monotonic() - self._since

    def _resume(self) -> dict[str, torch.Tensor] | None:
        found = self.exchange.share(lambda: load_state(self.work, self.identity))
        if found is None:
            self.monitor.rewind(0)
            self.progress.begin_stage(0)
            return None
        self.progress, tensors = found
        self.monitor.rewind(self.progress.rows)
        put_weights(self.task, tensors, self.exchange)
        return tensors

    def _boundary(self, index: int) -> None:
        """Ask whoever runs this inside another step whether stage `index` shall begin.

        Also after a resume, as long as the stage hasn't begun: the answer may have been lost.

        Raises:
            Paused: it shall not; the state is saved.
        """
        progress, asked = self.progress, current_within().boundary
        if asked is None or not index or progress.update:
            return
        facts = progress.stages[-1]
        values = {
            name.removeprefix("select_"): float(value)
            for name, value in facts.items()
            if name.startswith("select_") and isinstance(value, int | float)
        }
        boundary = Boundary(
            stage=index,
            stages=len(self.stages),
            values=values,
            tokens=progress.tokens,
            seconds=sum(progress.seconds),
        )
        if not asked(boundary):
            raise Paused(boundary)

    def _stage(self, index: int, saved: Mapping[str, torch.Tensor] | None) -> None:
        stage, task, progress = self.stages[index], self.task, self.progress
        self._since = time.monotonic()
        chosen, low = select(
            stage, task.backbone.groups, [n for n, _ in task.head.named_parameters()]
        )
        progress.changed = sorted({*progress.changed, *chosen})
        torch_seed = (self.seed * 1_000_003 + index) % 2**63
        if progress.update == 0:
            torch.manual_seed(torch_seed)
        caches = Activations(
            task, self._cache(low), low, self.dtype, self.interrupts.check, self._texts(low)
        )
        shared = Shared(
            task=task,
            stage=stage,
            loss=self.losses[index],
            index=index,
            stages=len(self.stages),
            seed=self.seed,
            low=low,
            dtype=self.dtype,
            caches=caches,
            monitor=self.monitor,
            progress=progress,
            work=self.work,
            exchange=self.exchange,
            torch_seed=torch_seed,
            clock=lambda: progress.seconds[index] + time.monotonic() - self._since,
            probes=self.probes,
            ceiling=self.ceiling,
        )
        text = f"stage {index + 1} of {len(self.stages)}: frozen features"
        self.monitor.progress(index, len(self.stages), text)
        caches.fill()
        if stage.solved:
            facts = shared.solve()
        else:
            self.exchange.begin_stage(task)
            kind = LongStage if isinstance(stage, PretrainStage) else GradientStage
            facts = kind(shared, chosen, saved).run(self._after_update, self._save)
        progress.flops += shared.frozen_flops()
        progress.stages.append({"stage": index, "train": stage.label, "low": low, **facts})
        self._tick()
        progress.begin_stage(index + 1)
        self._save({})
        self._stop_if_asked()

    def _cache(self, low: int) -> Path:
        """Where frozen activations are kept: with others, as long as no stage of this training has
        changed what lies below `low`; else they would be of no use to them.

        Others are those that differ in their stages and seed alone. The files' names say which data
        and weights they are of, not how texts are prepared, cut or masked before the weights see
        them.
        """
        shared = self._shared(low)
        if shared is None:
            return self.work
        alike = {k: v for k, v in self.identity.items() if k not in ("stages", "seed")}
        place = shared / hash_json(alike)[:12]
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _texts(self, low: int) -> Path | None:
        """Where activations are kept text by text, for trainings on other data of the same model;
        None where features rest on more than tokens and weights."""
        shared, reading = self._shared(low), self.task.reading
        if shared is None or reading is None:
            return None
        # Of data and preparations the tokens say what matters, which are what texts are found by.
        apart = ("stages", "seed", "data", "preprocessing")
        alike = {k: v for k, v in self.identity.items() if k not in apart}
        return shared / TEXTS / hash_json({**alike, "reading": reading})[:12]

    def _shared(self, low: int) -> Path | None:
        """The folder that is shared with others, where what lies below `low` is as it came."""
        groups = self.task.backbone.groups
        own = any(
            name in groups.group_of and groups.depth(groups.group_of[name]) < low
            for name in self.progress.changed
        )
        return None if own or low < 1 else current_within().shared

    def _after_update(self, extra: Callable[[], dict[str, torch.Tensor]]) -> None:
        due = time.monotonic() - self._saved_at >= self._wait()
        due, asked = self.exchange.any(due, self.interrupts.asked is not None)
        if due or asked:
            self._save(extra())
        self._stop_if_asked(asked)

    def _wait(self) -> float:
        """Seconds between two saves: saving a large long training takes a small share of it."""
        if not self._long or not self.save_seconds:
            return self.save_seconds
        return max(self.save_seconds, self._saving / SAVE_SHARE)

    @property
    def _long(self) -> bool:
        stage = self.progress.stage
        return stage < len(self.stages) and isinstance(self.stages[stage], PretrainStage)

    def _stop_if_asked(self, agreed: bool | None = None) -> None:
        """Raise `Interrupted` in all processes when any of them was asked to stop."""
        if agreed is None:
            (agreed,) = self.exchange.any(self.interrupts.asked is not None)
        if agreed:
            self.interrupts.stop()

    def _save(self, extra: Mapping[str, torch.Tensor]) -> None:
        self._tick()
        began = time.monotonic()
        parameters = self.task.parameters()
        weights = {f"weight/{n}": parameters[n] for n in self.progress.changed}
        tensors = self.exchange.whole({**weights, **extra})
        if self.exchange.leads:
            save_state(self.work, self.identity, self.progress, tensors)
        self._saved_at = time.monotonic()
        self._saving = self._saved_at - began
        if self._long:
            self.progress.watched.checkpoint_seconds += self._saving

    def _tick(self) -> None:
        now = time.monotonic()
        self.progress.seconds[self.progress.stage] += now - self._since
        self._since = now

    def _cost(self) -> dict[str, Any]:
        progress = self.progress
        by_stage = progress.seconds[: len(self.stages)]
        seconds = sum(by_stage)
        watched = progress.watched
        whole = {name: getattr(watched, name) for name in WATCHED} if watched.validations else {}
        if whole and self.ceiling and seconds:
            whole["ceiling_share"] = progress.flops / seconds / self.ceiling
        return {
            **whole,
            "train_tokens": progress.tokens,
            "train_seconds": seconds,
            "tokens_per_second": progress.tokens / seconds if seconds else 0.0,
            "flops": progress.flops,
            "stage_seconds": by_stage,
        }


def make_loss(stage: StageConfig, task: Task) -> Loss:
    """The loss of a stage for the labels of a task.

    Raises:
        TrainingError: it asks for what the task's labels don't have.
    """
    config = stage.chosen_loss
    if not task.chooses_loss and stage.loss != StageConfig().loss:
        raise TrainingError(
            f"loss: {registry.plain(config.name)}: objective {task.name} has a loss of its own on "
            "these data: leave loss out"
        )
    if not task.chooses_loss:
        # A loss that nobody chose says nothing: what smoothing there is, the stage asked for.
        config = config.model_copy(update={"label_smoothing": stage.label_smoothing or 0.0})
    loss: Loss = registry.load("losses", config.name)(config, task.classes)
    return loss


def own_aligned_memory(task: Task) -> None:
    """Give every weight memory of its own.

    Weights mapped from a file lie at odd addresses, and sums over odd addresses may round
    differently from those over aligned ones: a resumed process must compute the same bits.
    """
    for module in (task.backbone.model, task.head):
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.data = tensor.data.clone()


def put_weights(
    task: Task, tensors: Mapping[str, torch.Tensor], exchange: Exchange | None = None
) -> None:
    """Copy ``weight/NAME`` tensors into the task's parameters."""
    exchange = exchange or Exchange()
    parameters = task.parameters()
    with torch.no_grad():
        for key, value in tensors.items():
            if key.startswith("weight/"):
                exchange.put(parameters[key.removeprefix("weight/")], value)


def load_weights(task: Task, path: Path) -> None:
    """Put back weights saved with `gradus.training.storage.save_tensors`."""
    put_weights(task, load_tensors(path)[0])
