"""A service without HTTP, and what is asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from gradus.serve.limits import Limits
from gradus.serve.refusals import Refused
from gradus.serve.service import Service

from .scripted import NAME

Work = Callable[[Service], Coroutine[Any, Any, Any]]


def during(work: Work, place: Path, engine: str = "Scripted", **more: Any) -> Any:
    """What `work` gives, done with a service that is open."""
    limits = Limits(**more.pop("limits", {}))

    async def all_of_it() -> Any:
        told = more.pop("told", [])
        service = Service(
            str(place),
            limits=limits,
            told=lambda event, **facts: told.append((event, facts)),
            engine=f"{NAME}:{engine}",
            **more,
        )
        await service.open()
        try:
            return await asyncio.wait_for(work(service), 30)
        finally:
            await service.close()

    return asyncio.run(all_of_it())


async def label(service: Service, text: str = "hello", **more: Any) -> dict[str, Any]:
    said = await service.ask("classify", {"texts": [text]}, **more)
    made: dict[str, Any] = said.value[0]
    return made


async def status(work: Coroutine[Any, Any, Any]) -> int:
    """200, or that of the refusal."""
    try:
        await work
    except Refused as refused:
        return refused.status
    return 200


async def heard(service: Service, text: str, **more: Any) -> tuple[list[str], Any, int]:
    """The parts, the last word, and the status."""
    parts: list[str] = []
    last: list[Any] = []
    try:
        async for part in service.stream("write", {"text": text, **more}, last=last.append):
            parts.append(part)
    except Refused as refused:
        return parts, None, refused.status
    return parts, last[0], 200
