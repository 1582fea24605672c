from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError

from gradus.checkpoints import open_checkpoint, read_manifest, verify
from gradus.errors import TrainingError
from gradus.predict import load
from gradus.records import CheckpointRef, Target
from gradus.steps.base import StepContext
from gradus.steps.distil import Distil, DistilConfig
from gradus.steps.finetune import Finetune, FinetuneConfig
from gradus.testing.world import World

from . import tiny

INSIDE = {"soft": 1.0, "hard": 0.5, "hidden": 1.0, "attention": 0.5, "relations": 0.5}
STAGES = [{"train": "all", "epochs": 1, "lr": 1e-3, "batch_size": 16}]


def config(**options: Any) -> DistilConfig:
    given = {"teachers": "tuned", "student": {"layers": 1}, "data": "words", "stages": STAGES}
    return DistilConfig.model_validate({**given, **options})


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    """A tiny BERT that was fine-tuned on the words."""
    place = tmp_path_factory.mktemp("teacher")
    made = Finetune().run(
        FinetuneConfig.model_validate(
            {"model": "encoder", "data": "words", "stages": [{"train": "head"}]}
        ),
        tiny.context(place, tiny.source(place / "source"), tiny.data()),
    )
    assert made.checkpoint is not None
    return open_checkpoint(made.checkpoint, name="tuned")


def context(folder: Path, *refs: CheckpointRef, **changes: Any) -> StepContext:
    made = tiny.context(folder, refs[0], tiny.data(), name=refs[0].name)
    models = {ref.name: ref for ref in refs}
    return dataclasses.replace(made, id="small", models=models, run=folder, **changes)


def test_the_example_is_a_valid_step_and_names_what_it_needs() -> None:
    raw = yaml.safe_load(Distil.example)
    step = {k: v for k, v in raw.items() if k not in ("id", "step", "gates")}
    needs = Distil.needs(DistilConfig.model_validate(step))
    assert (needs.models, needs.data) == ({"teachers": "tuned"}, {"data": "news"})
    several = config(
        teachers={"tuned": 2, "other": 1}, student={"model": "encoder"}, unlabelled="more"
    )
    needs = Distil.needs(several)
    assert needs.models == {
        "teachers.tuned": "tuned",
        "teachers.other": "other",
        "student.model": "encoder",
    }
    assert needs.either == {"unlabelled": "more"}
    assert {"accuracy", "span_f1", "rmse"} <= Distil.produces(config())
    assert "span_f1" not in Distil.produces(config(objective="classify"))
    language = DistilConfig.model_validate(
        {"teachers": "lm", "student": {"layers": 1}, "corpus": "plays", "data": "words"}
    )
    assert Distil.needs(language).data == {}
    assert [s.label for s in language.stages] == ["all"]
    assert "bits_per_byte" in Distil.produces(language)


@pytest.mark.parametrize("given", [{}, {"corpus": "plays", "losses": {"reverse": 0.5}}])
def test_a_config_that_was_written_out_reads_as_it_was(given: dict[str, Any]) -> None:
    made = config(**given)
    assert DistilConfig.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"student": {}}, "say one of layers, keep, model and config, not none"),
        ({"student": {"layers": 2, "model": "m"}}, "not layers and model"),
        ({"student": {"keep": [2, 0]}}, "in ascending order"),
        ({"student": {"layers": 0}}, "greater than or equal to 1"),
        ({"losses": {"soft": 0.0}}, "take step finetune"),
        ({"losses": {"sift": 1.0}}, "Extra inputs"),
        ({"losses": {"soft": -1.0}}, "greater than or equal to 0"),
        ({"losses": {"reverse": 1.0}}, "is of language models"),
        ({"temperature": 0}, "greater than 0"),
        ({"weighting": "learned"}, "there is one teacher"),
        ({"weighting": "loud", "teachers": ["a", "b"]}, "'fixed', 'learned'"),
        ({"teachers": ["a", "a"]}, "stands there twice"),
        ({"teachers": {}}, "at least 1 item"),
        ({"stages": [{"train": "adapter"}]}, "has no adapter"),
        ({"objective": "clasify"}, "did you mean 'classify'"),
        ({"objective": "causal-lm"}, "it is causal-lm that takes a corpus"),
        ({"objective": "masked-lm", "corpus": "c"}, "it is causal-lm that takes a corpus"),
        ({"objective": "tag", "corpus": "c"}, "tag: learns from data, not a corpus"),
        ({"language": {"block": 64}}, "is of language models"),
        ({"corpus": "c", "losses": {"hidden": 1.0}}, "isn't compared of language models"),
        ({"corpus": "c", "unlabelled": "d"}, "a corpus has no labels"),
        (
            {"corpus": "c", "teachers": ["a", "b"], "weighting": "learned"},
            "isn't to be had of language models",
        ),
    ],
)
def test_faults_of_a_config_are_said(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        config(**options)


def test_a_student_and_the_same_alone(tuned: CheckpointRef, tmp_path: Path) -> None:
    where = context(tmp_path, tuned)
    outcome = Distil().run(config(losses=INSIDE, alone=True), where)
    assert outcome.checkpoint is not None
    assert set(outcome.extras) == {"alone"}
    texts = list(tiny.data().select.texts)
    said = []
    for folder in (outcome.checkpoint, outcome.extras["alone"]):
        manifest = verify(folder)
        assert manifest.labels == tuned.labels
        assert manifest.lineage[0].name == "tuned"
        model = load(folder)
        assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 1
        said.append(model.predictor.log_probs(texts))
    assert not np.allclose(said[0], said[1])
    facts = outcome.facts
    assert facts["parameters"] < facts["teacher_parameters"]
    assert facts["teachers"]["weights"] == {"tuned": 1.0}
    assert facts["teachers"]["ablation"][0]["teachers"] == "tuned"
    assert facts["alone"]["stages"][0]["updates"] == facts["stages"][0]["updates"]
    rows = where.monitor.rows  # type: ignore[attr-defined]  # a monitor that keeps them
    apart = [row for row in rows if row["train"].startswith("alone")]
    taught = rows[: len(rows) - len(apart)]
    assert taught + apart == rows
    assert all({"train_soft", "train_hidden"} <= row.keys() for row in taught)
    assert not any("train_soft" in row for row in apart)
    assert {row["stage"] for row in apart}.isdisjoint(row["stage"] for row in taught)


def test_alone_it_is_what_finetune_makes_of_the_same_start(
    tuned: CheckpointRef, tmp_path: Path
) -> None:
    where = context(tmp_path, tuned)
    outcome = Distil().run(config(alone=True), where)
    (start,) = (tmp_path / "work").glob("student-*")
    again = dataclasses.replace(
        context(tmp_path / "again", open_checkpoint(start, name="start")), id="plain"
    )
    given = {"model": "start", "data": "words", "stages": STAGES}
    made = Finetune().run(FinetuneConfig.model_validate(given), again)
    assert made.checkpoint is not None
    one, two = (read_manifest(f).files for f in (outcome.extras["alone"], made.checkpoint))
    names = [name for name in one if name.endswith(".safetensors")]
    assert len(names) == 2
    assert {n: one[n].sha256 for n in names} == {n: two[n].sha256 for n in names}


class Stopped(BaseException):
    """Stands for a kill."""


class Stopping:
    """Progress that is told so many times, and then stops the training."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, done: float, total: float, text: str = "") -> None:
        self.left -= 1
        if self.left < 0:
            raise Stopped


def test_stopped_in_either_training_it_ends_with_the_same_bits(
    tuned: CheckpointRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradus.training import loop

    monkeypatch.setitem(loop.train.__kwdefaults__, "save_seconds", 0.0)
    asked = config(alone=True, losses=INSIDE)
    whole = context(tmp_path / "whole", tuned)
    expected = Distil().run(asked, whole)
    killed = context(tmp_path / "killed", tuned)
    monitor: Any = killed.monitor
    plain, stops = monitor.progress, 0
    for after in (2, 3, 5, 6):
        monitor.progress = Stopping(after)
        try:
            Distil().run(asked, killed)
        except Stopped:
            stops += 1
    monitor.progress = plain
    outcome = Distil().run(asked, killed)
    assert stops >= 2
    for name in ("checkpoint", "alone"):
        one, two = (read_manifest(c.out / name).digest for c in (whole, killed))
        assert one == two
    assert monitor.rows == whole.monitor.rows  # type: ignore[attr-defined]  # it keeps them
    assert outcome.facts["teachers"] == expected.facts["teachers"]


def test_a_given_student_with_another_tokenizer_can_learn_from_outputs_alone(
    tuned: CheckpointRef, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    world.mkdir()
    other = dataclasses.replace(World(world).model("encoder"), name="encoder")
    asked = {"student": {"model": "encoder"}}
    outcome = Distil().run(config(**asked), context(tmp_path / "soft", tuned, other))
    assert outcome.facts["layers"] == 3
    where = context(tmp_path / "hidden", tuned, other)
    with pytest.raises(TrainingError, match=r"losses: hidden: teacher 'tuned'.*different tokenize"):
        Distil().run(config(**asked, losses={"hidden": 1.0}), where)


def test_unlabelled_texts_are_learnt_from_and_alone_sees_none(
    tuned: CheckpointRef, tmp_path: Path
) -> None:
    more = dataclasses.replace(tiny.data(n=90), name="more")
    fresh = [f"{text} new old" for text in more.train.texts]
    more = dataclasses.replace(more, train=dataclasses.replace(more.train, texts=fresh))
    where = context(tmp_path, tuned)
    where = dataclasses.replace(where, datasets={"words": where.data, "more": more})
    outcome = Distil().run(config(unlabelled="more", alone=True), where)
    assert outcome.facts["train_texts"] > len(tiny.data().train)
    assert outcome.facts["teachers"]["rows_without_labels"] > 0
    assert outcome.facts["alone"]["stages"][0]["updates"] < outcome.facts["stages"][0]["updates"]
    assert [t.checkpoint for t in outcome.measure or ()] == ["small", "small.alone"]
    assert {t.data for t in outcome.measure or ()} == {"words"}


@pytest.mark.parametrize("target", ["labels", "number", "spans"])
def test_other_targets_are_distilled_too(target: Target, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    world = World(tmp_path, target=target)
    asked = {"teachers": "tuned", "student": {"layers": 1}, "data": "news", "losses": INSIDE}
    outcome = world.run("distil", {**asked, "stages": STAGES}, tmp_path / "out")
    torch.set_num_threads(before)
    assert outcome.checkpoint is not None
    predictor = load(outcome.checkpoint).predictor
    texts = list(world.dataset.splits["test"].texts[:5])
    ask = {"labels": "log_probs", "number": "numbers", "spans": "spans"}[target]
    assert len(getattr(predictor, ask)(texts)) == 5
    assert outcome.facts["teachers"]["ablation"]
