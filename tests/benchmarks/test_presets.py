"""The token-level presets give what the loops give that the papers and the documentation run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradus import scoring
from gradus.benchmarks.suite.wikitext_2 import WikiText2
from gradus.metrics import get
from gradus.metrics.texts import Texts
from gradus.testing.world import default_rows, write_causal

WINDOW = 24


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama and an article in WikiText's format."""
    folder = tmp_path_factory.mktemp("presets")
    sentences = [text.replace(".", " .") for text, _ in default_rows()[::9]]
    write_causal(folder / "lm", sentences)
    lines = ["", "= News =", "", *sentences, ""]
    text = "".join(f" {line} \n" if line else " \n" for line in lines)
    (folder / "wiki.tokens").write_text(text, "utf-8")
    return folder


def asked(place: Path, **settings: Any) -> Texts:
    path = place / "wiki.tokens"
    config = WikiText2.Config.model_validate({"path": str(path), "limit": 1, **settings})
    engine = scoring.open(place / "lm")
    return WikiText2.ask(config, WikiText2.read(config, path), engine)


def rows(place: Path) -> list[str]:
    """The rows of the hub's data set: lines with their end, empty ones as nothing."""
    lines = (place / "wiki.tokens").read_text("utf-8").splitlines()
    return [f"{line}\n" if line.strip() else "" for line in lines]


def losses(place: Path, starts: Iterator[tuple[int, int, int]]) -> tuple[float, int]:
    """Summed loss and tokens over windows (begin, first scored, end), one forward pass each."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(place / "lm", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(place / "lm")
    ids = tokenizer("\n\n".join(rows(place)), return_tensors="pt").input_ids
    total, tokens = 0.0, 0
    for begin, first, end in starts:
        block = ids[:, begin : min(end, ids.shape[1])]
        labels = block.clone()
        labels[:, : first - begin] = -100
        scored = int((labels[:, 1:] != -100).sum())
        if scored:
            with torch.no_grad():
                total += float(model(block, labels=labels).loss) * scored
            tokens += scored
        if end >= ids.shape[1]:
            break
    return total, tokens


def test_blocks_are_those_of_the_papers_on_quantisation(place: Path) -> None:
    blocks = ((start, start, start + WINDOW) for start in range(0, 10**6, WINDOW))
    total, tokens = losses(place, blocks)
    items = asked(place, preset="gptq-papers", window=WINDOW)
    assert tokens > 5 * WINDOW
    assert int(items.tokens.sum()) == tokens
    assert get("token_perplexity")(items) == pytest.approx(math.exp(total / tokens), rel=1e-5)


def test_windows_are_those_of_the_documentation(place: Path) -> None:
    half = WINDOW // 2

    def strided() -> Iterator[tuple[int, int, int]]:
        done = 0
        for start in range(0, 10**6, half):
            yield start, done, start + WINDOW
            done = start + WINDOW

    total, tokens = losses(place, strided())
    items = asked(place, preset="hf-docs", window=WINDOW, stride=half)
    assert int(items.tokens.sum()) == tokens
    assert get("token_perplexity")(items) == pytest.approx(math.exp(total / tokens), rel=1e-5)
    apart = asked(place, preset="gptq-papers", window=WINDOW)
    assert apart.tokens.sum() < items.tokens.sum()
