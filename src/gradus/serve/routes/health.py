"""Whether the server lives, and whether it would take a request now."""

from __future__ import annotations

from gradus.serve.app import Api, refusals
from gradus.serve.framework import Response
from gradus.serve.reading import answer
from gradus.serve.refusals import Refused


def add(api: Api) -> None:
    """``/healthz`` and ``/readyz``. Neither needs a key, and neither says what is served."""

    @api.app.get("/healthz", tags=["health"], response_model=dict[str, str])
    async def healthz() -> Response:
        """200 as long as the server lives."""
        return answer({"status": "ok"})

    @api.app.get("/readyz", tags=["health"], response_model=dict[str, str], responses=refusals(503))
    async def readyz() -> Response:
        """200 while a worker is ready; 503 while the checkpoint loads and once the server ends."""
        if not api.service.ready:
            why = "the server is ending" if api.service.draining else "no worker is ready"
            raise Refused(503, why, retry_after=2)
        return answer({"status": "ready"})
