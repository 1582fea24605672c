"""Vectors for the official client are those of `gradus.predict`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serve.servers import served

from gradus.testing.world import World, default_rows

from .conftest import CHINESE, client_of, openai

TEXTS = ["The river rose in the night.", CHINESE, "No."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(World(tmp_path_factory.mktemp("world"), default_rows()).model("encoder").path)


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Any]:
    with served(folder, "--threads", 1) as running:
        yield client_of(running)


def test_they_are_the_models_own(client: Any, folder: Path) -> None:
    from gradus import sources
    from gradus.predict.model import encoder
    from gradus.training.models import load_tokenizer

    ref = sources.locate_weights("encoder", {"folder": str(folder)}, folder)
    expected = encoder(ref).embed(TEXTS, normalise=True)
    tokenizer = load_tokenizer(ref)
    for form in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        found = client.embeddings.create(model="default", input=TEXTS, **form)
        if form.get("encoding_format") == "base64":
            import base64

            rows = [np.frombuffer(base64.b64decode(one.embedding), "<f4") for one in found.data]
        else:
            rows = [one.embedding for one in found.data]
        np.testing.assert_allclose(np.array(rows), expected, atol=1e-6)
        assert [one.index for one in found.data] == [0, 1, 2]
        assert found.usage.prompt_tokens == sum(len(tokenizer(text)["input_ids"]) for text in TEXTS)
    one = client.embeddings.create(model="default", input=TEXTS[0])
    np.testing.assert_allclose(one.data[0].embedding, expected[0], atol=1e-6)


@pytest.mark.parametrize(
    "asked",
    [
        {"input": ""},
        {"input": []},
        {"input": ["a", " "]},
        {"input": [1, 2]},
        {"input": "a", "dimensions": 3},
        {"input": ["a"] * 300},
        {"input": "a" * 200_000},
    ],
    ids=lambda asked: str(asked)[:40],
)
def test_what_is_refused(client: Any, asked: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="default", **asked)
    assert str(caught.value.param).startswith("dimensions" if "dimensions" in asked else "input")


def test_an_encoder_does_not_go_on_with_texts(client: Any) -> None:
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="default", prompt="a")
