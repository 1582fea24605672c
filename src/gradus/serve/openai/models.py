"""``GET /v1/models``: what is served."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from gradus.serve.app import Api, refusals
from gradus.serve.framework import Request, Response
from gradus.serve.openai.reading import names
from gradus.serve.openai.refusing import Bad, shaped
from gradus.serve.openai.schemas import Anything
from gradus.serve.reading import answer


def add(api: Api) -> None:
    """The list, and the one model in it."""
    service, began = api.service, int(time.time())
    known: Any = {200: {"model": Anything}, **refusals(401, 429, 503)}

    @api.app.get(
        "/v1/models", tags=["openai"], response_model=None, responses=known, summary="Models"
    )
    @shaped
    async def models(request: Request) -> Response:
        """The one model that this server holds."""
        return answer({"object": "list", "data": [_model(service.facts, began)]})

    @api.app.get(
        "/v1/models/{model:path}",
        tags=["openai"],
        response_model=None,
        responses=known | refusals(404),
        summary="A model",
    )
    @shaped
    async def model(request: Request) -> Response:
        """The model of that name."""
        if request.path_params["model"] not in names(service.facts):
            raise Bad("there is no such model here", "model", "model_not_found", status=404)
        return answer(_model(service.facts, began))


def _model(facts: Mapping[str, Any], began: int) -> dict[str, Any]:
    told = ("kind", "digest", "max_tokens", "engine", "tasks", "supports", "chat_template")
    return {
        "id": facts["name"],
        "object": "model",
        "created": began,
        "owned_by": "gradus",
        **{name: facts[name] for name in told if name in facts},
    }
