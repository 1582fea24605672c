from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gradus.checkpoints import open_checkpoint
from gradus.data.prepare import Prepare
from gradus.errors import CheckpointError, UsageError
from gradus.predict import Model, encoder, load
from gradus.predict.prepared import PreparedPredictor
from gradus.records import CheckpointRef, Pair
from gradus.sources import locate_weights
from gradus.steps.finetune import Finetune, FinetuneConfig
from gradus.testing.world import World
from steps import tiny

from .linear_models import save

TEXTS = ["the ball", "a new bank had the loan in the match", "", "song", "unheard of words"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    return tiny.source(tmp_path_factory.mktemp("embedding") / "source")


@pytest.fixture(scope="module")
def tuned(source: CheckpointRef, tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    context = tiny.context(tmp_path_factory.mktemp("tuned"), source, tiny.data())
    given = {
        "model": "encoder",
        "data": "words",
        "objective": {"name": "classify", "pooling": "first", "normalise": True},
        "stages": [{"train": "head"}],
    }
    outcome = Finetune().run(FinetuneConfig.model_validate(given), context)
    assert outcome.checkpoint is not None
    return open_checkpoint(outcome.checkpoint)


def hidden_states(folder: str, texts: list[str]) -> list[torch.Tensor]:
    """What transformers' own forward gives, a text at a time, float32 [tokens, d] each."""
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return [
            model(**tokenizer(t, return_tensors="pt", truncation=True)).last_hidden_state[0]
            for t in texts
        ]


def test_a_bare_encoder_gives_the_mean_of_its_tokens(source: CheckpointRef) -> None:
    model = encoder(source)
    expected = torch.stack([h.mean(0) for h in hidden_states(source.path, TEXTS)]).numpy()
    seen: list[int] = []
    found = model.embed(TEXTS, progress=seen.append)
    assert (found.dtype, found.shape) == (np.float32, (len(TEXTS), 24))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert seen[-1] == len(TEXTS)
    unit = model.embed(TEXTS, normalise=True)
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, expected / norms, atol=1e-5)
    assert model.embed([]).shape == (0, 24)
    assert {"dtype", "backend", "pooling", "tokenizer"} <= model.contract.keys()
    assert model.predictor.size_bytes > 0


def test_a_tuned_checkpoint_gives_what_its_head_sees(tuned: CheckpointRef) -> None:
    model = load(tuned)
    first = torch.stack([h[0] for h in hidden_states(tuned.path, TEXTS)]).numpy()
    unit = first / np.linalg.norm(first, axis=1, keepdims=True)
    np.testing.assert_allclose(model.embed(TEXTS), unit, atol=1e-5)
    np.testing.assert_allclose(model.embed(TEXTS, normalise=False), first, atol=1e-5)
    # Opened as an encoder it reads as it was tuned.
    np.testing.assert_array_equal(encoder(tuned).embed(TEXTS), model.embed(TEXTS))


def test_pairs_are_read_with_both_sides(source: CheckpointRef) -> None:
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(source.path).eval()
    tokenizer = AutoTokenizer.from_pretrained(source.path)
    with torch.inference_mode():
        coded = tokenizer("the ball", "a song", return_tensors="pt")
        expected = model(**coded).last_hidden_state[0].mean(0).numpy()
    found = encoder(source).embed([Pair("the ball", "a song")])[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_causal_model_gives_its_last_token(tmp_path: Path) -> None:
    place = World(tmp_path).model("lm").path
    model = encoder(locate_weights("lm", {"folder": place}, tmp_path))
    texts = ["On Monday the striker", "A car maker"]
    expected = torch.stack([h[-1] for h in hidden_states(place, texts)]).numpy()
    np.testing.assert_allclose(model.embed(texts), expected, atol=1e-5)


def test_texts_are_prepared_first(tuned: CheckpointRef) -> None:
    plain = load(tuned)
    prepare = Prepare.of({"prepare": ["lower"]})
    assert prepare is not None
    model = Model(PreparedPredictor(plain.predictor, prepare), tuned)
    np.testing.assert_array_equal(model.embed(["THE BALL"]), plain.embed(["the ball"]))


def test_what_has_no_vectors_says_so(tuned: CheckpointRef, tmp_path: Path) -> None:
    linear = save(tmp_path / "linear")
    with pytest.raises(UsageError, match=r"'linear'.*has no vectors of texts"):
        load(linear).embed(["x"])
    with pytest.raises(CheckpointError, match=r"'linear'.*has no vectors of texts"):
        encoder(open_checkpoint(linear.path))
    with pytest.raises(UsageError, match="texts is one string"):
        load(tuned).embed("x")
