"""``POST /v1/embed``: a vector for each text."""

from __future__ import annotations

from typing import Any

from gradus.serve.app import Api
from gradus.serve.framework import Request, Response
from gradus.serve.reading import answer, read
from gradus.serve.schemas import Embedded, requests, served


def add(api: Api) -> None:
    """The route."""
    service = api.service
    model: Any = requests(service.limits)["embed"]

    @api.post("/v1/embed", model, Embedded, tags=["texts"], summary="Turn texts into vectors")
    async def embed(request: Request) -> Response:
        """One vector a text; of length 1 unless `normalise` is false."""
        asked = await read(request, model)
        body = {"texts": asked.texts, "normalise": asked.normalise}
        said = await service.ask("embed", body, receive=request.receive)
        found = {"dimensions": len(said.value[0]), "embeddings": said.value}
        return answer(served(said.facts) | found)
