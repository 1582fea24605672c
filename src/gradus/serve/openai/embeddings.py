"""``POST /v1/embeddings``: vectors of texts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from gradus.serve.app import Api
from gradus.serve.framework import Request, Response
from gradus.serve.openai.reading import read, served
from gradus.serve.openai.refusing import Bad, shaped
from gradus.serve.openai.schemas import Anything, EmbeddingRequest
from gradus.serve.reading import answer


def add(api: Api) -> None:
    """The route."""
    service = api.service

    @api.post(
        "/v1/embeddings", EmbeddingRequest, Anything, tags=["openai"], summary="Vectors of texts"
    )
    @shaped
    async def embeddings(request: Request) -> Response:
        """One vector of length 1 for each text, as numbers or in base64."""
        asked = await read(request, EmbeddingRequest)
        facts = served(service, asked.model, "embed")
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        _check(texts, service.limits.texts, service.limits.characters)
        body = {"texts": texts, "normalise": True, "counted": True}
        said = await service.ask("embed", body, receive=request.receive)
        width = len(said.value[0][0])
        if asked.dimensions not in (None, width):
            raise Bad(f"the vectors have {width} dimensions: leave it out", "dimensions")
        rows = [
            {"object": "embedding", "index": number, "embedding": _written(row, asked)}
            for number, (row, _) in enumerate(said.value)
        ]
        tokens = sum(count for _, count in said.value)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        found = {"object": "list", "data": rows, "model": facts["name"], "usage": usage}
        return answer(found)


def _check(texts: Sequence[str], most: int, characters: int) -> None:
    if len(texts) > most:
        raise Bad(f"more than {most:,} texts: ask several times", "input")
    if any(not text.strip() for text in texts):
        raise Bad("a text is empty", "input")
    if any(len(text) > characters for text in texts):
        raise Bad(f"a text has more than {characters:,} characters", "input")


def _written(row: Sequence[float], asked: EmbeddingRequest) -> Any:
    """The vector, or its numbers as float32 in base64, the least significant byte first."""
    if asked.encoding_format == "float":
        return row
    import numpy as np

    return base64.b64encode(np.asarray(row, dtype="<f4").tobytes()).decode("ascii")
