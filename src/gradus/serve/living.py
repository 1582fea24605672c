"""The application for servers that run ASGI themselves: it opens its checkpoint when they start it.

It holds nothing but its settings until then, so it can be sent to the machine where it shall live.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from gradus.errors import GradusError
from gradus.serve.access import Access

if TYPE_CHECKING:
    from gradus.serve.door import App, Receive, Send
    from gradus.serve.service import Service


class Settings(BaseModel):
    """What `gradus serve` takes as flags, as far as it makes sense behind another server.

    Attributes:
        checkpoint: a folder, or a source of weights; a path must be there on every machine.
        engine: a name of the catalog's section `engines`, or ``auto``.
        workers: processes that hold the model.
        threads: of each.
        queue: requests inside at a time; more are refused with 429.
        timeout: seconds to answer.
        key_file: hashes of the keys that clients must show.
        no_keys: whether anybody who can reach the server may ask, knowingly. With neither, only
            requests that name a loopback address as their host are answered.
        quiet: whether requests aren't logged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: str
    engine: str = "auto"
    workers: int = Field(default=1, ge=1, le=256)
    threads: int = Field(default=1, ge=1)
    queue: int = Field(default=256, ge=1)
    timeout: float = Field(default=30.0, gt=0)
    key_file: str | None = None
    no_keys: bool = False
    quiet: bool = True


class _Behind(Access):
    """Nobody is an admin: a swap would reach one copy of the application and not the others."""

    def admin(self, scope: Mapping[str, Any]) -> bool:
        """Never."""
        return False


class Living:
    """An ASGI application that begins and ends with its server's ``lifespan``."""

    def __init__(self, settings: Settings) -> None:
        """With `settings`; nothing is loaded yet."""
        self.settings = settings
        self._app: App | None = None
        self._service: Service | None = None

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        assert self._app is not None, "a server that gives no 'lifespan' can't run this"
        await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._open()
                except GradusError as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._service is not None:
                    self._service.draining = True
                    await self._service.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _open(self) -> None:
        from gradus.serve.app import application
        from gradus.serve.limits import Limits
        from gradus.serve.logs import Log
        from gradus.serve.service import Service

        asked = self.settings
        log = Log(requests=not asked.quiet)
        limits = Limits(
            queue=asked.queue,
            seconds=asked.timeout,
            stuck_seconds=max(60.0, 2 * asked.timeout),
        )
        self._service = Service(
            asked.checkpoint,
            limits=limits,
            told=log.told,
            engine=asked.engine,
            workers=asked.workers,
            options={"threads": asked.threads},
        )
        self._app = application(self._service, access=_access(asked), log=log)
        await self._service.open()


def _access(asked: Settings) -> Access:
    from gradus.serve import keys
    from gradus.serve.keys import Keys

    known: Keys | None = None
    if asked.key_file is not None:
        from pathlib import Path

        known = keys.read(Path(asked.key_file))
    return _Behind(keys=known, loopback=known is None and not asked.no_keys, anybody=asked.no_keys)
