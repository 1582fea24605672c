"""What those who run the server ask of it: metrics, what is served, another checkpoint."""

from __future__ import annotations

import time

from gradus.serve.app import Api, refusals
from gradus.serve.framework import Request, Response
from gradus.serve.metrics import CONTENT_TYPE
from gradus.serve.reading import answer, read
from gradus.serve.refusals import Refused
from gradus.serve.schemas import Info, Swapped, SwapRequest, served


def add(api: Api) -> None:
    """``/metrics``, ``/v1/info`` and ``/admin/swap``."""
    service = api.service

    @api.app.get(
        "/metrics",
        tags=["admin"],
        response_model=None,
        responses={200: {"content": {"text/plain": {}}}, **refusals(401)},
    )
    async def metrics() -> Response:
        """In Prometheus's text format."""
        return Response(api.meters.text(), headers={"content-type": CONTENT_TYPE})

    @api.app.get("/v1/info", tags=["admin"], response_model=Info, responses=refusals(401, 503))
    async def info() -> Response:
        """Which checkpoint is served, what it can do, and how much may be asked of it."""
        facts, limits = service.facts, service.limits
        return answer(
            served(facts)
            | {name: facts.get(name) for name in ("kind", "engine", "target", "labels")}
            | {"tasks": facts["tasks"], "max_tokens": facts.get("max_tokens")}
            | {"most_texts": limits.texts, "most_characters": limits.characters}
        )

    @api.post("/admin/swap", SwapRequest, Swapped, tags=["admin"], summary="Change the checkpoint")
    async def swap(request: Request) -> Response:
        """Load, verify and probe another checkpoint, then serve it; no request is dropped.

        Where it can't be opened, or does less than the old one, the old one stays (422).
        """
        if not api.admits(request.scope):
            raise Refused(403, "this key may use the model and nothing else; take one for admins")
        asked = await read(request, SwapRequest)
        began = time.monotonic()
        facts = await service.swap(asked.checkpoint)
        return answer(served(facts) | {"seconds": round(time.monotonic() - began, 3)})
