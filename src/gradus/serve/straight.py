"""The short way to the routes that do the work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradus.serve.engine import place
from gradus.serve.framework import ClientDisconnect, Request, Response
from gradus.serve.logs import Log
from gradus.serve.refusals import Refused

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """What the door calls an answer by, as it does with FastAPI's own routes."""

    path: str


class Straight:
    """Calls the function of a path at once; all else takes the way through FastAPI."""

    def __init__(self, app: Any, direct: Mapping[str, Handler], log: Log | None) -> None:
        """Around `app`."""
        self._app, self._direct, self._log = app, direct, log
        self._routes = {path: Route(path) for path in direct}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI has it.

        Raises:
            Refused: by the route.
        """
        handler = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._routes[scope["path"]]
        request = Request(scope, receive, send)
        try:
            response = await handler(request)
        except ClientDisconnect:
            return
        except Refused:
            raise
        except Exception as error:  # one request must not end a connection
            if self._log is not None:
                self._log.told("failed", error=place(error), path=scope["path"])
            raise Refused(500, "the server failed; its log says where") from error
        await response(scope, receive, send)
