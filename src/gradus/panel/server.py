"""The web application that raters' browsers talk to.

::

    GET  /                  that every rater has a link of their own
    GET  /r/TOKEN/          what is asked for
    GET  /r/TOKEN/next      the form of the first item without an answer, or thanks
    POST /r/TOKEN/answer    item, nonce, seconds and one value for each criterion
    POST /r/TOKEN/undo      nonce of the answer to be taken back
    POST /r/TOKEN/language  the language to speak from now on
    GET  /static/...        style, script and icon

Every POST is answered with a redirection to ``next``, so that loading a page again sends nothing.
The content security policy lets a page load its own style, script and icon and talk to its own
server; a text that is shown can do neither. No address, no header and no log says who wrote a text,
and nothing logs a token.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from gradus.errors import MissingExtra, UsageError
from gradus.panel.criteria import LANGUAGES
from gradus.panel.pages import Pages
from gradus.panel.records import scale
from gradus.panel.store import Progress, Store

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp
    from uvicorn import Server

LARGEST_FORM: Final = 16_384
"""Bytes of a submission; a real one has some 200."""
LONGEST_SECONDS: Final = 86_400.0
NOTES: Final = frozenset({"stale", "undone"})
PLACES: Final = frozenset({"./", "next"})
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The token stands in the address, so no other server may be told of it.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

OnAnswer = Callable[[Progress], None]
"""Called with a rater's progress after each answer that was kept."""


class BadForm(Exception):
    """A submission that no page of ours sends."""


@dataclass(frozen=True)
class Desk:
    """What the handlers of requests share.

    Attributes:
        store: where answers are kept.
        pages: makes the pages.
        on_answer: is told of every answer.
    """

    store: Store
    pages: Pages
    on_answer: OnAnswer

    def start(self, request: Request, rater: str) -> Response:
        """The first page."""
        return _html(self.pages.start(self._speak(request, rater), self._progress(rater)))

    def next(self, request: Request, rater: str) -> Response:
        """The form of what is due."""
        language, progress = self._speak(request, rater), self._progress(rater)
        before = self.store.last(rater)
        last = before[1] if before else None
        item = self.store.next(rater)
        if item is None:
            return _html(self.pages.done(language, progress, last))
        note = request.query_params.get("note")
        page = self.pages.item(
            language,
            item,
            progress,
            nonce=self.store.nonce(rater, item.name),
            given=self.store.given(rater, item.name),
            last=last,
            note=note if note in NOTES else None,
        )
        return _html(page)

    def answer(self, rater: str, fields: Mapping[str, str]) -> Response:
        """Keep an answer."""
        item, nonce = fields.get("item", ""), fields.get("nonce", "")
        scores = {name: self._value(fields.get(name, "")) for name in self.store.criteria}
        seconds = _seconds(fields.get("seconds", "0"))
        if not self.store.submit(rater, item, nonce, scores, seconds):
            return _redirect("next?note=stale")
        self.on_answer(self._progress(rater))
        return _redirect("next")

    def undo(self, rater: str, fields: Mapping[str, str]) -> Response:
        """Take the last answer back, and no other: a form of before the last answer is stale."""
        nonce, last = fields.get("nonce", ""), self.store.last(rater)
        if last is None or last[1] != nonce or not self.store.withdraw(rater, nonce):
            return _redirect("next?note=stale")
        return _redirect("next?note=undone")

    def language(self, rater: str, fields: Mapping[str, str]) -> Response:
        """Speak another language."""
        back = fields.get("back", "next")
        if fields.get("language") not in LANGUAGES or back not in PLACES:
            raise BadForm
        self.store.speak(rater, fields["language"])
        return _redirect(back)

    def _value(self, text: str) -> int:
        value = int(text) if len(text) == 1 and text in "012345" else -1
        if value not in scale(self.store.mode):
            raise BadForm
        return value

    def _progress(self, rater: str) -> Progress:
        return next(each for each in self.store.progress() if each.rater == rater)

    def _speak(self, request: Request, rater: str) -> Any:
        accepted = request.headers.get("accept-language", "")
        return self.pages.language(self.store.language(rater), accepted)


def application(store: Store, pages: Pages, on_answer: OnAnswer) -> ASGIApp:
    """The application.

    Raises:
        MissingExtra: Starlette isn't installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.routing import Mount, Route
        from starlette.staticfiles import StaticFiles
    except ImportError as error:
        raise MissingExtra("starlette", "panel", "the page for raters") from error
    desk = Desk(store, pages, on_answer)
    get = partial(_getting, desk)
    post = partial(_posting, desk)
    routes = [
        # The address that a waiting run tells of.
        Route("/", partial(_told, desk, "nothing", 200)),
        Route("/r/{token}/", get(Desk.start)),
        Route("/r/{token}/next", get(Desk.next)),
        Route("/r/{token}/answer", post(Desk.answer), methods=["POST"]),
        Route("/r/{token}/undo", post(Desk.undo), methods=["POST"]),
        Route("/r/{token}/language", post(Desk.language), methods=["POST"]),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]

    handlers: dict[Any, Any] = {
        404: partial(_told, desk, "nothing", 404),
        405: partial(_told, desk, "nothing", 405),
        BadForm: partial(_told, desk, "bad", 400),
        sqlite3.Error: partial(_told, desk, "broken", 503),
        Exception: partial(_told, desk, "broken", 500),
    }
    # Around all of it, since Starlette's own middleware isn't around answers to faults.
    return _Headers(Starlette(routes=routes, exception_handlers=handlers))


class _Headers:
    """Sets `HEADERS` on every answer, whoever gave it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI has it."""

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                # A style may be kept, if the browser asks each time whether it still holds.
                fixed = scope["path"].startswith("/static/")
                ours = HEADERS | {"Cache-Control": "no-cache" if fixed else "no-store"}
                set_ = [(name.lower().encode(), text.encode()) for name, text in ours.items()]
                message["headers"] = [*message["headers"], *set_]
            await send(message)

        await self.app(scope, receive, sending)


Handler = Callable[["Request"], Awaitable["Response"]]


def _getting(desk: Desk, make: Callable[[Desk, Request, str], Response]) -> Handler:
    async def handle(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        rater = await _rater(desk, request)
        return await run_in_threadpool(make, desk, request, rater)

    return handle


def _posting(desk: Desk, act: Callable[[Desk, str, Mapping[str, str]], Response]) -> Handler:
    async def handle(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        rater = await _rater(desk, request)
        fields = await _fields(request)
        return await run_in_threadpool(act, desk, rater, fields)

    return handle


async def _rater(desk: Desk, request: Request) -> str:
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException

    rater = await run_in_threadpool(desk.store.rater_of, request.path_params["token"])
    if rater is None:
        raise HTTPException(404)
    return rater


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a form as browsers send it; BadForm for anything else."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadForm
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise BadForm
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise BadForm from error
    if len({name for name, _ in pairs}) != len(pairs):
        raise BadForm
    return dict(pairs)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError as error:
        raise BadForm from error
    # A clock that was set back, or NaN, is no reason to lose an answer.
    return min(seconds, LONGEST_SECONDS) if seconds >= 0 else 0.0


async def _told(
    desk: Desk, about: str, status: int, request: Request, _: Exception | None = None
) -> Response:
    language = desk.pages.language(None, request.headers.get("accept-language", ""))
    return _html(desk.pages.message(language, about), status)


def _html(page: str, status: int = 200) -> Response:
    from starlette.responses import HTMLResponse

    # A text may hold halves of characters that UTF-8 has no bytes for.
    return HTMLResponse(page.encode("utf-8", "replace"), status)


def _redirect(to: str) -> Response:
    from starlette.responses import RedirectResponse

    return RedirectResponse(to, status_code=303)


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for browsers; port 0 takes any free one.

    Raises:
        UsageError: the port is taken, or the host isn't this machine's.
    """
    try:
        return socket.create_server((host, port), family=_family(host), backlog=256)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"can't listen on {host}, port {port} ({error}): choose others with --host and --port"
        ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def server(app: ASGIApp) -> Server:
    """What serves the application: ``.run(sockets=[...])`` does so until Ctrl-C or SIGTERM.

    Raises:
        MissingExtra: uvicorn isn't installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("uvicorn", "panel", "the page for raters") from error
    config = uvicorn.Config(
        app,
        log_level="warning",
        # A log of requests would hold every rater's token.
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)
