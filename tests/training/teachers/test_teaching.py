"""Teachers of labelled texts: asked once, their columns in the student's order, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from gradus.checkpoints import open_checkpoint
from gradus.data.dataset import TrainingData
from gradus.errors import DataError
from gradus.objectives.tagging_sequences import Tagset
from gradus.predict import load
from gradus.predict.linear import save_constant, save_majority
from gradus.records import CheckpointRef
from gradus.testing.world import ListeningMonitor, World
from gradus.training.teachers import Teaching, open_teachers, texts_of
from gradus.training.teachers.outputs import words_of

MORE = ["A goalkeeper lost the match.", "", "Some search engine found the data at last."]


def asked(
    data: TrainingData, refs: dict[str, CheckpointRef], place: Path, **options: Any
) -> Teaching:
    settings: dict[str, Any] = {
        "shares": dict.fromkeys(refs, 1.0),
        "weighting": "fixed",
        "outputs": data.labels,
        **options,
    }
    return open_teachers(
        refs, data=data, place=place, monitor=ListeningMonitor(None), threads=1, **settings
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def majority(folder: Path, labels: list[str], counts: list[int]) -> CheckpointRef:
    save_majority(folder, labels=labels, counts=counts)
    return open_checkpoint(folder, name=folder.name)


def test_what_a_teacher_says_is_what_it_predicts(world: World, tmp_path: Path) -> None:
    data, floor = world.dataset.for_training(), world.model("floor")
    teaching = asked(data, {"floor": floor}, tmp_path)
    for ensemble, split in ((teaching.train, data.train), (teaching.select, data.select)):
        rows = torch.arange(len(split))
        expected = load(floor).predictor.log_probs(list(split.texts))
        torch.testing.assert_close(
            ensemble.log_probs(rows).double(), torch.from_numpy(expected), atol=1e-5, rtol=1e-5
        )
        softer = ensemble.log_probs(rows, temperature=3.0).numpy()
        np.testing.assert_allclose(softer, log_softmax(expected / 3, axis=1), atol=1e-5)
    assert teaching.labelled is None
    assert teaching.data is data
    assert teaching.facts == {"weighting": "one teacher", "weights": {"floor": 1.0}}
    kept = len(list(tmp_path.iterdir()))
    asked(data, {"floor": floor}, tmp_path)
    assert len(list(tmp_path.iterdir())) == kept == 2


def test_columns_follow_the_data(world: World, tmp_path: Path) -> None:
    data = world.dataset.for_training()
    labels = list(data.labels)
    turned = majority(tmp_path / "turned", [labels[2], labels[0], labels[1]], [5, 1, 2])
    teaching = asked(data, {"turned": turned}, tmp_path / "kept")
    p = teaching.train.log_probs(torch.tensor([0])).exp()[0]
    np.testing.assert_allclose(p.numpy(), [1 / 8, 2 / 8, 5 / 8], rtol=1e-5)


def test_other_labels_are_refused(world: World, tmp_path: Path) -> None:
    data = world.dataset.for_training()
    labels = list(data.labels)
    fewer = majority(tmp_path / "fewer", labels[:2], [1, 1])
    with pytest.raises(DataError, match=f"teacher fewer doesn't know '{labels[2]}'"):
        asked(data, {"fewer": fewer}, tmp_path)
    further = majority(tmp_path / "further", [*labels, "weather"], [1, 1, 1, 1])
    with pytest.raises(DataError, match="teacher further also tells 'weather'"):
        asked(data, {"further": further}, tmp_path)
    save_constant(tmp_path / "number", np.array([2.0]), "number")
    number = open_checkpoint(tmp_path / "number", name="number")
    with pytest.raises(DataError, match=r"predicts target 'number', and the data have .*'label'"):
        asked(data, {"number": number}, tmp_path)


def test_ablation_from_what_is_kept(world: World, tmp_path: Path) -> None:
    data = world.dataset.for_training()
    refs = {
        "floor": world.model("floor"),
        "blind": majority(tmp_path / "blind", list(data.labels), [1, 1, 1]),
    }
    teaching = asked(data, refs, tmp_path / "kept", weighting="confidence")
    gold = torch.from_numpy(data.select.labels.copy())
    student = teaching.select.teachers[0].log_probs(torch.arange(len(gold)))
    rows = {row["teachers"]: row for row in teaching.ablation(student, gold)}
    assert list(rows) == ["floor", "blind", "all"]
    assert rows["floor"]["student_soft_loss"] == pytest.approx(0, abs=1e-6)
    assert rows["blind"]["loss"] == pytest.approx(np.log(3), rel=1e-5)
    assert rows["floor"]["accuracy"] > 0.8


def test_unlabelled_texts_stand_behind_the_others(world: World, tmp_path: Path) -> None:
    data, floor = world.dataset.for_training(), world.model("floor")
    texts = [*MORE, data.train.texts[0], data.select.texts[3], MORE[0]]
    teaching = asked(data, {"floor": floor}, tmp_path, unlabelled=texts)
    size, train = len(data.train), teaching.data.train
    assert list(train.texts[size:]) == [MORE[0], MORE[2]]
    assert list(train.texts[:size]) == list(data.train.texts)
    assert len(set(train.ids)) == len(train) == size + 2
    said = load(floor).predictor.log_probs([MORE[0], MORE[2]])
    np.testing.assert_array_equal(train.labels[size:], said.argmax(axis=1))
    np.testing.assert_array_equal(train.labels[:size], data.train.labels)
    assert teaching.labelled is not None
    assert teaching.labelled.tolist() == [True] * size + [False] * 2
    assert teaching.facts["rows_without_labels"] == 2
    assert teaching.data.digest != data.digest
    assert any("4 unlabelled texts were left out" in note for note in teaching.notes)
    assert teaching.select.teachers[0].shape[0] == len(data.select)
    with pytest.raises(DataError, match="all unlabelled texts"):
        asked(data, {"floor": floor}, tmp_path, unlabelled=["", data.train.texts[0]])


def test_texts_of_data_and_corpora(world: World) -> None:
    data, corpus = world.dataset.for_training(), world.corpus("plays").for_training()
    assert texts_of("news", {"news": data}, {}) == list(data.train.texts)
    found = texts_of("plays", {}, {"plays": corpus})
    assert set(found) <= {text for text, _ in world.rows}
    with pytest.raises(DataError, match="'other' is neither"):
        texts_of("other", {}, {})


@pytest.mark.parametrize("target", ["labels", "number", "spans"])
def test_other_targets(target: Any, tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    world = World(tmp_path / "world", target=target)
    data, tuned = world.dataset.for_training(), world.model("tuned")
    outputs: tuple[str, ...] = () if target == "number" else tuple(data.labels)
    if target == "spans":
        outputs = tuple(Tagset(data.labels, "iob2").tags)
        scheme = load(tuned).predictor.tags
        outputs = scheme if set(scheme) != set(outputs) else outputs
    teaching = asked(data, {"tuned": tuned}, tmp_path / "kept", outputs=outputs, unlabelled=MORE)
    split = teaching.data.train
    predictor = load(tuned).predictor
    texts = list(split.texts)
    rows = torch.arange(teaching.train.teachers[0].shape[0])
    if target == "number":
        expected = predictor.numbers(texts)[:, None]
        found = teaching.train.logits(rows)
        np.testing.assert_allclose(split.labels[-2:], expected[-2:, 0], rtol=1e-5)
    elif target == "labels":
        expected = predictor.log_probs(texts)
        found = teaching.train.log_probs(rows)
        np.testing.assert_array_equal(split.labels[-2:], expected[-2:] >= np.log(0.5))
    else:
        expected = predictor.tag_log_probs(texts, words=words_of(split))
        found = teaching.train.log_probs(rows)
        words = list(split.words or ())[-2:]
        plain = [[(s.start, s.end, s.label) for s in spans] for spans in split.labels[-2:]]
        said = predictor.spans(texts[-2:], words=words)
        assert plain == [[(s.start, s.end, s.label) for s in spans] for spans in said]
        assert teaching.labelled is not None
        assert int((~teaching.labelled).sum()) == sum(len(of) for of in words)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-4)


def test_a_split_without_texts(world: World, tmp_path: Path) -> None:
    data = world.dataset.for_training()
    empty = replace(data, select=data.select.take([]))
    teaching = asked(empty, {"floor": world.model("floor")}, tmp_path)
    none = torch.zeros((0, 3))
    assert teaching.ablation(none, torch.zeros(0, dtype=torch.int64)) == []
