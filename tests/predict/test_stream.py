from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.errors import DataError, UsageError
from gradus.predict import Model, load, stream
from gradus.predict.readers import BadLine, TextItem
from gradus.predict.stream import predict_stream

from .linear_models import TEXTS, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(save(tmp_path_factory.mktemp("linear") / "c"))


@given(
    texts=st.lists(st.text(max_size=20), max_size=40),
    window=st.integers(1, 12),
    linger=st.sampled_from([None, 0.0, 0.01]),
)
@settings(max_examples=60)
def test_order_is_kept_whatever_the_window(
    model: Model, texts: list[str], window: int, linger: float | None
) -> None:
    found = list(predict_stream(model, texts, window=window, linger=linger, echo=True))
    assert [record["line"] for record in found] == list(range(1, len(texts) + 1))
    for record, text in zip(found, texts, strict=True):
        if not text.strip():
            assert record["error"] == "the text is empty"
            continue
        (own,) = model.predict([text])
        assert (record["text"], record["label"], record["probability"]) == (
            text, own.label, own.probability,
        )  # fmt: skip


def test_record_form(model: Model) -> None:
    entries = [TextItem(3, TEXTS[0], {"doc": 1}), BadLine(9, "broken", "x")]
    first, second = predict_stream(model, entries, top_k=2, threshold=1.0)
    assert list(first) == ["line", "id", "label", "probability", "abstained", "top"]
    assert (first["line"], first["id"], first["label"], first["abstained"]) == (
        3, {"doc": 1}, None, True,
    )  # fmt: skip
    assert [list(t) for t in first["top"]] == [["label", "probability"]] * 2
    assert second == {"line": 9, "id": "x", "error": "broken"}


def test_file_is_read_one_window_ahead_at_most(model: Model) -> None:
    taken = 0

    def source() -> Iterator[str]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield "goal"

    records = predict_stream(model, source(), window=10)
    next(records)
    assert taken == 10


def test_long_texts_end_a_window_early(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_CHARACTERS", 100)
    sizes = []
    predict = model.predict
    monkeypatch.setattr(model, "predict", lambda t, **o: sizes.append(len(t)) or predict(t, **o))
    assert len(list(predict_stream(model, ["x" * 60] * 5, window=50))) == 5
    assert sizes == [2, 2, 1]


def test_a_pausing_source_is_answered_while_it_pauses(model: Model) -> None:
    go = threading.Event()

    def source() -> Iterator[str]:
        yield "goal"
        assert go.wait(20)
        yield "budget"

    records = predict_stream(model, source(), linger=0.01)
    assert next(records)["line"] == 1
    go.set()
    assert next(records)["line"] == 2
    assert next(records, None) is None


def test_error_of_the_source_arrives_after_what_was_read(model: Model) -> None:
    def source() -> Iterator[str]:
        yield "goal"
        raise DataError("torn", line=2)

    records = predict_stream(model, source(), linger=0.01)
    assert next(records)["line"] == 1
    with pytest.raises(DataError, match="torn"):
        next(records)


def test_reading_thread_ends_when_nobody_listens(model: Model) -> None:
    def source() -> Iterator[str]:
        while True:
            yield "goal"

    before = threading.active_count()
    records = predict_stream(model, source(), window=4, linger=0.01)
    next(records)
    records.close()
    until = time.monotonic() + 300
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() == before


@pytest.mark.parametrize("options", [{"window": 0}, {"top_k": 0}, {"threshold": 2.0}])
def test_bad_options_are_refused_at_once(model: Model, options, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        predict_stream(model, ["x"], **options)
