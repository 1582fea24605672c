"""The engine of vLLM against a STAND-IN: vLLM needs a graphics card and isn't installed here.

The stand-in has the shape of vLLM's ``AsyncLLM`` and writes by transformers. It shows that our side
asks and reads as we mean to, and says nothing of vLLM itself.
"""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gradus.errors import MissingExtra
from gradus.serve.engines.vllm import VllmEngine

from .conftest import answered, begin


class StandIn:
    """Takes the place of ``vllm.v1.engine.async_llm.AsyncLLM``; greedy."""

    made: StandIn

    def __init__(self, arguments: Any) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model = AutoModelForCausalLM.from_pretrained(arguments.model)
        self.tokenizer = AutoTokenizer.from_pretrained(arguments.model)
        self.model_config = SimpleNamespace(max_model_len=256, dtype=torch.float32)
        self.aborted: list[str] = []
        self.asked: list[Any] = []

    @classmethod
    def from_engine_args(cls, arguments: Any) -> StandIn:
        cls.made = cls(arguments)
        return cls.made

    async def generate(
        self, *, prompt: Any, sampling_params: Any, request_id: str
    ) -> AsyncIterator[Any]:
        self.asked.append(sampling_params)
        ids = list(prompt["prompt_token_ids"])
        try:
            for number in range(sampling_params.max_tokens):
                await asyncio.sleep(0.001)
                with torch.no_grad():
                    nats = self.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
                token = int(nats.argmax())
                ids.append(token)
                last = number + 1 == sampling_params.max_tokens
                row = {token: SimpleNamespace(logprob=float(nats[token]), rank=1)}
                one = SimpleNamespace(
                    text=self.tokenizer.decode([token]),
                    token_ids=[token],
                    finish_reason="length" if last else None,
                    stop_reason=None,
                    logprobs=None if sampling_params.logprobs is None else [row],
                )
                yield SimpleNamespace(outputs=[one], finished=last)
        except (asyncio.CancelledError, GeneratorExit):
            self.aborted.append(request_id)
            raise


@pytest.fixture
def engine(language: Path, monkeypatch: pytest.MonkeyPatch) -> VllmEngine:
    parts = {
        "vllm": {"SamplingParams": SimpleNamespace},
        "vllm.engine": {},
        "vllm.engine.arg_utils": {"AsyncEngineArgs": SimpleNamespace},
        "vllm.sampling_params": {"RequestOutputKind": SimpleNamespace(DELTA=1)},
        "vllm.v1": {},
        "vllm.v1.engine": {},
        "vllm.v1.engine.async_llm": {"AsyncLLM": StandIn},
    }
    for name, content in parts.items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return VllmEngine.open(str(language), {})


def test_without_the_package_the_extra_is_named(language: Path) -> None:
    with pytest.raises(MissingExtra, match=r"gradus-lm\[vllm\]"):
        VllmEngine.open(str(language), {})


def test_what_is_asked_and_what_is_read(engine: VllmEngine) -> None:
    engine.probe()
    heard = answered(engine, prompts=("The river",), n=2, max_tokens=6, logprobs=1)
    assert heard.finishes == ["length"] * 2
    assert heard.texts[0] == heard.texts[1]
    assert [piece["n"] for piece in heard.parts[1:] if piece["i"] == 0] == [1, 2, 3, 4, 5, 6]
    assert all(piece["l"][0][2] < 0 for piece in heard.parts[1:])
    asked = StandIn.made.asked[-1]
    assert (asked.temperature, asked.top_p, asked.top_k, asked.seed) == (0.0, 1.0, 0, None)
    settings = {"temperature": 0.7, "top_p": 0.9, "stop": ["x"]}
    answered(engine, prompts=("The river",), max_tokens=1, seed=2, settings=settings)
    asked = StandIn.made.asked[-1]
    assert (asked.temperature, asked.top_p, asked.stop) == (0.7, 0.9, ["x"])
    assert 0 <= asked.seed < 2**63


def test_a_job_that_nobody_wants_is_aborted(engine: VllmEngine) -> None:
    heard = begin(engine, 5, prompts=("The river",), max_tokens=200)
    while len(heard.parts) < 3:
        pass
    heard.stopped = True
    engine.cancel(5)
    answered(engine, 6, prompts=("The river",), max_tokens=1)
    assert StandIn.made.aborted == ["5-0"]


def test_what_vllm_lacks_is_refused(engine: VllmEngine) -> None:
    refused = begin(engine, prompts=("a",), settings={"temperature": 1.0, "typical_p": 0.5}).refused
    assert (refused["param"], refused["code"]) == ("typical_p", "unsupported")
