from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradus.errors import CheckpointError, TrainingError
from gradus.predict import load
from gradus.predict.linear import ABSENT_LOGIT, LinearPredictor, save_majority

from .linear_models import LABELS, TEXTS, fit, save

SETTINGS = [
    {},
    {"analyzer": "char", "ngrams": (2, 4)},
    {"analyzer": "char_wb", "ngrams": (3, 3), "lowercase": False},
    {"ngrams": (1, 1), "sublinear_tf": False, "lowercase": False},
]
NEW = [
    "The striker met the minister",
    "MARKET market market goal",
    "unknown words",
    "",
    "日本語 goal",
]


@pytest.mark.parametrize("options", SETTINGS)
def test_probabilities_equal_sklearns(tmp_path: Path, options: dict[str, object]) -> None:
    vectorizer, classifier = fit(**options)
    save(tmp_path / "c", **options)
    model = load(tmp_path / "c")
    texts = [*TEXTS, *NEW]
    # The oracle in float64 from the same weights; and scikit-learn's own float32.
    features = vectorizer.transform(texts).astype(np.float64)
    logits = features @ classifier.coef_.T.astype(np.float64) + classifier.intercept_
    exact = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(texts), exact, atol=3e-7)
    theirs = classifier.predict_proba(vectorizer.transform(texts))
    np.testing.assert_allclose(model.predict_proba(texts), theirs, atol=1e-6)
    assert [p.label for p in model.predict(texts)] == [
        LABELS[i] for i in classifier.predict(vectorizer.transform(texts))
    ]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=20))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_depends_on_its_text_alone(tmp_path: Path, texts: list[str]) -> None:
    folder = tmp_path / "c"
    if not folder.exists():
        save(folder)
    predictor = load(folder).predictor
    together = predictor.log_probs(texts)
    assert together.shape == (len(texts), 3)
    np.testing.assert_allclose(np.exp(together).sum(axis=1), 1.0, atol=1e-12)
    alone = np.concatenate([predictor.log_probs([text]) for text in texts])
    np.testing.assert_array_equal(together, alone)


def test_more_texts_than_a_batch_with_progress(tmp_path: Path) -> None:
    save(tmp_path / "c")
    predictor = load(tmp_path / "c").predictor
    seen: list[int] = []
    rows = predictor.log_probs(TEXTS * 400, progress=seen.append)
    assert seen == [1024, 2048, 2400]
    np.testing.assert_array_equal(rows, np.tile(predictor.log_probs(TEXTS), (400, 1)))


def test_majority_gives_the_shares(tmp_path: Path) -> None:
    save_majority(tmp_path / "m", labels=["a", "b", "c"], counts=[1, 0, 3])
    model = load(tmp_path / "m")
    probabilities = model.predict_proba(["x", ""])
    np.testing.assert_allclose(probabilities, [[0.25, 0.0, 0.75]] * 2, atol=1e-15)
    assert model.predictor.log_probs(["x"])[0, 1] == pytest.approx(ABSENT_LOGIT)
    assert np.isfinite(model.predictor.log_probs(["x"])).all()
    with pytest.raises(TrainingError, match="empty"):
        save_majority(tmp_path / "none", labels=["a"], counts=[0])


def test_size_and_contract(tmp_path: Path) -> None:
    save(tmp_path / "c")
    predictor = load(tmp_path / "c").predictor
    on_disk = sum(p.stat().st_size for p in (tmp_path / "c").iterdir() if p.name != "gradus.json")
    assert predictor.size_bytes == on_disk
    assert predictor.contract["dtype"] == "float32"
    save(tmp_path / "other", ngrams=(1, 1))
    other = load(tmp_path / "other").contract
    assert other["tokenizer"] != predictor.contract["tokenizer"]


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    ref = save(tmp_path / "c")
    path = tmp_path / "c" / "vocabulary.json"
    path.write_text(json.dumps(json.loads(path.read_text())[:-1]))
    with pytest.raises(CheckpointError, match="coef has shape"):
        LinearPredictor.open(ref)
    path.unlink()
    with pytest.raises(CheckpointError, match="can't be read as kind 'linear'"):
        LinearPredictor.open(ref)
