"""``gradus serve``: answer over HTTP with a checkpoint."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gradus.serve.limits import Limits

HOST, PORT = "127.0.0.1", 8735


def serve(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A checkpoint folder.")],
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; 0.0.0.0 lets other machines in.")
    ] = HOST,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")
    ] = PORT,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=256, help="Processes that hold the model.")
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="Of each; the machine's cores by default."),
    ] = None,
    queue: Annotated[
        int, typer.Option("--queue", min=1, help="Requests inside at a time; more get 429.")
    ] = 256,
) -> None:
    """Answer over HTTP with a checkpoint.

    Examples:
      gradus serve runs/news/steps/small/KEY/checkpoint
      gradus serve CHECKPOINT --port 8080 --workers 2 --threads 1
    """
    from gradus.serve.limits import Limits

    asyncio.run(_serve(checkpoint, host, port, workers, threads, Limits(queue=queue)))


async def _serve(
    checkpoint: str, host: str, port: int, workers: int, threads: int | None, limits: Limits
) -> None:
    from gradus import hardware
    from gradus.serve.app import application
    from gradus.serve.logs import Log
    from gradus.serve.server import listen, run
    from gradus.serve.service import Service

    log = Log()
    each = threads or max(1, hardware.threads() // workers)
    service = Service(
        checkpoint, limits=limits, told=log.told, workers=workers, options={"threads": each}
    )
    app = application(service, seen=log.seen)
    with listen(host, port) as sock:
        port = sock.getsockname()[1]

        def opened() -> None:
            log.told("ready", address=address(host, port), checkpoint=checkpoint, **_brief(service))

        await run(app, service, sock, opened=opened)


def _brief(service: object) -> dict[str, object]:
    facts = service.facts  # type: ignore[attr-defined]
    return {name: facts.get(name) for name in ("name", "kind", "digest", "tasks")}


def address(host: str, port: int) -> str:
    """What a browser takes."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
