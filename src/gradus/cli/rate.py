"""``gradus rate``: serve the page on which people judge what was written."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gradus.errors import UsageError
from gradus.panel.setting import HOST, PORT, Language

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from gradus.panel.setting import Panel
    from gradus.panel.store import Progress, Store

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh", "both")


def rate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or its name.")],
    step: Annotated[
        str | None, typer.Option("--step", help="Which panel, where the run has several.")
    ] = None,
    raters: Annotated[
        int | None,
        typer.Option("--raters", min=1, max=1000, help="How many links; the plan's if left out."),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language", metavar="en|zh|both", help="Of the page; both lets raters choose."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; 0.0.0.0 lets other machines in.")
    ] = HOST,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")
    ] = PORT,
    link: Annotated[
        str | None,
        typer.Option("--link", metavar="URL", help="What links begin with, behind a proxy."),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Print links and progress, and serve nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print links as JSON.")] = False,
    runs_dir: Annotated[
        Path, typer.Option("--runs-dir", help="Where run folders are kept.")
    ] = Path("runs"),
) -> None:
    """Serve the page on which people judge what was written, and print a link for each rater.

    Nobody sees who wrote a text. Every answer is on the disk before the next text is shown;
    Ctrl-C stops the page, and the same command goes on. When enough raters have finished,
    `gradus run` takes in what they said. The page is not encrypted: among several machines, put
    a proxy with TLS before it and say with --link where that is.

    Examples:
      gradus rate quality-shakespeare
      gradus rate runs/quality-shakespeare --language both --raters 5
      gradus rate quality-shakespeare --host 0.0.0.0 --port 8080
      gradus rate quality-shakespeare --status --json
    """
    from gradus.cli.view import find_run
    from gradus.panel import setting
    from gradus.panel.server import listen, server

    if language is not None and language not in LANGUAGES:
        raise UsageError(f"--language {language}: one of {', '.join(LANGUAGES)}")
    if link is not None and not link.startswith(("http://", "https://")):
        raise UsageError(f"--link {link}: an address that begins with http:// or https://")
    folder, _ = find_run(run, runs_dir)
    panel = setting.find(folder.path, step)
    with opened(panel, raters) as store:
        if status:
            _print(panel, store, base(host, port, link), as_json)
            return
        app = _application(panel, store, language)
        sock = listen(host, port)
        _print(panel, store, base(host, sock.getsockname()[1], link), as_json)
        _say("The page is open. Ctrl-C closes it; answers are kept, and the same command goes on.")
        signal.signal(signal.SIGTERM, _stop)
        # Ctrl-C is how a page is closed; nothing was interrupted.
        with suppress(KeyboardInterrupt):
            server(app).run(sockets=[sock])
        for each in store.progress():
            _say(f"{each.rater}: {each.answered} of {each.total} answered")


@contextmanager
def opened(panel: Panel, raters: int | None) -> Iterator[Store]:
    """The answers of a panel, every rater of which has something to do.

    Raises:
        UsageError: the samples don't suffice for what the plan asks.
    """
    from gradus.panel.assignment import deal
    from gradus.panel.store import Store
    from gradus.writing.records import read_samples

    about = panel.setting
    wanted = [f"rater-{at + 1}" for at in range(raters or about.raters)]
    store = Store.create(
        panel.store, mode=about.mode, criteria=about.criteria, samples=about.digest
    )
    try:
        fresh = [rater for rater in wanted if rater not in store.raters()]
        if fresh:
            samples = read_samples(panel.samples)
            for rater in fresh:
                items = deal(
                    samples, mode=about.mode, each=about.each, seed=about.seed, rater=rater
                )
                store.enrol(rater, items)
        yield store
    finally:
        store.close()


def base(host: str, port: int, link: str | None) -> str:
    """What links begin with."""
    if link is not None:
        return link.rstrip("/")
    name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _application(panel: Panel, store: Store, language: str | None) -> ASGIApp:
    from gradus.panel.criteria import CRITERIA
    from gradus.panel.pages import Pages
    from gradus.panel.server import application
    from gradus.writing.records import read_samples

    about = panel.setting
    pages = Pages(
        read_samples(panel.samples),
        mode=about.mode,
        criteria=about.criteria if about.mode == "likert" else tuple(CRITERIA),
        spoken=next(x for x in LANGUAGES if x == (language or about.language)),
    )
    return application(store, pages, _teller(panel))


def _print(panel: Panel, store: Store, address: str, as_json: bool) -> None:
    from gradus.cli.output import print_json, print_table
    from gradus.panel.given import collect

    careless = collect(panel).careless
    links = {each.rater: f"{address}/r/{store.token(each.rater)}/" for each in store.progress()}
    if as_json:
        print_json(
            [_fact(each, links[each.rater], each.rater in careless) for each in store.progress()]
        )
    else:
        rows = [(x.rater, _far(x, careless), links[x.rater]) for x in store.progress()]
        print_table(("rater", "answered", "link"), rows)
    sys.stdout.flush()


def _far(progress: Progress, careless: Collection[str]) -> str:
    said = f"{progress.answered} of {progress.total}"
    return f"{said}, checks failed" if progress.rater in careless else said


def _fact(progress: Progress, link: str, careless: bool) -> dict[str, Any]:
    return {
        "rater": progress.rater,
        "answered": progress.answered,
        "total": progress.total,
        "finished": progress.finished,
        "careless": careless,
        "link": link,
    }


def _teller(panel: Panel) -> Callable[[Progress], None]:
    """Says who has finished, and when there are enough."""
    from gradus.panel.given import collect

    def tell(progress: Progress) -> None:
        if not progress.finished:
            return
        given, needed = collect(panel), panel.setting.raters
        if progress.rater in given.careless:
            spare = needed + len(given.careless)
            _say(
                f"{progress.rater} has finished, but failed more than half of the attention checks "
                f"and isn't counted: --raters {spare} makes a link for somebody else"
            )
            return
        _say(f"{progress.rater} has finished: {len(given.raters)} of {needed}")
        if len(given.raters) == needed:
            _say("Enough raters have finished: run the plan again, and it goes on.")

    return tell


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
