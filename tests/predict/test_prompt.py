from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradus.checkpoints import read_manifest, verify
from gradus.errors import CheckpointError
from gradus.predict import load
from gradus.predict.prompt import PromptPredictor, locate_model, save_prompt
from gradus.records import CheckpointRef
from gradus.scoring.prompts import Calibration, Prompt
from gradus.scoring.seam import encode_pair
from scoring.causal import plain_log_likelihood, save_source

WORDS = {"sport": "sport", "card_lost": "card lost", "card_late": "card late fee"}
TEXTS = ["Won 3:1 on Sunday", "", "it never came, and it is due", "x " * 90, "lost it"]
SHOTS = (("They won", "sport"), ("It is gone", "card_lost"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A model this small only waits for other threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    folder = tmp_path_factory.mktemp("lm") / "weights"
    return save_source(folder, ["This text is about sport", "card lost or card late"] * 20)


def prompt(**options: Any) -> Prompt:
    given = {"instruction": "Sort this.", "words": WORDS, "max_tokens": 30, **options}
    return Prompt(**given)


def saved(folder: Path, model: CheckpointRef, **options: Any) -> CheckpointRef:
    return save_prompt(folder / "asked", labels=list(WORDS), prompt=prompt(**options), model=model)


def by_hand(model: CheckpointRef, asked: Prompt, texts: list[str]) -> np.ndarray:
    """One plain forward pass for each text and label."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    lm = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model.path)
    rows = []
    for text in texts:
        row = []
        for words in asked.words.values():
            ids = encode_pair(tokenizer, asked.render(text), " " + words)
            length = 1 if asked.score == "sum" else len(ids[1])
            row.append(plain_log_likelihood(lm, *ids) / length)
        rows.append(row)
    return np.array(rows)


def softmax(rows: np.ndarray) -> np.ndarray:
    powers: np.ndarray = np.exp(rows - rows.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("score", ["sum", "mean"])
@pytest.mark.parametrize("examples", [(), SHOTS])
def test_probabilities_are_those_of_a_plain_forward_pass(
    tmp_path: Path, model: CheckpointRef, score: str, examples: Any
) -> None:
    short = [text for text in TEXTS if len(text) < 40]
    offsets = (-1.0, -0.5, -2.0)
    asked = prompt(
        score=score, examples=examples, calibration=Calibration("contextual", 1, offsets)
    )
    save_prompt(tmp_path / "asked", labels=list(WORDS), prompt=asked, model=model)
    expected = softmax(by_hand(model, asked, short)) / np.exp(offsets)
    found = load(tmp_path / "asked").predict_proba(short)
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4)


def test_saved_and_loaded_it_is_the_same(tmp_path: Path, model: CheckpointRef) -> None:
    ref = saved(tmp_path, model, examples=SHOTS, context=200)
    assert (ref.kind, ref.labels) == ("prompt", tuple(WORDS))
    manifest = verify(Path(ref.path))
    assert [(a.name, a.digest) for a in manifest.lineage] == [("lm", model.digest)]
    assert not list(Path(ref.path).glob("*.safetensors"))
    loaded = load(ref.path)
    assert isinstance(loaded.predictor, PromptPredictor)
    assert loaded.predictor.prompt == prompt(examples=SHOTS, context=200)
    assert loaded.contract == {
        "dtype": "float32",
        "backend": "torch",
        "max_tokens": "30",
        "tokenizer": model.digest[:16],
    }
    weights = sum(p.stat().st_size for p in Path(model.path).iterdir())
    assert loaded.predictor.size_bytes == weights + manifest.size_bytes
    answer = loaded.predict(["lost it"], top_k=3)[0]
    assert {label for label, _ in answer.top} == set(WORDS)


def test_a_row_does_not_depend_on_its_batch(tmp_path: Path, model: CheckpointRef) -> None:
    predictor = load(saved(tmp_path, model, examples=SHOTS)).predictor
    together = predictor.log_probs(TEXTS * 3)
    alone = np.concatenate([predictor.log_probs([text]) for text in TEXTS * 3])
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    assert together.shape == (15, 3)
    np.testing.assert_allclose(np.exp(together).sum(axis=1), 1.0)


def test_progress_goes_on_over_stretches(
    tmp_path: Path, model: CheckpointRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradus.predict import prompt as room

    predictor = load(saved(tmp_path, model)).predictor
    whole = predictor.log_probs(TEXTS)
    monkeypatch.setattr(room, "STRETCH", 2)
    seen: list[int] = []
    np.testing.assert_allclose(predictor.log_probs(TEXTS, progress=seen.append), whole, rtol=1e-5)
    assert seen == [1, 2, 3, 4, 5]


def test_a_prompt_too_long_for_the_model_still_answers(
    tmp_path: Path, model: CheckpointRef
) -> None:
    long = tuple(("y " * 100, "sport") for _ in range(5))
    predictor = load(saved(tmp_path, model, examples=long, max_tokens=300)).predictor
    assert isinstance(predictor, PromptPredictor)
    encoded = predictor.encoder.encode(["z " * 290, "short"])
    assert encoded.dropped == [5, 4]
    assert encoded.squeezed == [True, False]
    assert np.isfinite(predictor.log_probs(["z " * 290, "short"])).all()


def test_the_model_is_found_again_where_its_source_says(
    tmp_path: Path, model: CheckpointRef
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(model.path, moved)
    gone = replace(
        model, path=str(tmp_path / "gone"), origin={"folder": str(moved), "version": "1"}
    )
    assert locate_model(gone).path == str(moved)
    assert load(saved(tmp_path, gone)).labels == tuple(WORDS)


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        ({"folder": "nowhere-at-all"}, "folder nowhere-at-all.*doesn't exist"),
        ({"package": "no-such-package-1"}, "isn't installed"),
        ({"step": "earlier"}, "run its plan again"),
    ],
)
def test_a_model_that_is_gone_is_named_with_its_source(
    tmp_path: Path, model: CheckpointRef, origin: dict[str, str], why: str
) -> None:
    ref = saved(tmp_path, replace(model, path=str(tmp_path / "gone"), origin=origin))
    with pytest.raises(CheckpointError, match=f"(?s)'lm'.*no longer at .*gone.*{why}"):
        load(ref)


def test_other_weights_in_the_old_place_are_refused(tmp_path: Path, model: CheckpointRef) -> None:
    place = tmp_path / "weights"
    shutil.copytree(model.path, place)
    ref = saved(tmp_path, replace(model, path=str(place), origin={"folder": str(place)}))
    load(ref)
    weights = place / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="other weights stand there"):
        load(ref)


def test_a_model_without_words_cannot_be_prompted(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    from gradus.sources import locate_weights

    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    bert = locate_weights("bert", {"folder": str(tmp_path / "bert")}, tmp_path)
    with pytest.raises(CheckpointError, match="sees both sides of a text"):
        load(saved(tmp_path, bert))


def test_a_backbone_alone_has_no_language_model_head(tmp_path: Path, model: CheckpointRef) -> None:
    from transformers import AutoModel

    from gradus.sources import locate_weights

    AutoModel.from_pretrained(model.path).save_pretrained(tmp_path / "backbone")
    ref = locate_weights("backbone", {"folder": str(tmp_path / "backbone")}, tmp_path)
    with pytest.raises(CheckpointError, match=r"lack lm_head\.weight"):
        load(saved(tmp_path, ref))


def test_broken_content_is_named(tmp_path: Path, model: CheckpointRef) -> None:
    ref = saved(tmp_path, model)
    file = Path(ref.path) / "prompt.json"
    raw = json.loads(file.read_text())
    del raw["prompt"]["words"]
    file.write_text(json.dumps(raw))
    with pytest.raises(CheckpointError, match="can't be read as kind 'prompt'"):
        PromptPredictor.open(ref)
    assert read_manifest(Path(ref.path)).kind == "prompt"
