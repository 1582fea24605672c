"""Running the application: sockets, signals, the way in and the way out.

- SIGTERM, SIGINT: ``/readyz`` says 503 at once, and every answer closes its connection; new
  connections are still taken for `Limits.drain_seconds`, so that a load balancer has time to look
  elsewhere; then what is inside is finished, and the process ends with 0. A second one ends it now.
- SIGHUP: reads the keys again, and loads the checkpoint again from where it was named, if something
  else stands there by now; swaps to it as ``POST /admin/swap`` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

from gradus.errors import CheckpointError, GradusError, UsageError
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
        if self._service.loaded and _changed(self._service):
            with contextlib.suppress(Refused):  # which the log has told of
                await self._service.swap(self._service.checkpoint)


def _changed(service: Service) -> bool:
    """Whether another checkpoint stands where the one that is served was named."""
    from gradus.checkpoints import read_manifest

    try:
        return read_manifest(Path(service.checkpoint)).digest != service.facts.get("digest")
    except CheckpointError:
        return True  # loading it says why, or it is no folder with a manifest


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
