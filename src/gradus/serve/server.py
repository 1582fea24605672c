"""Running the application: sockets, signals, the way in and the way out.

- SIGTERM, SIGINT: ``/readyz`` says 503 at once, and every answer closes its connection; new
  connections are still taken for `Limits.drain_seconds`, so that a load balancer has time to look
  elsewhere; then what is inside is finished, and the process ends with 0. A second one ends it now.
- SIGHUP: reads the keys again. If something with another digest stands by now where the checkpoint
  was named, it is loaded and swapped to as ``POST /admin/swap`` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

from gradus.errors import GradusError, UsageError
from gradus.serve import connection
from gradus.serve.door import App
from gradus.serve.framework import uvicorn
from gradus.serve.refusals import Refused
from gradus.serve.service import Service
from gradus.serve.shadow import Shadow

BACKLOG: Final = 1024
KEEP_SECONDS: Final = 75
"""That an idle connection is kept: longer than clients and proxies do, so that it is they who close
it, and no request is sent into a connection that is just being closed."""


class _Server(uvicorn.Server):
    """uvicorn's, without its signal handlers: these end a process with the signal, not with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class Running:
    """One run of a server."""

    def __init__(
        self,
        app: App,
        service: Service,
        *,
        shadow: Shadow | None = None,
        reread: Callable[[], None] = lambda: None,
    ) -> None:
        """Of `app`; `reread` is called at SIGHUP."""
        self._service, self._shadow, self._reread = service, shadow, reread
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = _Server(
            uvicorn.Config(
                app,
                http=connection.of(service),
                h11_max_incomplete_event_size=service.limits.head_bytes,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_SECONDS,
                timeout_graceful_shutdown=int(service.limits.finish_seconds),
            )
        )

    async def run(self, sock: socket.socket, *, opened: Callable[[], None]) -> None:
        """Serve until a signal says otherwise; `opened` is called once all is loaded.

        Raises:
            GradusError: a checkpoint can't be opened.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._spawn, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._spawn, self._again)
        opening = asyncio.create_task(self._open(opened))
        try:
            await self._server.serve(sockets=[sock])
        finally:
            opening.cancel()
            await self._service.close()
            if self._shadow is not None:
                await self._shadow.service.close()
        if self._service.fault is not None:
            raise self._service.fault

    def _spawn(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.create_task(make())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, opened: Callable[[], None]) -> None:
        try:
            await self._service.open()
            if self._shadow is not None:
                await self._shadow.open(self._service)
        except GradusError as error:
            self._service.fault = error
            self._server.should_exit = True
        else:
            opened()

    async def _end(self) -> None:
        if self._service.draining:
            self._server.should_exit = self._server.force_exit = True
            return
        self._service.draining = True
        if self._service.loaded:
            await asyncio.sleep(self._service.limits.drain_seconds)
        self._server.should_exit = True

    async def _again(self) -> None:
        self._reread()
        service = self._service
        # In a thread: other weights are hashed before they are known to be others.
        if service.loaded and await asyncio.to_thread(_changed, service):
            with contextlib.suppress(Refused):  # which the log has told of
                await service.swap(service.checkpoint)


def _changed(service: Service) -> bool:
    """Whether something else stands where the checkpoint that is served was named."""
    served = service.facts.get("digest")
    try:
        return all(digest != served for digest in _digests(service.checkpoint))
    except (GradusError, OSError, ValueError):
        return True  # loading it says why


def _digests(checkpoint: str) -> Iterator[str]:
    """By what engines tell which checkpoint stands there: its manifest's digest, its weights'."""
    from gradus.checkpoints import read_manifest
    from gradus.checkpoints.manifest import MANIFEST
    from gradus.scoring.load import find

    if (Path(checkpoint) / MANIFEST).is_file():
        yield read_manifest(Path(checkpoint)).digest
    yield find(checkpoint).digest


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for clients; port 0 takes any free one.

    Raises:
        UsageError: the port is taken, or the host isn't this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"can't listen on {host}, port {port} ({error}): choose others with --host and --port"
        ) from error
