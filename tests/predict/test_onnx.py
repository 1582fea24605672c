from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.classifiers import make_texts
from compress.steps import FAMILIES, Pair
from gradus.checkpoints import read_manifest
from gradus.errors import CheckpointError, MissingExtra
from gradus.predict import graph, load
from gradus.predict.graph import BATCH_TEXTS, BATCH_TOKENS, equal_length_batches

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.fixture(params=FAMILIES)
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair.of(str(request.param))


@pytest.fixture
def bert() -> Pair:
    return Pair.of("bert")


def test_it_computes_what_the_graph_does(pair: Pair) -> None:
    """Against ONNX Runtime run by hand, one text at a time, and transformers' own tokenizer."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(pair.child)
    session = ort.InferenceSession(pair.child / "model.onnx", providers=["CPUExecutionProvider"])
    texts = make_texts(40, longest=14)
    found = load(pair.child).predictor.log_probs(texts)
    for text, row in zip(texts, found, strict=True):
        ids = tokenizer(text, truncation=True, max_length=10)["input_ids"]
        logits = session.run(None, {"input_ids": np.array([ids])})[0][0].astype(np.float64)
        expected = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
        # Beside others in a batch, a float32 sum before rounding to an integer may fall otherwise.
        np.testing.assert_allclose(row, expected, atol=0.05)


def test_it_stays_near_its_parent(pair: Pair) -> None:
    texts = make_texts(60, seed=8)
    parent = load(pair.parent).predictor.log_probs(texts)
    child = load(pair.child).predictor.log_probs(texts)
    assert (np.exp(parent) * (parent - child)).sum(1).mean() < 0.01
    assert (parent.argmax(1) != child.argmax(1)).mean() <= 0.05


def test_the_same_texts_give_the_same_bits(bert: Pair) -> None:
    texts = make_texts(300, seed=5)
    first = load(bert.child, threads=2).predictor.log_probs(texts)
    np.testing.assert_array_equal(first, load(bert.child, threads=2).predictor.log_probs(texts))
    np.testing.assert_array_equal(first, load(bert.child, threads=1).predictor.log_probs(texts))
    np.testing.assert_array_equal(first, load(bert.child, threads=3).predictor.log_probs(texts))


def test_rows_are_in_the_order_of_the_texts(bert: Pair) -> None:
    predictor = load(bert.child).predictor
    texts = sorted(set(make_texts(80, seed=6)))
    forth, back = predictor.log_probs(texts), predictor.log_probs(texts[::-1])
    np.testing.assert_allclose(forth, back[::-1], atol=0.05)
    assert len(np.unique(forth.round(6), axis=0)) > 60


def test_stretches_don_t_change_rows(bert: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = load(bert.child).predictor
    texts = make_texts(50, seed=6)
    whole = predictor.log_probs(texts)
    monkeypatch.setattr(graph, "STRETCH", 7)
    seen: list[int] = []
    parts = predictor.log_probs(texts, progress=seen.append)
    np.testing.assert_allclose(parts, whole, atol=0.05)
    assert seen == sorted(seen)
    assert seen[-1] == 50


def test_one_empty_and_overlong_texts(pair: Pair) -> None:
    predictor = load(pair.child).predictor
    seen: list[int] = []
    assert predictor.log_probs(["rain"], progress=seen.append).shape == (1, 3)
    assert seen == [1]
    assert predictor.log_probs([]).shape == (0, 3)
    rows = predictor.log_probs(["", "rain " * 500, "rain " * 600])
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.exp(rows).sum(1), 1)
    np.testing.assert_array_equal(rows[1], rows[2])
    parent = load(pair.parent).predictor.log_probs(["", "rain " * 500])
    np.testing.assert_allclose(rows[:2], parent, atol=0.5)


@given(st.lists(st.integers(1, 1500), max_size=300))
def test_batches_hold_every_row_once_and_one_length_each(lengths: list[int]) -> None:
    known = np.array(lengths, dtype=np.int64)
    batches = equal_length_batches(known)
    rows = np.concatenate([np.array([], dtype=np.int64), *batches])
    assert sorted(rows.tolist()) == list(range(len(lengths)))
    sizes = []
    for batch in batches:
        assert len(batch) > 0
        assert len(set(known[batch])) == 1
        assert len(batch) <= BATCH_TEXTS
        assert len(batch) == 1 or known[batch].sum() <= BATCH_TOKENS
        sizes.append(int(known[batch].sum()))
    assert sizes == sorted(sizes, reverse=True)


def test_the_contract_names_what_must_agree(bert: Pair) -> None:
    parent, child = load(bert.parent).contract, load(bert.child).contract
    assert child["dtype"] == "int8"
    assert child["backend"] == "onnxruntime"
    assert "1024 tokens" in child["batching"]
    assert child["tokenizer"] == parent["tokenizer"] != ""
    assert child["max_tokens"] == parent["max_tokens"] == "10"


def test_size_is_that_of_all_files(bert: Pair) -> None:
    files = [p for p in bert.child.iterdir() if p.name != "gradus.json"]
    assert load(bert.child).predictor.size_bytes == sum(p.stat().st_size for p in files)


def copy(pair: Pair, folder: Path) -> Path:
    return Path(shutil.copytree(pair.child, folder / "copy"))


def test_one_flipped_byte_is_refused(bert: Pair, tmp_path: Path) -> None:
    child = copy(bert, tmp_path)
    content = bytearray((child / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (child / "model.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.onnx: the content differs"):
        load(child)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("model.onnx", b"\x00not a graph", "ONNX Runtime .* can't read it"),
        ("model.onnx", None, "ONNX Runtime .* can't read it"),
        ("tokenizer.json", b"{}", "the tokenizer can't be read"),
        ("tokenizer.json", b"\xff\xfe", "the tokenizer can't be read"),
        ("tokenizer.json", None, "the tokenizer can't be read"),
    ],
)
def test_what_can_t_be_read_is_named(
    bert: Pair, tmp_path: Path, name: str, content: bytes | None, match: str
) -> None:
    child = copy(bert, tmp_path)
    (child / name).unlink()
    if content is not None:
        (child / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=match):
        load(child, verify=False)


def test_incomplete_preprocessing_is_named(bert: Pair) -> None:
    preprocessing = dict(read_manifest(bert.child).preprocessing)
    del preprocessing["empty_text"]
    with pytest.raises(CheckpointError, match="preprocessing is incomplete or wrong"):
        graph.TextEncoder(bert.child / "tokenizer.json", preprocessing)


def test_without_the_package_the_extra_is_named(
    bert: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"onnxruntime.*gradus-lm\[onnx\]"):
        load(bert.child)


def test_a_session_leaves_the_processor_as_it_was(bert: Pair) -> None:
    """Flushing subnormal numbers to zero would change what torch computes afterwards."""
    load(bert.child, threads=1).predictor.log_probs(["rain", "sun and rain"])
    assert np.float32(1e-40) * np.float32(1) > 0
    assert np.float32(1e-30) * np.float32(1e-10) > 0


def test_nothing_is_said(bert: Pair) -> None:
    """A fresh process predicts without torch and without a word on either stream."""
    code = (
        "import sys, json\n"
        "from gradus.predict import load\n"
        f"rows = load({str(bert.child)!r}).predictor.log_probs(['rain', 'the sun'])\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
        "print(json.dumps(rows.shape))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [2, 3]
    assert done.stderr == ""


def test_an_error_in_a_batch_is_raised(bert: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor: Any = load(bert.child).predictor

    def broken(ids: Any, threads: int) -> Any:
        raise RuntimeError("no memory")

    monkeypatch.setattr(predictor, "_infer", broken)
    with pytest.raises(RuntimeError, match="no memory"):
        predictor.log_probs(["rain", "sun"])
