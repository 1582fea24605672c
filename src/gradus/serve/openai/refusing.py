"""Refusals in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from gradus.serve.framework import Request, Response
from gradus.serve.reading import answer
from gradus.serve.refusals import Refused, body


class Bad(Refused):
    """A request that says something that can't be done.

    Attributes:
        param: the field that is to blame.
        code: a word that programs may look for.
    """

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, *, status: int = 400
    ) -> None:
        super().__init__(status, message)
        self.param, self.code = param, code


def said(refused: Refused) -> dict[str, Any]:
    """What a refusal says, with all fields that OpenAI's client reads."""
    found = body(refused.status, refused.message, getattr(refused, "code", None))
    found["error"]["param"] = getattr(refused, "param", None)
    return found


Route = Callable[..., Awaitable[Response]]


def shaped(route: Route) -> Route:
    """A route whose refusals have OpenAI's shape and statuses.

    Its client asks again after 409; a checkpoint that can't do a thing won't be able to then.
    """

    @functools.wraps(route)
    async def wrapped(request: Request) -> Response:
        try:
            return await route(request)
        except Refused as refused:
            known = {409: 400, 415: 400, 422: 400}.get(refused.status, refused.status)
            response = answer(said(refused), known)
            response.headers.update(refused.headers)
            return response

    return wrapped
