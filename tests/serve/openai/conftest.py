"""A language model of some thousand weights, and OpenAI's own client in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.generation.conftest import TEXTS, make_model, make_tokenizer
from tests.serve.servers import Running, served

openai = pytest.importorskip("openai", reason="the official client isn't installed")

POSITIONS = 4096
CHINESE = "河水在夜里涨了，第一班火车来之前桥就关了。"


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer([*TEXTS, CHINESE])


@pytest.fixture(scope="session")
def model(tokenizer: Any) -> Any:
    return make_model("llama", tokenizer, POSITIONS)


@pytest.fixture(scope="session")
def language(tmp_path_factory: pytest.TempPathFactory, model: Any, tokenizer: Any) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def writer(language: Path) -> Any:
    from gradus import generation

    return generation.open(language, threads=1)


@pytest.fixture(scope="session")
def running(language: Path) -> Iterator[Running]:
    with served(language, "--threads", 1) as found:
        yield found


@pytest.fixture(scope="session")
def client(running: Running) -> Any:
    return client_of(running)


def client_of(running: Running, key: str = "none", **more: Any) -> Any:
    host, port = running.address
    more = {"max_retries": 0, "timeout": 60, **more}
    return openai.OpenAI(base_url=f"http://{host}:{port}/v1", api_key=key, **more)
