"""Pruning in one round or in several, with training after each, resumable anywhere.

What a round has taken away is saved, with the weights, before its training begins; the training
itself is the one loop's, which resumes by itself. So a killed step goes on to the same bits.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from gradus.checkpoints.hashing import hash_json
from gradus.compress.prune import structure, weights
from gradus.compress.prune.evidence import Evidence
from gradus.compress.prune.subject import Subject
from gradus.steps.base import Monitor, StepContext
from gradus.training import shapes
from gradus.training.activations import autocast
from gradus.training.config import StageConfig
from gradus.training.loop import Trained, own_aligned_memory, put_weights, train
from gradus.training.packing import Batch
from gradus.training.shapes import Size
from gradus.training.storage import load_tensors, save_tensors
from gradus.training.task import Task, Texts

if TYPE_CHECKING:
    from gradus.steps.prune import PruneConfig

STATE: Final = "pruned.safetensors"
_WEIGHT, _MASK = "weight/", "mask/"
_SUMS: Final = ("train_tokens", "train_seconds", "flops")


@dataclass(slots=True)
class Pruned:
    """How far pruning is; JSON but for the masks.

    Attributes:
        round: rounds whose taking away is done.
        kept: numbers that the layers that remain had at first.
        sizes: what each of them holds, where heads or units were taken.
        masks: by parameter name, True where a weight stays.
        rows: rows of the curves before the round's training.
        stages: facts of the stages before it.
        cost: of those before it, and of pruning.
        rounds: what each round took, with the values on dev.select before its training.
    """

    round: int = 0
    kept: list[int] = field(default_factory=list)
    sizes: list[Size] | None = None
    masks: dict[str, torch.Tensor] = field(default_factory=dict)
    rows: int = 0
    stages: list[dict[str, Any]] = field(default_factory=list)
    cost: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)


def amounts(config: PruneConfig) -> list[float]:
    """The share that is gone after each round.

    After round t of n it is ``s (1 - (1 - t / n)^3)`` (Zhu and Gupta 2017, equation 1, from
    nothing): much is taken while there is much to spare.
    """
    if config.gradual is None:
        return [config.share]
    n, power = config.gradual.rounds, 3 if config.gradual.shape == "cubic" else 1
    return [config.share * (1 - (1 - t / n) ** power) for t in range(1, n + 1)]


def prune(subject: Subject, config: PruneConfig, context: StepContext, dtype: str) -> Pruned:
    """Take away and train, round after round, from where an earlier attempt stopped.

    Raises:
        TrainingError: too little would be left, or training fails.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    run = _Run(subject, config, context, dtype)
    plan = amounts(config)
    for number, amount in enumerate(plan, 1):
        if run.done.round < number:
            run.take(number, amount)
        elif run.done.round > number:
            continue
        last = number == len(plan)
        run.train(config.recover if last or not config.gradual else config.gradual.stages)
    return run.done


class _Run:
    def __init__(
        self, subject: Subject, config: PruneConfig, context: StepContext, dtype: str
    ) -> None:
        self.subject, self.config, self.context, self.dtype = subject, config, context, dtype
        self.task = subject.task
        # Sums over memory mapped from a file may round differently from those over loaded memory.
        own_aligned_memory(self.task)
        if config.structural:
            layers = structure.parts(self.task)
            self.originals = {what: structure.sizes(layers, what) for what in ("heads", "units")}
        self.count = self.task.backbone.layers
        self.path = context.work / STATE
        self.identity = hash_json({**subject.identity, "threads": torch.get_num_threads()})
        self.done = self._resume() or Pruned(kept=list(range(self.count)))
        if not self.done.round:
            context.monitor.rewind(0)

    def take(self, number: int, amount: float) -> None:
        """One round's taking away, saved."""
        began = time.perf_counter()
        for what in self.config.parts:
            self._take(what, amount)
        facts = {"amount": amount, **examined(self.task, torch.float32)}
        done, over = self.done, self._folder(self.done.round)
        done.round, done.rounds = number, [*done.rounds, facts]
        if self.config.structural:
            done.sizes = [layer.size for layer in structure.parts(self.task)]
        seconds = done.cost.get("prune_seconds", 0.0) + time.perf_counter() - began
        done.cost = {**done.cost, "prune_seconds": seconds}
        self._save()
        shutil.rmtree(over, ignore_errors=True)

    def _take(self, what: str, amount: float) -> None:
        config, task = self.config, self.task
        method = config.method_of(what)
        evidence = Evidence.of(task, config.calibration)
        if what == "weights":
            self.done.masks = self._masks(evidence, method, amount)
            weights.apply(task, self.done.masks)
        elif what == "layers":
            count = max(1, self.count - round(amount * self.count))
            keep = structure.layers_to_keep(evidence, count, method)
            self.done.kept = [self.done.kept[number] for number in keep]
            structure.cut_layers(task, keep)
        else:
            keep_units = structure.choose(
                structure.importance(evidence, what, method),
                1 - amount,
                self.originals[what],
                scope=config.scope_of(what),
                multiple=structure.UNITS if what == "units" else 1,
            )
            structure.cut(task, what, keep_units)

    def _masks(self, evidence: Evidence, method: str, amount: float) -> dict[str, torch.Tensor]:
        config = self.config
        if method == "wanda":
            return weights.wanda(self.task, evidence, amount, pattern=config.pattern)
        scope = config.scope_of("weights")
        return weights.magnitude(self.task, amount, pattern=config.pattern, scope=scope)

    def train(self, stages: Sequence[StageConfig]) -> None:
        """The training that follows a round."""
        if not stages:
            return
        done, work = self.done, self._folder(self.done.round)
        work.mkdir(exist_ok=True)
        parts = len(amounts(self.config))
        monitor = _Onward(self.context.monitor, done.rows, len(done.stages), done.round - 1, parts)
        with weights.held(self.task, done.masks):
            trained = train(
                self.task,
                stages,
                seed=(self.context.seed + 7_919 * (done.round - 1)) % 2**63,
                work=work,
                monitor=monitor,
                dtype=self.dtype,
                identity={**self.subject.identity, "round": str(done.round)},
            )
        done.rows += monitor.rows
        done.stages = [*done.stages, *(dict(stage) for stage in trained.stages)]
        done.cost = _added(done.cost, trained)

    def _folder(self, number: int) -> Path:
        return self.context.work / f"round-{number}"

    def _save(self) -> None:
        done = self.done
        tensors: dict[str, torch.Tensor] = {}
        tensors |= {f"{_WEIGHT}{name}": p for name, p in self.task.parameters().items()}
        tensors |= {f"{_MASK}{name}": mask for name, mask in done.masks.items()}
        facts = {
            "identity": self.identity,
            "round": done.round,
            "kept": done.kept,
            "sizes": None if done.sizes is None else [asdict(size) for size in done.sizes],
            "rows": done.rows,
            "stages": done.stages,
            "cost": done.cost,
            "rounds": done.rounds,
        }
        save_tensors(self.path, tensors, facts)

    def _resume(self) -> Pruned | None:
        """What an earlier attempt had taken away, put into the task; None for none."""
        if not self.path.is_file():
            return None
        tensors, facts = load_tensors(self.path)
        if facts.pop("identity") != self.identity:
            return None
        sizes = facts.pop("sizes")
        done = Pruned(
            **facts,
            sizes=None if sizes is None else [Size(**size) for size in sizes],
            masks={n.removeprefix(_MASK): t for n, t in tensors.items() if n.startswith(_MASK)},
        )
        if len(done.kept) < self.count:
            structure.cut_layers(self.task, done.kept)
        if done.sizes is not None:
            shapes.resize(self.task.backbone.model, done.sizes)
            self.task.backbone.look_again()
        put_weights(self.task, {n: t for n, t in tensors.items() if n.startswith(_WEIGHT)})
        return done


def _added(cost: Mapping[str, Any], trained: Trained) -> dict[str, Any]:
    """The cost with that of a training."""
    found = {**cost, **{name: cost.get(name, 0) + trained.cost[name] for name in _SUMS}}
    seconds = found["train_seconds"]
    found["tokens_per_second"] = found["train_tokens"] / seconds if seconds else 0.0
    found["stage_seconds"] = [*cost.get("stage_seconds", ()), *trained.cost["stage_seconds"]]
    return found


def examined(task: Task, dtype: torch.dtype) -> dict[str, float]:
    """The task's values on dev.select as it stands; nothing without such a split."""
    if not len(task.select):
        return {}
    task.backbone.model.eval()
    task.head.eval()

    def features(_: Texts, batch: Batch) -> torch.Tensor:
        return task.features(task.backbone.run(batch), batch.layout)

    with torch.inference_mode(), autocast(dtype):
        return dict(task.examine(features, dtype).values)


class _Onward:
    """A monitor of one of several trainings: stages and rows go on where the one before ended."""

    def __init__(self, monitor: Monitor, rows: int, stages: int, part: int, parts: int) -> None:
        self._monitor, self._before, self._stages = monitor, rows, stages
        self._part, self._parts = part, parts
        self.rows = 0

    def score(self, outputs: Any) -> dict[str, float]:
        return self._monitor.score(outputs)

    def point(self, **row: float | int | str) -> None:
        self.rows += 1
        stage = row.get("stage", 0)
        assert isinstance(stage, int)
        self._monitor.point(**{**row, "stage": stage + self._stages})

    def rewind(self, rows: int) -> None:
        self.rows = rows
        self._monitor.rewind(self._before + rows)

    def progress(self, done: float, total: float, text: str = "") -> None:
        share = done / total if total else 0.0
        self._monitor.progress(self._part + share, self._parts, text)

    def note(self, text: str) -> None:
        self._monitor.note(text)
