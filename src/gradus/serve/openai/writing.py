"""From an order to pieces of texts, and what becomes of them when a client goes."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gradus.serve.engines.order import Order
from gradus.serve.framework import Request, StreamingResponse
from gradus.serve.openai.refusing import Bad, said
from gradus.serve.refusals import Refused
from gradus.serve.service import Service

Found = TypeVar("Found")


@dataclass(slots=True)
class Begun:
    """Texts that are being written.

    Attributes:
        prompts: as text.
        prompt_tokens: of all of them.
        parts: see `gradus.serve.engines`.
    """

    prompts: list[str]
    prompt_tokens: int
    parts: AsyncGenerator[Mapping[str, Any], None]


@dataclass(slots=True)
class Choice:
    """One text, as far as it came."""

    pieces: list[str] = field(default_factory=list)
    tokens: int = 0
    finish: str | None = None
    said: list[Any] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that is written."""
        return "".join(self.pieces)

    def take(self, part: Mapping[str, Any]) -> None:
        """A part more."""
        self.pieces.append(part["t"])
        self.tokens = max(self.tokens, part["n"])
        self.finish = part["f"] or self.finish
        self.said += part.get("l", ())


async def begin(request: Request, service: Service, order: Order) -> Begun:
    """Let the engine begin; whoever hangs up while others are written to waits no longer.

    Raises:
        Bad: the engine can't do what is asked for.
        Refused: there is no worker; it took too long to begin; the client has gone.
    """
    parts = service.stream("complete", order.to_json(), seconds=service.limits.writing_seconds)
    first = await while_there(request, service, _first(parts))
    if "refused" in first:
        await parts.aclose()
        raise Bad(**first["refused"])
    return Begun(first["prompts"], first["prompt_tokens"], parts)


async def _first(parts: AsyncIterator[Mapping[str, Any]]) -> Mapping[str, Any]:
    async for part in parts:
        return part
    raise Refused(503, "the engine said nothing", retry_after=1)


async def gathered(begun: Begun, count: int) -> list[Choice]:
    """All of each text."""
    choices = [Choice() for _ in range(count)]
    async for part in begun.parts:
        choices[part["i"]].take(part)
    return choices


async def while_there(request: Request, service: Service, work: Awaitable[Found]) -> Found:
    """What `work` gives; it is cancelled, and the client counted, when that one hangs up.

    Raises:
        Refused: the client has gone.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            service.tally.gone += 1
            raise Refused(499, "the client has hung up")
        return task.result()
    finally:
        for one in (task, gone):
            if not one.done():
                one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Events(StreamingResponse):
    """A stream that ends what it is fed by when it ends itself, however that is."""

    def __init__(self, *sources: AsyncGenerator[Any, None]) -> None:
        super().__init__(sources[0], media_type="text/event-stream")
        self._sources = sources

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            for source in self._sources:
                await source.aclose()


def events(
    begun: Begun, service: Service, chunks: AsyncGenerator[Mapping[str, Any], None]
) -> StreamingResponse:
    """Chunks as server-sent events (WHATWG HTML, 9.2), ``[DONE]`` behind the last.

    What goes wrong on the way is a chunk with an error, since the status is already out. A client
    that hangs up before the end is counted.
    """

    async def lines() -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in chunks:
                yield _line(chunk)
                # Where many parts wait, others get their turn, and one that is cancelled ends.
                await asyncio.sleep(0)
            yield b"data: [DONE]\n\n"
        except Refused as refused:
            yield _line(said(refused))
        except (asyncio.CancelledError, GeneratorExit):
            service.tally.gone += 1
            raise

    return _Events(lines(), chunks, begun.parts)


def _line(chunk: Mapping[str, Any]) -> bytes:
    content = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + content.encode("utf-8", "replace") + b"\n\n"


def head(kind: str, prefix: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What every answer begins with."""
    return {
        "id": f"{prefix}-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": facts["name"],
        "system_fingerprint": f"gradus-{str(facts.get('digest') or '')[:12]}",
    }


def usage(prompt_tokens: int, tokens: int) -> dict[str, int]:
    """How many tokens were used."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": prompt_tokens + tokens,
    }


def nats(value: float) -> float:
    """A log-probability that JSON can hold."""
    return max(value, -9999.0)
