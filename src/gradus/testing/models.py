"""The contracts of checkpoint kinds, objectives and schemes of compression."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gradus import registry
from gradus.predict.base import Predictor
from gradus.records import Target
from gradus.testing.base import Contract, check_rows, refused
from gradus.testing.world import ListeningMonitor, World

WITHIN = 1e-4
"""How far a log-probability may move when other texts are beside it, in nats."""
_KEPT: dict[type, tuple[tempfile.TemporaryDirectory[str], World, Path]] = {}
"""What `KindContract.kept` has made, by the class of the tests; it goes with the process."""


class KindContract(Contract):
    """A checkpoint of this kind opens, and says the same of a text whatever stands beside it."""

    section: ClassVar[str] = "kinds"
    within: ClassVar[float] = WITHIN

    def checkpoint(self, world: World) -> Path:
        """The folder of a checkpoint of this kind that knows the labels of the world's data."""
        raise NotImplementedError(f"the contract of kind '{self.entry}' must make a checkpoint")

    def kept(self) -> tuple[World, Path]:
        """A world and a checkpoint made in it, once for all tests of the class: change neither."""
        if type(self) not in _KEPT:
            place = tempfile.TemporaryDirectory(prefix="gradus-contract-")
            world = self.world(Path(place.name))
            _KEPT[type(self)] = place, world, self.checkpoint(world)
        _, world, folder = _KEPT[type(self)]
        return world, folder

    def test_it_opens_as_its_kind(self) -> None:
        """Kind, labels, size and the measuring contract."""
        from gradus.checkpoints import read_manifest
        from gradus.predict import load

        world, folder = self.kept()
        manifest = read_manifest(folder)
        model = load(folder)
        assert isinstance(model.predictor, Predictor)
        assert model.predictor.kind == self.plain == manifest.kind
        assert model.labels == manifest.labels
        assert set(model.labels) == set(world.dataset.labels)
        assert {"dtype", "backend", "max_tokens", "tokenizer"} <= model.contract.keys()
        assert all(isinstance(value, str) for value in model.contract.values())
        assert model.predictor.size_bytes > 0

    def test_rows_are_distributions_and_stand_alone(self) -> None:
        """Rows sum to 1; alone, among others and in another order a text gets the same row."""
        from gradus.predict import load

        world, folder = self.kept()
        predictor = load(folder, threads=2).predictor
        texts = list(world.dataset.splits["test"].texts[:12])
        counted: list[int] = []
        together = predictor.log_probs(texts, progress=counted.append)
        check_rows(together, len(texts), len(predictor.labels))
        assert counted == sorted(counted)
        assert counted[-1:] in ([len(texts)], [])
        alone = np.concatenate([predictor.log_probs([text]) for text in texts])
        np.testing.assert_allclose(alone, together, atol=self.within)
        order = np.random.default_rng(0).permutation(len(texts))
        shuffled = predictor.log_probs([texts[i] for i in order])
        np.testing.assert_allclose(shuffled, together[order], atol=self.within)
        assert (shuffled.argmax(axis=1) == together[order].argmax(axis=1)).all()

    def test_a_copy_says_the_same(self, tmp_path: Path) -> None:
        """Copied elsewhere and loaded again, it gives the same bits."""
        import shutil

        from gradus.predict import load

        world, folder = self.kept()
        texts = list(world.dataset.splits["test"].texts[:6])
        before = load(folder, threads=2).predictor.log_probs(texts)
        copied = shutil.copytree(folder, tmp_path / "copied")
        np.testing.assert_array_equal(load(copied, threads=2).predictor.log_probs(texts), before)

    def test_an_export_carries_a_card(self, tmp_path: Path) -> None:
        """The copy is checked, and its card is one that the Hub's own code reads."""
        from huggingface_hub import ModelCard

        from gradus.cards.export import export
        from gradus.checkpoints import verify

        _, folder = self.kept()
        made = export(folder, tmp_path / "out", license="apache-2.0")
        assert verify(tmp_path / "out").digest == made["digest"]
        told = ModelCard.load(tmp_path / "out" / "README.md").data.to_dict()
        assert (told["license"], told["library_name"]) == ("apache-2.0", "gradus")
        assert told["pipeline_tag"] == "text-classification"
        assert self.plain in told["tags"]

    def test_damage_is_found(self, tmp_path: Path) -> None:
        """A file that was changed is named, and nothing is predicted."""
        import shutil

        from gradus.checkpoints import read_manifest
        from gradus.errors import CheckpointError
        from gradus.predict import load

        folder = shutil.copytree(self.kept()[1], tmp_path / "damaged")
        name = max(read_manifest(folder).files.items(), key=lambda item: item[1].bytes)[0]
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(bytes(content))
        assert name in str(refused(CheckpointError, lambda: load(folder)))


class ObjectiveContract(Contract):
    """An objective turns weights and data into a task that trains, and the task into files."""

    section: ClassVar[str] = "objectives"
    weights: ClassVar[str] = "encoder"

    @property
    def target(self) -> Target:
        """The first of the objective's own, if it says which."""
        targets: tuple[Target, ...] = getattr(self.made, "targets", ("label",))
        return targets[0]

    def options(self) -> Any:
        """The config of the class's `example`."""
        import yaml

        raw = yaml.safe_load(self.made.example)
        assert raw["name"] == self.plain
        return self.made.Config.model_validate(raw)

    def prepare(self, folder: Path) -> tuple[World, Any]:
        """The task on the world's data."""
        world = self.world(folder)
        data = world.dataset.for_training()
        prepared = self.made().prepare(
            self.options(),
            ref=world.model("lm" if self.target == "reply" else self.weights),
            data=data,
            monitor=ListeningMonitor(data),
            max_tokens=None,
            seed=3,
        )
        return world, prepared

    def test_its_metrics_are_known(self) -> None:
        """What its checkpoints are measured by is in the catalog."""
        metrics = self.made.metrics()
        assert metrics
        assert metrics <= {registry.plain(name) for name in registry.names("metrics")}

    def test_it_trains_and_is_saved(self, tmp_path: Path) -> None:
        """Loss is finite and falls on what is trained; the files are those of a checkpoint."""
        if self.made.corpora:
            self._pretrains(tmp_path)
            return
        import torch

        from gradus.training.config import StageConfig
        from gradus.training.loop import train

        world, prepared = self.prepare(tmp_path)
        assert set(prepared.labels) == set(world.dataset.labels)
        assert len(prepared.task.train) == len(world.dataset.splits["train"])
        json.dumps([dict(prepared.preprocessing), dict(prepared.facts)], allow_nan=False)
        work = tmp_path / "work"
        work.mkdir()
        monitor = ListeningMonitor(world.dataset.for_training())
        before = {n: p.detach().clone() for n, p in prepared.task.parameters().items()}
        stage = StageConfig(train="all", epochs=3, lr=3e-3, batch_size=16)
        train(prepared.task, [stage], seed=1, work=work, monitor=monitor)
        losses = [row["loss"] for row in monitor.rows if "loss" in row]
        assert all(np.isfinite(losses))
        after = prepared.task.parameters()
        assert any(not torch.equal(before[name], after[name]) for name in before)
        files = tmp_path / "files"
        files.mkdir()
        prepared.save(files)
        assert any(path.suffix == ".safetensors" for path in files.iterdir())

    def _pretrains(self, folder: Path) -> None:
        """Labelled data are refused; on a corpus it learns more than that all tokens are alike."""
        from gradus.checkpoints import verify
        from gradus.errors import TrainingError

        assert "corpora" in str(refused(TrainingError, lambda: self.prepare(folder)))
        config = {
            "corpus": "plays",
            "tokenizer": "encoder",
            "model": {
                "architecture": "gpt2" if self.made.causal else "bert",
                "layers": 1,
                "width": 32,
                "heads": 2,
            },
            "objective": self.options().model_dump(),
            "block": 32,
            "steps": 40,
            "lr": 1e-2,
        }
        outcome = self.world(folder).run("pretrain", config, folder / "pretrained")
        (stage,) = outcome.facts["stages"]
        assert stage["select_loss"] < math.log(outcome.facts["vocabulary"])
        assert outcome.checkpoint is not None
        assert verify(outcome.checkpoint).preprocessing["target"] == self.made.target


class SchemeContract(Contract):
    """A scheme makes a smaller checkpoint that says almost what its parent says."""

    section: ClassVar[str] = "schemes"
    share_of_flips: ClassVar[float] = 0.1

    def test_a_smaller_checkpoint_that_agrees(self, tmp_path: Path) -> None:
        """Fewer bytes, the same labels, few texts with another label."""
        from gradus.predict import load

        if self.made.takes == "language":
            self._language(tmp_path)
            return
        world = self.world(tmp_path)
        parent = world.model("tuned")
        config = {"model": "tuned", "data": "news", "scheme": self.entry}
        outcome = world.run("quantize", config, tmp_path / "small")
        assert outcome.checkpoint is not None
        whole, small = load(parent), load(outcome.checkpoint)
        assert small.kind == self.made.kind
        assert small.labels == whole.labels
        texts = list(world.dataset.splits["test"].texts)
        one, two = (m.predictor.log_probs(texts) for m in (whole, small))
        assert (one.argmax(axis=1) != two.argmax(axis=1)).mean() <= self.share_of_flips

    def _language(self, folder: Path) -> None:
        """It says almost what its parent says, and what is saved goes on with texts.

        A model from random weights finds all tokens about as probable, so that which of them is
        first says nothing.
        """
        from gradus.checkpoints import verify
        from gradus.parity.base import Parity
        from gradus.scoring.load import find, load_causal_lm

        config = {"model": "lm", "corpus": "plays", "scheme": self.entry}
        outcome = self.world(folder).run("quantize", config, folder / "small")
        assert outcome.checkpoint is not None
        assert verify(outcome.checkpoint).preprocessing["target"] == "text"
        assert outcome.facts["bytes"] < outcome.facts["float32_bytes"]
        handed = [Parity.from_json(one) for one in outcome.facts["parity"]]
        assert handed
        assert all(one.kl is not None and one.kl <= one.bounds["kl"] for one in handed)
        ref = find(outcome.checkpoint)
        assert ref.kind == self.made.kind
        assert load_causal_lm(ref).get_output_embeddings() is not None
