"""A stage of long training: gradient steps that are validated while they run.

It is the stage of gradient steps with what goes on between two updates: validations on a
schedule, a budget that may be tokens or minutes, spikes, snapshots, speed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from gradus.training import budget, gap, spikes
from gradus.training.gradient import GradientStage
from gradus.training.pretraining import PretrainStage
from gradus.training.retention import Retention, Stopwatch, milestone_file
from gradus.training.schedules import factor
from gradus.training.speed import Speed
from gradus.training.stage import Shared
from gradus.training.state import Watched
from gradus.training.task import Examined


class LongStage(GradientStage):
    """Updates of one long stage, from its beginning or from where a state left off."""

    stage: PretrainStage

    def __init__(
        self, shared: Shared, chosen: Mapping[str, str], saved: Mapping[str, torch.Tensor] | None
    ) -> None:
        stage, progress = shared.stage, shared.progress
        assert isinstance(stage, PretrainStage)
        self.watched = progress.watched
        if progress.update == 0:
            self.watched = progress.watched = _begun(progress.watched)
        self.minutes = (
            budget.Minutes(stage, self.watched, shared.clock) if stage.minutes is not None else None
        )
        super().__init__(shared, chosen, saved)
        self.spikes = spikes.Spikes(stage, self.watched)
        self.retention = Retention(stage, shared.index, progress, shared.work, shared.exchange)
        self.speed = Speed(progress, shared.clock, shared.ceiling)
        self._norm = math.nan
        self._followed = self._gap_rows()
        self.compiled = self._compiles()
        if self.compiled:
            for layer in self.task.backbone.groups.layers:
                layer.compile()

    def _compiles(self) -> bool:
        if self.stage.compile != "auto":
            return self.stage.compile
        return next(iter(self.trained.values())).device.type == "cuda"

    def run(
        self,
        after_update: Callable[[Callable[[], dict[str, torch.Tensor]]], None],
        save: Callable[[Mapping[str, torch.Tensor]], None],
    ) -> dict[str, Any]:
        """The whole budget; returns facts of the stage."""
        said = [spikes.told(row) for row in self.watched.spikes]
        for text in (*said, *filter(None, [self.watched.warned])):
            # Said before an interruption, by a process that is gone.
            self.shared.monitor.note(text)
        facts = super().run(after_update, save)
        return {
            **facts,
            "tokens": self.progress.tokens,
            "validations": self.watched.validations,
            "compiled": self.compiled,
            "spikes": list(self.watched.spikes),
            "kept": self.retention.facts(),
            **({"gap_test": gap.GAP_TEST} if self.watched.narrowest else {}),
            **({"totals": list(self.watched.fixed)} if self.minutes else {}),
        }

    def _epochs(self) -> float:
        tokens = int(self.task.train.lengths.sum())
        given = budget.epochs_of(self.stage, tokens)
        return super()._epochs() if given is None else given

    def _plan(self) -> int:
        return super()._plan() if self.minutes is None else self.minutes.total

    def _rate(self, update: int) -> float:
        stage = self.stage
        share = factor(
            stage.schedule, update, self.total, stage.warmup, stage.decay, floor=stage.floor
        )
        return stage.rate * share

    def _before_update(self, at: float) -> None:
        update = self.progress.update
        if self.minutes is not None and self.exchange.any(self.minutes.due(update))[0]:
            self.minutes.take(update, self.exchange.share(lambda: self._fixed(update)))
            self.total = self.minutes.total
            self._save(self.tensors())
        if self._due():
            self._validate(at)
            self._save(self.tensors())
            self._train_mode()
        if update in self.stage.milestones:
            with Stopwatch(self.progress, "checkpoint_seconds"), self.average.in_place():
                self._keep(milestone_file(update))

    def _fixed(self, update: int) -> tuple[int, int, float]:
        assert self.minutes is not None
        return self.minutes.fix(update)

    def _due(self) -> bool:
        update, every = self.progress.update, self.stage.validate_every
        scheduled = every is not None and update > 0 and update % every == 0
        return scheduled and self.watched.validated != update

    def _end_of_epoch(self) -> None:
        progress = self.progress
        over = progress.update >= self.total or self._out_of_patience()
        if self.watched.validated != progress.update and (
            self.stage.validate_every is None or over or self._due()
        ):
            self._validate(progress.epoch + progress.done / len(self._updates(progress.epoch)))
        progress.epoch, progress.done = progress.epoch + 1, 0
        progress.losses = [0.0, 0.0]
        for sums in progress.terms.values():
            sums[0] = 0.0

    def _usual(self, loss: float, norm: float) -> bool:
        self._norm = norm
        spike = self.spikes.judge(loss, norm)
        if spike is None:
            return True
        what, back = self._answer()
        row = {"step": self.progress.update + 1, "what": what, "loss": loss, "norm": norm}
        row |= {"usual": spike.usual, "usual_norm": spike.usual_norm}
        self.watched.spikes.append(row if back is None else {**row, "to_step": back})
        return what == "warned"

    def _answer(self) -> tuple[str, int | None]:
        """What is done about a spike, and the update whose weights training goes back to.

        Going back a second time to the same snapshot would lose more than the spike costs.
        """
        if self.stage.on_spike == "warn":
            return "warned", None
        if self.stage.on_spike == "rollback":
            before = {row.get("to_step") for row in self.watched.spikes}
            rows = self.watched.snapshots
            found = self.retention.newest() if rows and rows[-1]["step"] not in before else None
            if found is not None:
                self._go_back(found[1])
                return "rolled back", found[0]
        return "skipped", None

    def _go_back(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Weights, optimiser and average of a snapshot; batches and schedule go on."""
        with torch.no_grad():
            for name, parameter in self.trained.items():
                self.exchange.put(parameter, tensors[f"weight/{name}"])
        own = self._own(tensors)
        self.optimiser.rewind(own)
        self.average.restore(own)

    def _log(self, rate: float, updates: int) -> None:
        progress = self.progress
        at = progress.epoch + progress.done / updates
        if self.watched.spikes and self.watched.spikes[-1]["step"] == progress.update:
            row = self.watched.spikes[-1]
            self.shared.monitor.note(spikes.told(row))
            told = {"loss": "spike_loss", "usual": "spike_usual", "to_step": "spike_to_step"}
            told |= {"norm": "spike_norm", "usual_norm": "spike_usual_norm"}
            values = {name: row[key] for key, name in told.items() if key in row}
            self.shared.point(at, rate, tokens=progress.tokens, spike=row["what"], **values)
        if progress.update % self.stage.log_every == 0 or progress.update == self.total:
            self.shared.point(
                at,
                rate,
                tokens=progress.tokens,
                flops=progress.flops,
                **self._recent(),
                grad_norm=self._norm,
                **self.speed.row(),
            )

    def _show(self) -> None:
        share = self.progress.update / self.total
        text = f"stage {self.shared.index + 1} of {self.shared.stages}: "
        left = self.total if self.minutes is None or self.watched.total else None
        text += self.speed.told(left)
        self.shared.monitor.progress(self.shared.index + share, self.shared.stages, text)

    def _validate(self, at: float) -> None:
        """Look at dev.select, the gap and the probes, and keep what there is to keep."""
        progress, watched = self.progress, self.watched
        rate = self._rate(max(0, progress.update - 1))
        watched.validated, watched.validations = progress.update, watched.validations + 1
        # What is drawn while validating has no part in how training goes on.
        with torch.random.fork_rng(devices=[]), self.average.in_place():
            with Stopwatch(progress, "validation_seconds"):
                progress.evaluation = self._examined()
            if progress.evaluation:
                self.shared.point(at, rate, tokens=progress.tokens, **progress.evaluation)
            with Stopwatch(progress, "probe_seconds"):
                self._probe(at, rate)
            if progress.evaluation:
                with Stopwatch(progress, "checkpoint_seconds"):
                    self.retention.best(self.task.merit(progress.evaluation), self._keep)
        with Stopwatch(progress, "checkpoint_seconds"):
            weights = {f"weight/{n}": p for n, p in self.trained.items()}
            self.retention.snapshot({**weights, **self.tensors()})
        self.speed.begin()

    def _examined(self) -> dict[str, float]:
        examined = self.shared.examine()
        return {**examined.values, **self._gap(examined)}

    def _gap(self, examined: Examined) -> dict[str, float]:
        if examined.nats is None or examined.terms is None or not len(self._followed):
            return {}
        with self.exchange.examining():
            found = self.task.nats(self.task.train, self._followed, self.shared.dtype)
        if found is None:
            return {}
        watched, update = self.watched, self.progress.update
        select, train = gap.means(examined.nats, examined.terms), gap.means(*found)
        now = gap.compare(select, train, watched.narrowest, watched.validations)
        if now is None:
            return {}
        if now.warns and watched.warned is None:
            watched.warned = now.told(update)
            self.shared.monitor.note(watched.warned)
        if now.since is None or now.gap < now.since[1]:
            watched.narrowest = gap.kept(select, train, now, update)
        return now.row()

    def _gap_rows(self) -> np.ndarray:
        """The texts of train that the gap follows: the first that were trained on."""
        if not self.stage.gap_rows:
            return np.empty(0, dtype=np.int64)
        first = [rows for update in self._updates(0) for rows in update]
        return np.concatenate(first)[: self.stage.gap_rows]

    def _probe(self, at: float, rate: float) -> None:
        probes = self.shared.probes
        if probes and self.exchange.shards:
            self.shared.monitor.note(
                "samples and benchmarks at validation are left out: the weights are sharded"
            )
            return
        for probe in probes if self.exchange.leads else ():
            with self.exchange.examining():
                rows = probe()
            for row in rows:
                self.shared.point(at, rate, tokens=self.progress.tokens, **row)


def _begun(before: Watched) -> Watched:
    """A fresh stage's, with the seconds of those before."""
    return Watched(
        validation_seconds=before.validation_seconds,
        checkpoint_seconds=before.checkpoint_seconds,
        probe_seconds=before.probe_seconds,
    )
