"""The contract of adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gradus.testing.base import Contract, check_rows
from gradus.testing.world import ListeningMonitor

MAX_TOKENS = 16
EPOCHS = 6


class AdapterContract(Contract):
    """An adapter learns beside weights that stay as they were, and is peft's on disk.

    Class attributes:
        weights: the world's model that it is put on.
    """

    section: ClassVar[str] = "adapters"
    weights: ClassVar[str] = "encoder"

    def finetune(self, **more: Any) -> dict[str, Any]:
        """The keys of a step that trains by the class's `example`."""
        import yaml

        given = {"model": self.weights, "data": "news", "max_tokens": MAX_TOKENS, **more}
        return {**given, "adapter": yaml.safe_load(self.made.example)}

    def test_the_example_stands_in_a_step(self) -> None:
        """It is read; every option is described; what is left out is filled in once and for all."""
        from gradus.steps.finetune import FinetuneConfig

        config = FinetuneConfig.model_validate(self.finetune())
        assert [stage.label for stage in config.stages] == ["head", "adapter"]
        assert FinetuneConfig.model_validate(config.model_dump(mode="json")) == config
        wanted = config.wanted_adapter()
        assert wanted is not None
        assert wanted.kind is self.made
        for name in self.made.Config.model_fields:
            assert name == "name" or f"    {name}: " in (self.made.Config.__doc__ or ""), name

    def test_it_learns(self, tmp_path: Path) -> None:
        """The loss on train falls and stays finite while the adapter alone trains."""
        from gradus import registry
        from gradus.training.adapters.adapt import adapt
        from gradus.training.adapters.attached import of
        from gradus.training.adapters.base import parse
        from gradus.training.config import StageConfig
        from gradus.training.loop import train

        world = self.world(tmp_path)
        monitor = ListeningMonitor(world.dataset.for_training())
        objective = registry.load("objectives", "classify")
        prepared = objective().prepare(
            objective.Config(),
            ref=world.model(self.weights),
            data=world.dataset.for_training(),
            monitor=monitor,
            max_tokens=MAX_TOKENS,
            seed=3,
        )
        task = prepared.task
        adapt(task.backbone, parse(self.finetune()["adapter"]), seed=3, max_tokens=MAX_TOKENS)
        attached = of(task.backbone.model)
        assert attached is not None
        # Whole train a batch, so that nothing but learning moves the loss.
        given = {
            "train": sorted(attached.parameters),
            "epochs": EPOCHS,
            "batch_size": len(task.train),
            "label_smoothing": 0.0,
            "warmup": 0,
        }
        stages = [{"train": "head"}, self.made.fill(given)]
        train(
            task,
            [StageConfig.model_validate(stage) for stage in stages],
            seed=1,
            work=tmp_path,
            monitor=monitor,
        )
        losses = np.array([row["train_loss"] for row in monitor.rows[1:]])
        assert np.isfinite(losses).all()
        assert losses[-1] < losses[0]

    def test_on_disk_it_is_pefts(self, tmp_path: Path) -> None:
        """Beside it stand the weights as they were; together peft makes the same of them."""
        import peft
        import torch
        from safetensors.torch import load_file
        from transformers import AutoModel, AutoTokenizer

        from gradus.predict import load
        from gradus.training import models
        from gradus.training.backbone import Backbone

        world = self.world(tmp_path)
        ref = world.model(self.weights)
        stages = [{"train": "head"}, {"train": "adapter", "epochs": 2}]
        outcome = world.run("finetune", self.finetune(stages=stages), tmp_path / "adapted")
        assert outcome.checkpoint is not None
        before = load_file(Path(ref.path) / "model.safetensors")
        after = load_file(outcome.checkpoint / "model.safetensors")
        assert all(torch.equal(before[name], after[name]) for name in after)
        model = load(outcome.checkpoint)
        texts = list(world.dataset.splits["test"].texts[:8])
        check_rows(model.predictor.log_probs(texts), len(texts), len(model.labels))
        base = AutoModel.from_pretrained(ref.path)
        theirs = peft.PeftModel.from_pretrained(base, str(outcome.checkpoint / "adapter")).eval()
        tokenizer = AutoTokenizer.from_pretrained(outcome.checkpoint)
        backbone = Backbone(models.load_model(model.ref))
        for text in texts:
            tokens = models.encode(tokenizer, [text], MAX_TOKENS)
            ids = torch.from_numpy(tokens.ids.astype(np.int64))[None]
            with torch.inference_mode():
                expected = theirs(input_ids=ids).last_hidden_state[0, -ids.shape[1] :]
                torch.testing.assert_close(
                    backbone.run(tokens.batch([0])), expected, atol=1e-4, rtol=1e-3
                )
