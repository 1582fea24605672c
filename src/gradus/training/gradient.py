"""A stage of gradient steps with early stopping."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gradus import registry
from gradus.errors import TrainingError
from gradus.training.average import Average
from gradus.training.optimiser import StageOptimiser
from gradus.training.packing import Batch, epoch_batches
from gradus.training.schedules import factor
from gradus.training.stage import Shared
from gradus.training.storage import load_tensors, save_tensors, write_whole

BATCH_SIZE = 32
DEFAULT_EPOCHS = 3
POINTS_AN_EPOCH = 10


class GradientStage:
    """Updates of one stage, from its beginning or from where a state left off."""

    def __init__(
        self, shared: Shared, chosen: Mapping[str, str], saved: Mapping[str, torch.Tensor] | None
    ) -> None:
        self.shared, self.stage, self.task = shared, shared.stage, shared.task
        self.progress, self.exchange = shared.progress, shared.exchange
        everything = self.task.parameters()
        self.trained: dict[str, nn.Parameter] = {name: everything[name] for name in chosen}
        for name, parameter in everything.items():
            parameter.requires_grad_(name in chosen)
            parameter.grad = None
        groups = self.task.backbone.groups
        self.optimiser = StageOptimiser(everything, chosen, self.stage, groups)
        self.average = Average(self.stage.average, self.trained)
        if saved is not None:
            own = self._own(saved)
            self.optimiser.restore(own)
            self.average.restore(own)
        self._dropping = [
            layer
            for k, layer in enumerate(self.task.backbone.groups.layers)
            if f"layer.{k}" in chosen.values()
        ]
        self._embeds = "embeddings" in chosen.values()
        self._per_token = self._flops_a_token(everything)
        self.total = self._plan()

    def run(
        self,
        after_update: Callable[[Callable[[], dict[str, torch.Tensor]]], None],
        save: Callable[[Mapping[str, torch.Tensor]], None],
    ) -> dict[str, Any]:
        """All epochs; returns facts of the stage."""
        progress, self._save = self.progress, save
        with self._dropout():
            # An epoch is over when its evaluation is: `done` then goes back to 0.
            while progress.done or (progress.update < self.total and not self._out_of_patience()):
                self._epoch(after_update)
                self._end_of_epoch()
                save(self.tensors())
        self._settle()
        return {
            "optimiser": registry.plain(self.stage.optimiser.name),
            **({"loss": registry.plain(self.stage.loss.name)} if self.task.chooses_loss else {}),
            "updates": progress.update,
            "epochs": progress.epoch,
            "stopped_early": progress.update < self.total,
            **progress.evaluation,
        }

    def _own(self, saved: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What a file holds, of tensors shaped as a parameter the part that this process has."""
        found = dict(saved)
        for place, tensor in saved.items():
            parameter = self.trained.get(place.rpartition("/")[2])
            if parameter is not None and parameter.shape == tensor.shape:
                found[place] = self.exchange.like(tensor, parameter)
        return found

    def tensors(self) -> dict[str, torch.Tensor]:
        """What the state must hold beside the weights."""
        return {**self.optimiser.export(), **self.average.export()}

    def _updates(self, epoch: int) -> list[list[np.ndarray]]:
        stage = self.stage
        size = stage.batch_size or (None if stage.batch_tokens else BATCH_SIZE)
        seed = (self.shared.seed, self.shared.index, epoch)
        lengths = self.task.train.lengths
        batches = epoch_batches(lengths, seed, size=size, tokens=stage.batch_tokens)
        return [batches[i : i + stage.accumulate] for i in range(0, len(batches), stage.accumulate)]

    def _epochs(self) -> float:
        """Passes over train, where updates aren't counted."""
        return self.stage.epochs or DEFAULT_EPOCHS

    def _plan(self) -> int:
        """Number of updates of the stage."""
        if self.stage.steps is not None:
            return self.stage.steps
        epochs = self._epochs()
        whole = math.floor(epochs)
        if self.stage.batch_tokens is None:
            return max(1, math.ceil(epochs * len(self._updates(0))))
        # The number of batches depends on the shuffle when tokens bound them.
        total = sum(len(self._updates(e)) for e in range(whole))
        rest = epochs - whole
        return max(1, total + math.ceil(rest * len(self._updates(whole)) if rest else 0))

    def _epoch(self, after_update: Callable[[Callable[[], dict[str, torch.Tensor]]], None]) -> None:
        progress, task = self.progress, self.task
        task.begin_epoch(progress.epoch)
        updates = self._updates(progress.epoch)
        self._train_mode()
        for place in range(progress.done, len(updates)):
            self._before_update(progress.epoch + place / len(updates))
            if progress.update >= self.total or self._out_of_patience():
                break
            rate = self._update(updates[place])
            progress.done = place + 1
            self._log(rate, len(updates))
            after_update(self.tensors)
            self._show()

    def _before_update(self, at: float) -> None:
        """What is due between two updates, `at` that many epochs: nothing, in a short stage."""

    def _log(self, rate: float, updates: int) -> None:
        """A point of the training curve where one is due in an epoch of so many updates."""
        progress = self.progress
        every = max(1, math.ceil(updates / POINTS_AN_EPOCH))
        if self.stage.schedule == "range-test":
            every = 1
        last = progress.done == updates or progress.update == self.total
        if progress.done % every == 0 and not last:
            at = progress.epoch + progress.done / updates
            self.shared.point(at, rate, **self._recent())

    def _recent(self) -> dict[str, float]:
        """Means since the last row of the curves, for the next; they begin anew."""
        progress, weight = self.progress, self.progress.recent[1]
        terms = {f"train_{name}": sums[1] / weight for name, sums in progress.terms.items()}
        row = {"train_loss": progress.recent[0] / weight, **terms, **self.task.standing()}
        progress.recent = [0.0, 0.0]
        for sums in progress.terms.values():
            sums[1] = 0.0
        return row

    def _update(self, parts: Sequence[np.ndarray]) -> float:
        """One update from the summed gradients of the batches `parts`; returns the learning rate.

        Where several processes train, each has its share of every batch, and what is decided here
        is decided from sums over all of them.
        """
        progress, stage, task, exchange = self.progress, self.stage, self.task, self.exchange
        rate = self._rate(progress.update)
        self.optimiser.set_rates(rate / stage.rate)
        exchange.seed(self.shared.torch_seed, progress.update)
        dealt = [exchange.deal(rows) for rows in parts]
        batches = [(task.train.batch(rows), share) for rows, share in dealt]
        own = [batch for batch, share in batches if share]
        weight, tokens, flops = exchange.sum(
            sum(task.weight(batch) for batch in own),
            sum(batch.layout.tokens for batch in own),
            sum(task.flops(batch.layout, self._per_token) for batch in own),
        )
        terms: dict[str, float] = {}
        values = exchange.sum(
            *(self._backward(batch, share, weight, terms) for batch, share in batches)
        )
        for value in values:
            if not math.isfinite(value):
                raise self._not_finite(own, value, rate)
        exchange.reduce_gradients(self.trained.values())
        norm = float(exchange.clip(self.trained.values(), stage.clip or None))
        if not math.isfinite(norm):
            raise self._not_finite(own, norm, rate, "the gradient")
        progress.tokens += int(tokens)
        progress.flops += flops
        for sums in (progress.losses, progress.recent):
            for value in values:
                sums[0] += value
            sums[1] += weight
        for name, value in zip(terms, exchange.sum(*terms.values()) if terms else (), strict=True):
            held = progress.terms.setdefault(name, [0.0, 0.0])
            held[0], held[1] = held[0] + value, held[1] + value
        if self._usual(math.fsum(values) / weight, norm):
            self.optimiser.step()
            progress.update += 1
            self.average.follow(progress.update)
        else:
            self.optimiser.drop()
            progress.update += 1
        return rate

    def _backward(
        self, batch: Batch, share: float, weight: float, terms: dict[str, float]
    ) -> float:
        """Add a batch's gradients, and the loss's terms to `terms`; returns its summed loss, as far
        as `share` counts it."""
        features = self.shared.features(self.task.train, batch)
        loss = self.task.loss(features, batch, self.shared.loss)
        if share != 1.0:
            loss = loss * share
        for name, value in self.task.terms().items():
            terms[name] = terms.get(name, 0.0) + value * share
        (loss / weight).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return float(loss.detach())

    def _usual(self, loss: float, norm: float) -> bool:
        """Whether an update with this mean loss and norm of the gradient is made."""
        return True

    def _end_of_epoch(self) -> None:
        progress = self.progress
        at = progress.epoch + progress.done / len(self._updates(progress.epoch))
        with self.average.in_place():
            progress.evaluation = self.shared.evaluate()
            self._remember_best()
        rate = self._rate(progress.update - 1)
        weight = progress.losses[1]
        terms = {f"train_{name}": sums[0] / weight for name, sums in progress.terms.items()}
        row = {"train_loss": progress.losses[0] / weight, **terms, **self.task.standing()}
        self.shared.point(at, rate, **row, **progress.evaluation)
        progress.epoch, progress.done = progress.epoch + 1, 0
        progress.losses, progress.recent, progress.terms = [0.0, 0.0], [0.0, 0.0], {}

    def _rate(self, update: int) -> float:
        """The highest layer's learning rate at an update."""
        stage = self.stage
        return stage.rate * factor(stage.schedule, update, self.total, stage.warmup)

    def _remember_best(self) -> None:
        progress = self.progress
        if not self.stage.keeps_best or not progress.evaluation:
            return
        merit = list(self.task.merit(progress.evaluation))
        if progress.best is not None and merit <= progress.best:
            progress.worse += 1
            return
        progress.best, progress.worse = merit, 0
        progress.best_file = f"best-{self.shared.index}-{progress.epoch}.safetensors"
        self._keep(progress.best_file)

    def _keep(self, name: str) -> None:
        """Save the weights as they stand, with their evaluation."""
        weights = self.exchange.whole({f"weight/{n}": p for n, p in self.trained.items()})
        facts = {"evaluation": self.progress.evaluation, "epoch": self.progress.epoch + 1}
        if self.exchange.leads:
            save_tensors(self.shared.work / name, weights, facts)

    def _out_of_patience(self) -> bool:
        return self.stage.patience is not None and self.progress.worse >= self.stage.patience

    def _settle(self) -> None:
        """The weights the stage ends with: the average's, the best or the last."""
        with torch.no_grad():
            if self.progress.best_file is not None:
                path = self.shared.work / self.progress.best_file
                saved, facts = self.exchange.share(lambda: load_tensors(path))
                for name, parameter in self.trained.items():
                    self.exchange.put(parameter, saved[f"weight/{name}"])
                self.progress.evaluation = facts["evaluation"]
            else:
                self.average.settle()

    def _train_mode(self) -> None:
        """Dropout where something trains, none elsewhere."""
        self.task.backbone.model.eval()
        if self._embeds:
            self.task.backbone.model.train()
        for layer in self.task.backbone.groups.layers:
            layer.train(layer in self._dropping)
        self.task.head.train()

    @contextmanager
    def _dropout(self) -> Iterator[None]:
        """The stage's dropout rate in the layers that train."""
        before: list[tuple[nn.Module, str, float]] = []
        if self.stage.dropout is not None:
            for layer in self._dropping:
                for module in layer.modules():
                    name = "p" if isinstance(module, nn.Dropout) else "attention_dropout"
                    if isinstance(getattr(module, name, None), float):
                        before.append((module, name, getattr(module, name)))
                        setattr(module, name, self.stage.dropout)
        try:
            yield
        finally:
            for module, name, rate in before:
                setattr(module, name, rate)

    def _flops_a_token(self, everything: Mapping[str, nn.Parameter]) -> float:
        """2 a weight forwards and 4 backwards (Kaplan et al. 2020), from the lowest layer up; 2
        backwards for a weight that stays frozen, whose own gradient nobody asks for."""
        groups = self.task.backbone.groups
        low = max(self.shared.low, 0)
        return sum(
            everything[name].numel() * (6.0 if name in self.trained else 4.0)
            for name, group in groups.group_of.items()
            if groups.depth(group) >= low
        )

    def _show(self) -> None:
        share = self.progress.update / self.total
        text = f"stage {self.shared.index + 1} of {self.shared.stages}: {self.stage.label}"
        self.shared.monitor.progress(self.shared.index + share, self.shared.stages, text)

    def _not_finite(
        self, batches: Sequence[Batch], value: float, rate: float, what: str = "the loss"
    ) -> TrainingError:
        keys, progress = self.task.train.keys, self.progress
        rows = [int(row) for batch in batches for row in batch.rows]
        ids = [keys[row] if keys else str(row) for row in rows]
        where = self.shared.work / "failed-batch.json"
        content = {
            "stage": self.shared.index,
            "epoch": progress.epoch,
            "update": progress.update,
            "lr": rate,
            "ids": ids,
            "token_ids": [
                text.tolist()
                for batch in batches
                for run in batch.layout.split(batch.ids)
                for text in run
            ],
        }
        if self.exchange.leads:
            write_whole(where, lambda p: _write_json(p, content))
        shown = ", ".join(ids[:4]) + (f" and {len(ids) - 4} more" if len(ids) > 4 else "")
        return TrainingError(
            f"stage {self.shared.index + 1} (train: {self.stage.label}), epoch "
            f"{progress.epoch + 1}, update {progress.update + 1}, learning rate {rate:.3g}: "
            f"{what} is {value}; batch of items {shown}, kept in {where}. Try a lower lr, a lower "
            "clip, a longer warmup or dtype: float32. The state saved before is intact"
        )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
