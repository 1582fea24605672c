"""The contract of a step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from gradus import registry
from gradus.steps.base import Step, StepConfig
from gradus.testing.base import Contract, check_rows, refused
from gradus.testing.world import World


class StepContract(Contract):
    """The step's own example checks as a plan and runs; the same seed gives the same bits."""

    section: ClassVar[str] = "steps"

    def example(self) -> dict[str, Any]:
        """The step of the class's `example`, as a plan has it."""
        from gradus.plan.faults import Faults
        from gradus.plan.tree import read

        faults = Faults()
        raw = read(self.made.example, faults).value
        assert not faults, [str(fault) for fault in faults.sorted()]
        return dict(raw)

    def config(self) -> dict[str, Any]:
        """The example's own keys, without those that every step has."""
        common = ("id", "step", "gates", "on_undecided")
        return {key: value for key, value in self.example().items() if key not in common}

    def test_its_config_refuses_what_it_does_not_know(self) -> None:
        """Unknown keys are faults."""
        from pydantic import ValidationError

        assert issubclass(self.made, Step)
        assert issubclass(self.made.Config, StepConfig)
        config = {**self.config(), "no_such_key": 1}
        error = refused(ValidationError, lambda: self.made.Config.model_validate(config))
        assert "no_such_key" in str(error)

    def test_the_example_checks_as_part_of_a_plan(self, tmp_path: Path) -> None:
        """With the data and models it names, the example is a plan without faults."""
        from gradus.plan import plan_from_dict

        example = self.example()
        needs = self.made.needs(self.made.Config.model_validate(self.config()))
        world = self.world(tmp_path)
        models = {"encoder": {"folder": "encoder"}, "lm": {"folder": "lm"}}
        earlier = [
            {"id": name, **world.maker(name)}
            for name in dict.fromkeys(needs.models.values())
            if name not in models
        ]
        plan = plan_from_dict(
            {
                "name": "example",
                "data": {"news": world.data_config},
                "corpora": dict.fromkeys([*needs.corpora.values(), "plays"], world.corpus_config),
                "models": models,
                "steps": [*earlier, example],
            },
            folder=tmp_path,
        )
        step = plan.step(example["id"])
        assert step.kind == registry.resolve("steps", self.entry)
        assert set(step.models) == set(needs.models.values())
        produced = self.made.produces(self.made.Config.model_validate(self.config()))
        assert produced <= {registry.plain(name) for name in registry.names("metrics")}

    def test_the_example_runs(self, tmp_path: Path) -> None:
        """Checkpoints open and predict; targets name things that are there; facts are JSON."""
        world = self.world(tmp_path)
        outcome = world.run(self.entry, self.config(), tmp_path / "out")
        made = [p for p in (outcome.checkpoint, *outcome.extras.values()) if p is not None]
        for path in made:
            assert path.resolve().is_relative_to((tmp_path / "out").resolve())
            _opens(path, world)
        for target in outcome.measure or ():
            assert target.data == "news"
            assert target.split in world.dataset.splits
        waits = outcome.waiting is not None
        assert made or outcome.measure or waits, "the step made nothing and measures nothing"
        json.dumps([dict(outcome.facts), dict(outcome.cost)], allow_nan=False)
        assert all(isinstance(note, str) and note for note in outcome.notes)

    def test_the_same_seed_gives_the_same_bits(self, tmp_path: Path) -> None:
        """Two runs with one seed make checkpoints with the same digest."""
        from gradus.checkpoints import read_manifest

        world = self.world(tmp_path)
        digests = []
        for name in ("one", "two"):
            outcome = world.run(self.entry, self.config(), tmp_path / name)
            paths = {"": outcome.checkpoint, **outcome.extras}
            digests.append({k: read_manifest(p).digest for k, p in paths.items() if p is not None})
        assert digests[0] == digests[1]


def _opens(checkpoint: Path, world: World) -> None:
    """A tokenizer tokenises, a language model tells how probable texts are, writings and what was
    said of them are read; what else a step makes predicts."""
    from gradus.checkpoints import verify
    from gradus.predict import load

    manifest = verify(checkpoint)
    if manifest.preprocessing.get("target") in ("text", "masked"):
        from gradus import scoring

        engine = scoring.open(checkpoint, threads=2)
        ask = engine.rolling if manifest.preprocessing["target"] == "text" else engine.pseudo
        assert ask(world.dataset.splits["test"].texts[0]).nats < 0
        return
    if manifest.kind == "tokenizer":
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        text = world.dataset.splits["test"].texts[0]
        assert text in tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids)
        return
    if manifest.kind in ("samples", "judgements", "ratings"):
        from gradus.writing.records import read_columns, read_samples

        told = read_samples(checkpoint) if manifest.kind == "samples" else read_columns(checkpoint)
        assert len(told)
        return
    model = load(checkpoint)
    assert set(model.labels) == set(world.dataset.labels)
    texts = world.dataset.splits["test"].texts[:5]
    check_rows(model.predictor.log_probs(texts), len(texts), len(model.labels))
