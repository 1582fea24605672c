"""``POST /v1/classify``: a label, labels or a number for each text."""

from __future__ import annotations

from typing import Any

from gradus.serve.app import Api
from gradus.serve.framework import Request, Response
from gradus.serve.reading import answer, read
from gradus.serve.refusals import Refused
from gradus.serve.schemas import Classified, requests, served


def add(api: Api) -> None:
    """The route."""
    service = api.service
    model: Any = requests(service.limits)["classify"]

    @api.post("/v1/classify", model, Classified, tags=["texts"], summary="Label texts")
    async def classify(request: Request) -> Response:
        """One result a text: its label, its labels or its number, with probabilities."""
        asked = await read(request, model)
        facts = service.check("classify")
        if asked.threshold is not None and facts["target"] == "number":
            raise Refused(422, "threshold: this checkpoint predicts numbers; leave it out")
        body = {"texts": asked.texts, "top_k": asked.top_k, "threshold": asked.threshold}
        said = await service.ask("classify", body, receive=request.receive)
        return answer(served(said.facts) | {"results": said.value})
