"""``POST /v1/tag``: what is named in each text, and where."""

from __future__ import annotations

from typing import Any

from gradus.serve.app import Api
from gradus.serve.framework import Request, Response
from gradus.serve.reading import answer, read
from gradus.serve.schemas import TagsFound, requests, served


def add(api: Api) -> None:
    """The route."""
    service = api.service
    model: Any = requests(service.limits)["tag"]

    @api.post("/v1/tag", model, TagsFound, tags=["texts"], summary="Find spans in texts")
    async def tag(request: Request) -> Response:
        """One list of spans a text, in order of their start; offsets count characters."""
        asked = await read(request, model)
        said = await service.ask("tag", {"texts": asked.texts}, receive=request.receive)
        return answer(served(said.facts) | {"results": said.value})
