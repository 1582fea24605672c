"""How `gradus generate` shows what was written, and why."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus.cli.output import console, is_terminal, print_json
from gradus.errors import StorageError

if TYPE_CHECKING:
    from gradus.generation import Decoding
    from gradus.generation.base import Continuation, Generator
    from gradus.generation.explain import Explained, Likely, Position

BAR: Final = 32
"""Characters of a bar that stands for certainty."""
EIGHTHS: Final = " ▏▎▍▌▋▊▉"
NAME: Final = 18
"""Columns of a token."""


def one(writer: Generator, shown: str, prompt: str, settings: Decoding) -> None:
    """One text while it is written; on a terminal behind the prompt that was `shown`."""
    if is_terminal():
        from rich.text import Text

        console().print(Text(_safe(shown), style="dim"), end="")
    streamed(writer, prompt, settings)


def streamed(writer: Generator, prompt: str, settings: Decoding) -> Continuation:
    """Write a text to standard output while it is written, and end the line."""
    terminal = is_terminal()

    def told(piece: str) -> None:
        sys.stdout.write(_safe(piece) if terminal else piece)
        sys.stdout.flush()

    found = writer.stream(prompt, settings, told=told)
    print(flush=True)
    return found


def lines() -> Iterator[str]:
    """Lines of standard input that aren't blank; a terminal is asked for each."""
    if is_terminal(sys.stdin):
        print("one turn a line; Ctrl-D ends", file=sys.stderr)
    while True:
        if is_terminal(sys.stdin):
            print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if not line.isspace():
            yield line.strip()


def many(prompts: Sequence[str], found: Sequence[Continuation], each: int) -> None:
    """All texts behind their prompts, a line before each."""
    terminal = is_terminal()
    for number, (prompt, written) in enumerate(zip(prompts, found, strict=True)):
        place, time = divmod(number, each)
        which = f"prompt {place + 1}" + (f", text {time + 1}" if each > 1 else "")
        text = prompt + written.text
        print(f"--- {which}\n{_safe(text) if terminal else text}")


def as_json(
    model: str,
    writer: Generator,
    settings: Decoding,
    prompts: Sequence[str],
    found: Sequence[Continuation],
    seconds: float,
) -> None:
    """One JSON object with all texts, and how fast they were written."""
    tokens = sum(one.tokens for one in found)
    print_json(
        {
            "model": model,
            **writer.contract,
            "decoding": settings.said,
            "writings": [
                {"prompt": prompt, **one._asdict()}
                for prompt, one in zip(prompts, found, strict=True)
            ],
            "seconds": seconds,
            "tokens_per_second": tokens / seconds if seconds else None,
        }
    )


def explained_json(found: Sequence[Explained]) -> None:
    """One JSON object, or a list of them for several prompts."""
    said = [one.to_json() for one in found]
    print_json(said[0] if len(said) == 1 else said)


def as_page(found: Explained, path: Path) -> None:
    """Write the page and say where it is.

    Raises:
        StorageError: it can't be written.
    """
    from gradus.generation.explain.page import page

    try:
        path.write_text(page(found), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"--html {path}: can't be written ({error.strerror})") from error
    print(f"written to {path}", file=sys.stderr)


def explained(found: Explained) -> None:
    """A table with bars, place by place."""
    from rich.text import Text

    out = console()
    way = "" if found.decoding is None else f"; goes on {found.decoding}"
    out.print(Text(f"{found.model} sees {found.sees}{way}", style="bold"))
    for place in found.positions:
        if not place.likely:
            if place.kind == "first":
                out.print(Text(f"\n{_name(place.token)} nothing stands before it", style="dim"))
            continue
        out.print(Text("\n") + _head(place))
        for likely in place.likely:
            out.print(_row(likely, here=likely.id == place.id))
    if found.ended is not None:
        end = "it came to an end by itself" if found.ended else "cut at the greatest length"
        out.print(Text(f"\n{end}", style="dim"))


def _head(place: Position) -> Any:
    from rich.text import Text

    said = {"next": "comes next", "gap": "fills the gap", "written": "written"}.get(place.kind, "")
    shown = Text(_name(place.token or "?"), style="bold")
    if place.share is not None and place.rank is not None:
        shown.append(f" {_percent(place.share)}  rank {place.rank:,}", style="not bold")
    if place.entropy is not None:
        shown.append(f"  {place.entropy:.2f} bits", style="dim not bold")
    return shown.append(f"  {said}" if said else "", style="dim not bold")


def _row(likely: Likely, *, here: bool) -> Any:
    from rich.text import Text

    row = Text(f"  {'>' if here else ' '} {_name(likely.token)} {_percent(likely.share)} ")
    if here:
        row.stylize("bold")
    row.append(bar(likely.share).ljust(BAR), style="cyan")
    if likely.drawn is not None:
        row.append(f" drawn with {_percent(likely.drawn)}", style="dim")
    row.rstrip()
    return row


def bar(share: float) -> str:
    """A bar for a probability, to an eighth of a character; the smallest still shows.

    >>> bar(0.5) == "█" * 16
    True
    """
    eighths = max(round(share * BAR * 8), 1 if share > 0 else 0)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def _name(token: str) -> str:
    """A token in its column, also where it is Chinese."""
    from rich.cells import set_cell_size

    from gradus.generation.spelling import spelt

    return set_cell_size(spelt(token), NAME)


def _percent(share: float) -> str:
    return "< 0.01 %" if 0 < share < 5e-5 else f"{100 * share:6.2f} %"


def _safe(text: str) -> str:
    """Text for a terminal: what a model writes may not move its cursor."""
    from gradus.generation.spelling import visible

    return visible(text)
