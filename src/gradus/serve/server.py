"""Running the application: sockets, signals, the way in and the way out.

- SIGTERM, SIGINT: ``/readyz`` says 503 at once, and every answer closes its connection; new
  connections are still taken for `Limits.drain_seconds`, so that a load balancer has time to look
  elsewhere; then what is inside is finished, and the process ends with 0. A second one ends it now.
- SIGHUP: loads the checkpoint again from where it was named (a link may lead elsewhere by now), and
  swaps to it as ``POST /admin/swap`` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

from gradus.errors import GradusError
from gradus.serve.door import App
from gradus.serve.framework import uvicorn
from gradus.serve.refusals import Refused
from gradus.serve.service import Service

BACKLOG = 1024


class _Server(uvicorn.Server):
    """uvicorn's, without its signal handlers: these end a process with the signal, not with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def run(
    app: App, service: Service, sock: socket.socket, *, opened: Callable[[], None] = lambda: None
) -> None:
    """Serve until a signal says otherwise; `opened` is called once the checkpoint is loaded.

    Raises:
        GradusError: the checkpoint can't be opened.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=int(service.limits.finish_seconds),
    )
    server = _Server(config)
    tasks: set[asyncio.Task[None]] = set()

    def spawn(name: str, make: Callable[[], object]) -> Callable[[], None]:
        def start() -> None:
            task: asyncio.Task[None] = asyncio.create_task(make())  # type: ignore[arg-type]
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        start.__name__ = name
        return start

    loop = asyncio.get_running_loop()
    ending = spawn("end", lambda: _end(server, service))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending)
    loop.add_signal_handler(signal.SIGHUP, spawn("again", lambda: _again(service)))
    opening = asyncio.create_task(_open(server, service, opened))
    try:
        await server.serve(sockets=[sock])
    finally:
        opening.cancel()
        await service.close()
    if service.fault is not None:
        raise service.fault


async def _open(server: uvicorn.Server, service: Service, opened: Callable[[], None]) -> None:
    try:
        await service.open()
    except GradusError as error:
        service.fault = error
        server.should_exit = True
    else:
        opened()


async def _end(server: uvicorn.Server, service: Service) -> None:
    if service.draining:
        server.should_exit = server.force_exit = True
        return
    service.draining = True
    if service.ready or service.workers:
        await asyncio.sleep(service.limits.drain_seconds)
    server.should_exit = True


async def _again(service: Service) -> None:
    with contextlib.suppress(Refused):  # which the log has told of
        await service.swap(service.checkpoint)


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for clients; port 0 takes any free one.

    Raises:
        UsageError: the port is taken, or the host isn't this machine's.
    """
    from gradus.errors import UsageError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"can't listen on {host}, port {port} ({error}): choose others with --host and --port"
        ) from error
