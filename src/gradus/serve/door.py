"""What every request passes before any route sees it, and every answer on its way out.

In this order: may it come in (401), is there room (429, before a byte of the body is read), is the
body short enough (413), does it arrive in time (408). The answer is counted, timed and logged.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from gradus.serve.access import Access
from gradus.serve.logs import Log
from gradus.serve.metrics import Meters
from gradus.serve.refusals import Refused
from gradus.serve.service import Service

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
WORK: Final = "/v1/"
"""Paths below this do work that is bounded by the queue."""


class Door:
    """The outermost layer of the application."""

    def __init__(
        self, app: App, service: Service, *, access: Access, meters: Meters, log: Log | None
    ) -> None:
        """Around `app`."""
        self._app, self._service, self._access = app, service, access
        self._meters, self._log = meters, log
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        name = f"{self._prefix}-{next(self._numbers):x}"
        # A state of its own: what the server gives may be shared between requests.
        scope["state"] = {"request_id": name}
        outward = _Outward(send, name, self._service)
        inward = _Inward(receive, self._service, keep=self._log is not None and self._log.texts)
        try:
            await self._enter(scope, inward, outward)
        finally:
            seconds = time.perf_counter() - began
            self._meters.seen(scope, outward.status, seconds)
            if self._log is not None:
                self._log.seen(scope, outward.status, seconds, inward.kept)

    async def _enter(self, scope: Any, inward: _Inward, outward: _Outward) -> None:
        service, work = self._service, scope["path"].startswith(WORK)
        try:
            self._access.enter(scope)
            if work and service.admitted >= service.limits.queue:
                raise Refused(
                    429, "too many requests are waiting", retry_after=service.retry_after()
                )
            inward.check(scope["headers"])
        except Refused as refused:
            await outward.refuse(refused)
            return
        service.admitted += work
        try:
            await self._app(scope, inward, outward)
        except Refused as refused:
            if outward.status:
                raise
            await outward.refuse(refused)
        finally:
            service.admitted -= work


class _Inward:
    """The body, counted as it comes.

    Attributes:
        kept: of it, for a log that holds texts.
    """

    def __init__(self, receive: Receive, service: Service, *, keep: bool) -> None:
        self._receive, self._limits = receive, service.limits
        self._bytes, self._whole = 0, False
        self._until = 0.0
        self.kept: list[bytes] | None = [] if keep else None

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Refuse a body that says itself that it is too long."""
        for key, value in headers:
            if key == b"content-length" and not _within(value, self._limits.body_bytes):
                raise self._too_long()

    def _too_long(self) -> Refused:
        return Refused(413, f"the body is longer than {self._limits.body_bytes:,} bytes")

    async def __call__(self) -> Message:
        """The next message."""
        if self._whole:
            return await self._receive()
        if not self._until:
            self._until = asyncio.get_running_loop().time() + self._limits.body_seconds
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise Refused(408, f"no body within {self._limits.body_seconds:g} s") from None
        if message["type"] == "http.request":
            content = message.get("body", b"")
            self._bytes += len(content)
            if self._bytes > self._limits.body_bytes:
                raise self._too_long()
            if self.kept is not None:
                self.kept.append(content)
            self._whole = not message.get("more_body")
        return message


def _within(value: bytes, most: int) -> bool:
    # int() of a long row of digits takes its time, and of other things raises.
    return value.isdigit() and len(value) <= 18 and int(value) <= most


class _Outward:
    """The answer: its status is kept, a few headers are added."""

    def __init__(self, send: Send, name: str, service: Service) -> None:
        self._send, self._service = send, service
        self._headers = (*HEADERS, (b"x-request-id", name.encode()))
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """As ASGI has it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            closing = ((b"connection", b"close"),) if self._service.draining else ()
            message["headers"] = [*message["headers"], *self._headers, *closing]
        await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        """The whole of a refusal."""
        content = refused.content
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            *((name.lower().encode(), x.encode()) for name, x in refused.headers.items()),
        ]
        await self({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self({"type": "http.response.body", "body": content})
