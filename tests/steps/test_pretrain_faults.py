"""What step `pretrain` refuses, when the plan is read or before it trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from gradus.errors import GradusError, TrainingError
from gradus.steps.pretrain import PretrainConfig

from .plays import GPT2, SHORT, Plays


def test_a_model_for_shorter_texts_is_refused(plays: Plays) -> None:
    plays.run(
        "short-texts",
        corpus="few",
        tokenizer="bpe",
        model={**GPT2, "positions": 64},
        **{**SHORT, "steps": 1, "validate": {}},
    )
    with pytest.raises(TrainingError, match="positions for 64"):
        plays.run("too-long", corpus="few", model="short-texts", **{**SHORT, "block": 65})


def test_a_tokenizer_without_a_mask_is_refused(plays: Plays) -> None:
    with pytest.raises(GradusError, match="no mask"):
        plays.run(
            "maskless",
            corpus="few",
            tokenizer="bpe",
            model={"architecture": "bert", "layers": 1, "width": 64},
            **SHORT,
        )


FAULTS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda c: c.pop("corpus"), "one corpus in 'corpus' or several"),
    (lambda c: c.update(corpora=["a"]), "one corpus in 'corpus' or several"),
    (lambda c: c.pop("tokenizer"), "needs a 'tokenizer'"),
    (lambda c: c.update(model="lm"), "'lm' has a tokenizer"),
    (lambda c: c.update(objective="masked-lm"), "made for objective causal-lm"),
    (lambda c: c.update(objective="classify"), "needs labels"),
    (lambda c: c.update(objective="casual-lm"), "did you mean 'causal-lm'"),
    (lambda c: c.update(steps=1, minutes=2), "give one of"),
    (lambda c: c.update(optimiser="adam"), "did you mean 'adamw'"),
    (lambda c: c.update(validate={"benchmarks": ["lambda"]}), "did you mean 'lambada'"),
    (lambda c: c["model"].update(layer=3), "layer"),
]


@pytest.mark.parametrize(("spoil", "message"), FAULTS, ids=range(len(FAULTS)))
def test_faults_are_told_when_the_plan_is_read(
    spoil: Callable[[dict[str, Any]], Any], message: str
) -> None:
    said: dict[str, Any] = {"corpus": "c", "tokenizer": "t", "model": dict(GPT2)}
    PretrainConfig.model_validate(said)
    spoil(said)
    with pytest.raises(ValidationError, match=message):
        PretrainConfig.model_validate(said)


def test_finetune_refuses_what_learns_from_corpora() -> None:
    from gradus.steps.finetune import FinetuneConfig

    with pytest.raises(ValidationError, match="take step pretrain"):
        FinetuneConfig.model_validate({"model": "m", "data": "d", "objective": "causal-lm"})
