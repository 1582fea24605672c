"""From an order to pieces of texts, and what becomes of them when a client goes."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
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
    parts: AsyncIterator[Mapping[str, Any]]


@dataclass(slots=True)
class Choice:
    """One text, as far as it came."""

    text: str = ""
    tokens: int = 0
    finish: str | None = None
    said: list[Any] = field(default_factory=list)

    def take(self, part: Mapping[str, Any]) -> None:
        """A part more."""
        self.text += part["t"]
        self.tokens = max(self.tokens, part["n"])
        self.finish = part["f"] or self.finish
        self.said += part.get("l", ())


async def begin(service: Service, order: Order) -> Begun:
    """Let the engine begin.

    Raises:
        Bad: the engine can't do what is asked for.
        Refused: there is no room or no worker; it took too long to begin.
    """
    parts = service.stream("complete", order.to_json(), seconds=service.limits.writing_seconds)
    try:
        first = await anext(parts)
    except StopAsyncIteration:
        raise Refused(503, "the engine said nothing", retry_after=1) from None
    if "refused" in first:
        raise Bad(**first["refused"])
    return Begun(first["prompts"], first["prompt_tokens"], parts)


async def gathered(begun: Begun, count: int) -> list[Choice]:
    """All of each text."""
    choices = [Choice() for _ in range(count)]
    async for part in begun.parts:
        choices[part["i"]].take(part)
    return choices


async def while_there(request: Request, work: Awaitable[Found]) -> Found:
    """What `work` gives; it is cancelled when the client hangs up.

    Raises:
        Refused: the client has gone.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
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


def events(chunks: AsyncIterator[Mapping[str, Any]]) -> StreamingResponse:
    """Chunks as server-sent events (WHATWG HTML, 9.2), ``[DONE]`` behind the last.

    What goes wrong on the way is a chunk with an error, since the status is already out.
    """

    async def lines() -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks:
                yield _line(chunk)
            yield b"data: [DONE]\n\n"
        except Refused as refused:
            yield _line(said(refused))

    return StreamingResponse(lines(), media_type="text/event-stream")


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
