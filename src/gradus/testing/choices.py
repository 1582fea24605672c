"""The contracts of optimisers, losses and preparations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gradus.testing.base import Contract, refused
from gradus.testing.world import ListeningMonitor, World

if TYPE_CHECKING:
    from gradus.training.config import StageConfig
    from gradus.training.task import Task

STOP_AFTER = 3


class _StoppedHere(BaseException):
    """Stands for a kill: nothing catches it."""


class _StoppingMonitor(ListeningMonitor):
    """Ends the process, as it were, after some updates."""

    def __init__(self, data: Any, stop_after: int | None = None) -> None:
        super().__init__(data)
        self.left = stop_after

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Count updates."""
        super().progress(done, total, text)
        if self.left is not None and "features" not in text:
            self.left -= 1
            if self.left == 0:
                raise _StoppedHere


class ChoiceContract(Contract):
    """What a stage chooses by name: an example that is read, a stage that learns by it.

    Class attributes:
        key: of a stage.
    """

    key: ClassVar[str]

    def stage(self, **more: Any) -> StageConfig:
        """A stage that trains every layer by the class's example."""
        import yaml

        from gradus.training.config import StageConfig

        given = {self.key: yaml.safe_load(self.made.example), "train": "all", **more}
        return StageConfig.model_validate(given)

    def task(self, world: World, monitor: ListeningMonitor) -> Task:
        """Classification of the world's texts by its encoder."""
        from gradus import registry

        objective = registry.load("objectives", "classify")
        prepared = objective().prepare(
            objective.Config(),
            ref=world.model("encoder"),
            data=world.dataset.for_training(),
            monitor=monitor,
            max_tokens=None,
            seed=3,
        )
        task: Task = prepared.task
        return task

    def train(
        self, world: World, work: Path, stage: StageConfig, *, stop_after: int | None = None
    ) -> tuple[Task, ListeningMonitor]:
        """Train afresh, or go on from what stands in `work`.

        Every update is saved where the training is to stop.
        """
        from gradus.training.loop import train

        work.mkdir(exist_ok=True)
        monitor = _StoppingMonitor(world.dataset.for_training(), stop_after)
        task = self.task(world, monitor)
        identity = {"data": "news"}
        train(
            task,
            [stage],
            seed=1,
            work=work,
            monitor=monitor,
            identity=identity,
            save_seconds=60.0 if stop_after is None else 0.0,
        )
        return task, monitor

    def test_the_example_stands_in_a_stage(self) -> None:
        """It is read, and what is read reads again; every option is described."""
        from gradus.training.config import StageConfig

        stage = self.stage()
        again = StageConfig.model_validate(stage.model_dump(mode="json"))
        assert getattr(again, self.key) == getattr(stage, self.key)
        config = type(getattr(stage, self.key))
        for name in config.model_fields:
            assert name == "name" or f"    {name}: " in (config.__doc__ or ""), name

    def test_a_stage_learns_by_it(self, tmp_path: Path) -> None:
        """The loss on train falls and stays finite."""
        world = self.world(tmp_path)
        _, monitor = self.train(world, tmp_path / "work", self.stage(epochs=3, batch_size=16))
        losses = [row["train_loss"] for row in monitor.rows if "train_loss" in row]
        assert np.isfinite(losses).all()
        assert losses[-1] < losses[0]

    def test_killed_and_resumed_it_ends_with_the_same_bits(self, tmp_path: Path) -> None:
        """After some updates, in another process as it were."""
        import torch

        world = self.world(tmp_path)
        stage = self.stage(steps=2 * STOP_AFTER, batch_size=8, embeddings=True)
        whole, _ = self.train(world, tmp_path / "whole", stage)
        try:
            self.train(world, tmp_path / "killed", stage, stop_after=STOP_AFTER)
        except _StoppedHere:
            torch.manual_seed(99)
        else:
            raise AssertionError("training should have been stopped")
        resumed, _ = self.train(world, tmp_path / "killed", stage)
        after = resumed.parameters()
        for name, parameter in whole.parameters().items():
            assert torch.equal(parameter, after[name]), name


class OptimiserContract(ChoiceContract):
    """An optimiser moves every parameter at its rate, and resumes to the bit."""

    section: ClassVar[str] = "optimisers"
    key: ClassVar[str] = "optimiser"

    def test_every_parameter_has_its_rate(self, tmp_path: Path) -> None:
        """Head, layers and embeddings at the rates that the stage gives them, once each."""
        from gradus.training.groups import select
        from gradus.training.optimiser import StageOptimiser, rate_of

        world = self.world(tmp_path)
        task = self.task(world, ListeningMonitor(None))
        stage = self.stage(lr=1e-3, head_lr=7e-3, layer_lr_decay=0.5, embeddings=True)
        groups = task.backbone.groups
        chosen, _ = select(stage, groups, [name for name, _ in task.head.named_parameters()])
        optimiser = StageOptimiser(task.parameters(), chosen, stage, groups)
        optimiser.set_rates(0.25)
        rates = {
            id(parameter): group["lr"]
            for part in optimiser.parts
            for group in part.param_groups
            for parameter in group["params"]
        }
        assert len(rates) == len(chosen)
        for name, parameter in task.parameters().items():
            assert rates[id(parameter)] == 0.25 * rate_of(chosen[name], stage, groups), name


class LossContract(ChoiceContract):
    """A loss is a sum over rows, finite and with slopes that are finite."""

    section: ClassVar[str] = "losses"
    key: ClassVar[str] = "loss"

    def test_the_order_of_rows_has_no_part(self) -> None:
        """Logits and features are float32; some rows are classified well, some badly."""
        import torch

        from gradus.training.losses.base import Classes

        torch.manual_seed(0)
        gold = torch.randint(0, 3, (24,))
        logits, features = 20 * torch.randn(24, 3), torch.randn(24, 5)
        counts = tuple(torch.bincount(gold, minlength=3).tolist())
        loss = self.made(self.stage().chosen_loss, Classes(("a", "b", "c"), counts))
        order = torch.randperm(24)
        logits.requires_grad_()
        value = loss(logits, gold, features)
        assert value.ndim == 0
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, loss(logits[order], gold[order], features[order]))
        value.backward()
        assert logits.grad is not None
        assert bool(torch.isfinite(logits.grad).all())
        assert float(logits.grad.abs().max()) > 0


class PreparationContract(Contract):
    """A preparation: a pure function that a checkpoint can store and make again."""

    section: ClassVar[str] = "preparations"

    def test_it_prepares_and_is_made_again(self, tmp_path: Path) -> None:
        """The example reads; stored and read again it does the same, to any text, every time."""
        import yaml

        from gradus.data.prepare import Prepare

        prepare = Prepare.read([yaml.safe_load(self.made.example)])
        again = Prepare.read(prepare.to_json())
        assert again == prepare
        world = self.world(tmp_path)
        odd = ["", " ", "\n", "Ａ①ﬁ e\u0301", "早餐很好吃", "🙂" * 3]
        for text in [*world.dataset.splits["train"].texts, *odd]:
            once = prepare(text)
            assert isinstance(once, str)
            assert prepare(text) == again(text) == once

    def test_an_unknown_option_is_told(self) -> None:
        """A key that its config doesn't have is a fault."""
        from pydantic import ValidationError

        from gradus.data.prepare import Prepare

        refused(ValidationError, lambda: Prepare.read([{"name": self.plain, "opption": 1}]))
