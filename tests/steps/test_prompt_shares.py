"""Step `prompt`: what all prompts begin with, the examples above all, is computed once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gradus.predict.prompt import PromptPredictor, load_scorer
from gradus.scoring.prompts import Prompt
from scoring.causal import save_source

WORDS = {"sport": "sport", "tech": "technology"}
SHOTS = tuple((f"They won game {n} on a cold night", "sport") for n in range(5))
TEXTS = ["A phone was sold", "Rain stopped play", "The match ended early", "It runs on two chips"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_five_examples_are_computed_once(tmp_path: Path) -> None:
    ref = save_source(tmp_path / "lm", [*TEXTS, *(text for text, _ in SHOTS)], positions=1024)
    scorer, tokenizer = load_scorer(ref, dtype="float32", threads=1)
    assert scorer.shares
    prompt = Prompt(instruction="Which section?", words=WORDS, examples=SHOTS)
    predictor = PromptPredictor(prompt, model=ref, scorer=scorer, tokenizer=tokenizer)
    contexts = predictor.encoder.encode(TEXTS).contexts
    head = len(predictor.encoder.head)
    whole = sum(len(context) for context in contexts)
    assert head > 0.7 * whole / len(TEXTS), "the examples are most of each prompt"

    fed: list[int] = []
    hook = scorer.model.base_model.register_forward_pre_hook(
        lambda module, args, kwargs: fed.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    predictor.log_likelihoods(TEXTS)
    hook.remove()
    # The head once, then of each prompt what follows it, and label words but for their last token.
    answers = len(TEXTS) * sum(len(option) - 1 for option in predictor.encoder.options)
    assert sum(fed) <= head + (whole - len(TEXTS) * head) + answers
    assert sum(fed) < whole / 2
