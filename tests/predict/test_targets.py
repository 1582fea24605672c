"""Sets of labels, numbers, spans and pairs in the facade, the stream and the readers."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.errors import DataError, UsageError
from gradus.predict import Model, load
from gradus.predict.base import Predictor
from gradus.predict.linear import save_constant
from gradus.predict.outputs import head_outputs, in_units, log_probabilities
from gradus.predict.readers import BadLine, TextItem, read_texts
from gradus.predict.stream import predict_stream
from gradus.records import CheckpointRef, Pair, Span
from gradus.testing import World


@pytest.fixture
def sets(tmp_path: Path) -> Model:
    """Says 0.9, 0.4 and 0.6 of every text."""
    p = np.array([0.9, 0.4, 0.6])
    return load(
        save_constant(tmp_path / "s", np.log(p / (1 - p)), "labels", labels=["a", "b", "c"])
    )


@pytest.fixture
def number(tmp_path: Path) -> Model:
    return load(save_constant(tmp_path / "n", np.array([2.5]), "number"))


class Words(Predictor):
    """Labels the first word of every text."""

    kind, summary, target, labels = "words", "the first word", "spans", ("FIRST",)
    contract, size_bytes = {}, 0  # type: ignore[assignment]  # constants here

    @classmethod
    def open(cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None) -> Any:
        return cls()

    def spans(
        self,
        texts: Sequence[str],
        *,
        words: Any = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[tuple[Span, ...]]:
        return [(Span(0, len(t.split()[0]), "FIRST", 0.75),) for t in texts]


def test_all_labels_above_their_threshold_are_said_the_surest_first(sets: Model) -> None:
    (said,) = sets.predict(["x"], top_k=2)
    assert [name for name, _ in said.labels] == ["a", "c"]
    assert [round(p, 6) for _, p in said.labels] == [0.9, 0.6]
    assert (said.label, round(said.probability or 0, 6), len(said.top)) == ("a", 0.9, 2)
    (strict,) = sets.predict(["x"], threshold=0.95)
    assert (strict.labels, strict.label) == ((), None)
    (loose,) = sets.predict(["x"], threshold=0.3)
    assert [name for name, _ in loose.labels] == ["a", "c", "b"]
    assert sets.predict_proba(["x", "y"]).sum() == pytest.approx(2 * 1.9)


def test_a_number_is_a_value_and_has_no_threshold(number: Model) -> None:
    (said,) = number.predict(["x"])
    assert (said.value, said.label, said.probability) == (2.5, None, None)
    with pytest.raises(UsageError, match="this checkpoint predicts numbers: leave it out"):
        number.predict(["x"], threshold=0.5)
    with pytest.raises(UsageError, match="predicts numbers"):
        predict_stream(number, ["x"], threshold=0.5)
    with pytest.raises(UsageError, match="one string"):
        number.predict_numbers("x")


def test_records_of_every_target(sets: Model, number: Model) -> None:
    assert list(predict_stream(number, ["x", " "])) == [
        {"line": 1, "value": 2.5},
        {"line": 2, "error": "the text is empty"},
    ]
    (record,) = predict_stream(sets, [TextItem(4, Pair("one", "two"), "id")], echo=True, top_k=1)
    assert list(record) == ["line", "id", "text", "labels", "top"]
    assert record["text"] == ["one", "two"]
    assert [row["label"] for row in record["labels"]] == ["a", "c"]
    tagger = Model(Words(), CheckpointRef(name="w", kind="words", path="."))
    (tagged,) = predict_stream(tagger, ["London calls"])
    assert tagged["spans"] == [
        {"start": 0, "end": 6, "label": "FIRST", "text": "London", "probability": 0.75}
    ]


FIELDS = ("premise", "hypothesis")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "a.jsonl",
            '{"premise": "p, 1", "hypothesis": "h"}\n{"premise": "x"}\n'
            '{"premise": "x", "hypothesis": " "}\n',
        ),
        ("a.csv", 'premise,hypothesis\n"p, 1",h\nx\nx, \n'),
        ("a.tsv", "hypothesis\tpremise\nh\tp, 1\nx\n \tx\n"),
    ],
)  # fmt: skip
def test_pairs_are_read(name: str, content: str) -> None:
    entries = list(read_texts(io.BytesIO(content.encode()), name=name, text_field=FIELDS))
    first, second, third = entries
    assert isinstance(first, TextItem)
    assert isinstance(first.text, Pair)
    assert (first.text.first, first.text.second) == ("p, 1", "h")
    assert isinstance(second, BadLine)
    assert isinstance(third, BadLine)
    assert "field 'hypothesis' is empty" in third.error


def test_what_pairs_cannot_be_read_from_is_said() -> None:
    with pytest.raises(UsageError, match="a line holds one text: for pairs"):
        read_texts(io.BytesIO(b"a\n"), format="lines", text_field=FIELDS)
    with pytest.raises(UsageError, match="3 text fields"):
        read_texts(io.BytesIO(b"a\n"), text_field=("a", "b", "c"))
    with pytest.raises(DataError, match="field 'hypothesis': no such column"):
        list(read_texts(io.BytesIO(b"premise,b\nx,y\n"), format="csv", text_field=FIELDS))


def test_outputs_by_hand() -> None:
    logits = np.array([[0.0, 2.0], [-800.0, 800.0]])
    each = np.exp(log_probabilities(logits, "labels"))
    np.testing.assert_allclose(each, [[0.5, 1 / (1 + math.exp(-2))], [0.0, 1.0]], atol=1e-15)
    together = np.exp(log_probabilities(logits, "label"))
    np.testing.assert_allclose(together.sum(axis=1), 1.0)
    assert in_units(np.array([[0.5]]), {"mean": 10, "deviation": 4}).tolist() == [12.0]
    assert [head_outputs({"target": t}, 3) for t in ("label", "labels", "number")] == [3, 3, 1]


@pytest.mark.parametrize("target", ["labels", "number"])
def test_an_exported_graph_says_what_its_parent_says(target: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    world = World(tmp_path, target=target)
    outcome = world.run("quantize", {"model": "tuned", "data": "news"}, tmp_path / "small")
    whole, small = load(world.model("tuned")), load(outcome.checkpoint)
    texts = world.dataset.splits["test"].texts
    assert small.target == target
    assert small.predictor.thresholds == whole.predictor.thresholds
    one, two = whole.predictor.say(texts), small.predictor.say(texts)
    assert one.shape == two.shape
    flat = one.ravel(), two.ravel()
    assert np.corrcoef(*flat)[0, 1] > 0.99
