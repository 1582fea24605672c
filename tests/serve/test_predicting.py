"""The engine of checkpoints: in a batch of many requests each gets what it would get alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradus.errors import CheckpointError
from gradus.predict import load
from gradus.predict.model import encoder
from gradus.predict.stream import predict_stream
from gradus.serve import table
from gradus.serve.engine import Asked
from gradus.serve.predicting import Embedding, Predicting
from gradus.testing.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def test_each_request_gets_its_own_answer(world: World) -> None:
    folder = world.model("tuned").path
    engine = Predicting.open(folder, {"threads": 1})
    engine.probe()
    assert engine.tasks == ("classify", "embed")
    texts = list(world.dataset.splits["test"].texts[:6])
    asked = [
        Asked(1, "classify", {"texts": texts[:2], "top_k": 1, "threshold": None}),
        Asked(2, "embed", {"texts": texts[2:4], "normalise": True}),
        Asked(3, "classify", {"texts": texts[4:], "top_k": 2, "threshold": 0.99}),
        Asked(4, "classify", {"texts": texts[2:4], "top_k": 1, "threshold": None}),
        Asked(5, "embed", {"texts": texts[:1], "normalise": False}),
    ]
    said = engine.run(asked)
    model = load(folder, threads=1)
    for one, answer in zip(asked, said, strict=True):
        if one.task == "embed":
            vectors = model.embed(one.body["texts"], normalise=one.body["normalise"])
            np.testing.assert_allclose(answer, vectors, atol=1e-5)
            continue
        options = {"top_k": one.body["top_k"], "threshold": one.body["threshold"]}
        for record, result in zip(
            predict_stream(model, one.body["texts"], **options), answer, strict=True
        ):
            assert record["label"] == result["label"]
            assert record.get("abstained") == result.get("abstained")
            np.testing.assert_allclose(record["probability"], result["probability"], atol=1e-5)
            assert len(record["top"]) == len(result["top"])


def test_a_pair_stays_a_pair(world: World) -> None:
    engine = Predicting.open(world.model("tuned").path, {"threads": 1})
    one, two = "a short text", "and another one"
    (pair,) = engine.run([Asked(1, "classify", {"texts": [[one, two]]})])
    (joined,) = engine.run([Asked(1, "classify", {"texts": [f"{one} {two}"]})])
    assert pair[0]["probability"] != joined[0]["probability"]


def test_a_tagger_tags(tmp_path: Path) -> None:
    world = World(tmp_path, target="spans")
    engine = Predicting.open(world.model("tuned").path, {"threads": 1})
    engine.probe()
    assert engine.tasks[0] == "tag"
    assert "classify" not in engine.tasks
    texts = list(world.dataset.splits["test"].texts[:3])
    (said,) = engine.run([Asked(1, "tag", {"texts": texts})])
    model = load(world.model("tuned").path, threads=1)
    for text, spans, one in zip(texts, model.predictor.spans(texts), said, strict=True):
        assert [(s.start, s.end, s.label) for s in spans] == [
            (s["start"], s["end"], s["label"]) for s in one["spans"]
        ]
        assert all(text[s["start"] : s["end"]] == s["text"] for s in one["spans"])


def test_a_bare_encoder_gives_vectors(world: World) -> None:
    ref = world.model("encoder")
    assert table.engine("auto", ref.path) is Embedding
    engine = Embedding.open(ref.path, {"threads": 1})
    engine.probe()
    assert engine.tasks == ("embed",)
    (said,) = engine.run([Asked(1, "embed", {"texts": ["one", "two"], "normalise": True})])
    np.testing.assert_allclose(said, encoder(ref).embed(["one", "two"], normalise=True), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(said, axis=1), 1, atol=1e-5)


def test_weights_that_say_nothing_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Predicting.open(world.model("tuned").path, {"threads": 1})
    predictor = type(engine._model.predictor)
    monkeypatch.setattr(
        predictor, "log_probs", lambda self, texts, progress=None: np.full((len(texts), 3), np.nan)
    )
    with pytest.raises(CheckpointError, match="broken"):
        engine.probe()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        Predicting.open(str(tmp_path), {})
