"""What commands share when they print: tables, messages, progress.

Results go to standard output, everything else to standard error. Rich is used on a terminal
alone, so that what a pipe or a log file gets is plain text; ``NO_COLOR`` takes the colour out.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console

SECONDS_BETWEEN_LINES: Final = 10.0

Report = Callable[[float, float, str], None]
"""Called with what is done, the total in the same unit, and a few words on what is under way."""


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether `stream` (standard output by default) is a terminal that a person looks at."""
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def console(stream: TextIO | None = None) -> Console:
    """A rich console on `stream`: colour on a terminal alone, and never with NO_COLOR set."""
    from rich.console import Console

    target = stream or sys.stdout
    return Console(file=target, highlight=False, soft_wrap=not is_terminal(target))


def stderr_console() -> Console:
    """The console for everything that isn't a result."""
    return console(sys.stderr)


def print_error(message: str) -> None:
    """One message on standard error, its first word red on a terminal."""
    if is_terminal(sys.stderr):
        from rich.text import Text

        stderr_console().print(Text("error: ", style="bold red").append(message, style="not bold"))
    else:
        print(f"error: {message}", file=sys.stderr)


def print_json(value: Any) -> None:
    """One JSON document on standard output; NaN is refused, since JSON has none."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()
) -> None:
    """A table on standard output; the columns named in `right` are aligned to the right.

    On a terminal rich draws it and wraps the last column; elsewhere columns are padded with spaces
    and no line is cut, so that `grep` and `awk` find what they look for.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    if is_terminal():
        _draw_table(columns, cells, right)
        return
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    for row in [list(columns), *cells]:
        padded = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for cell, width, name in zip(row, widths, columns, strict=True)
        ]
        print("  ".join(padded).rstrip())


def _draw_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[str]
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for i, name in enumerate(columns):
        last = i == len(columns) - 1
        table.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=not last,
            overflow="fold" if last else "ellipsis",
        )
    for row in cells:
        # Text, since a cell such as "f1[sport]" isn't markup.
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


@contextmanager
def progress(title: str, *, quiet: bool = False) -> Iterator[Report]:
    """Show progress on standard error: a bar on a terminal, else a line every ten seconds.

    Yields a function to call with (done, total, text); with `quiet` it shows nothing.
    """
    if quiet:
        yield lambda done, total, text: None
    elif is_terminal(sys.stderr):
        with _bar(title) as report:
            yield report
    else:
        yield _lines(title, sys.stderr, time.monotonic)


@contextmanager
def _bar(title: str) -> Iterator[Report]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=stderr_console(), transient=True) as bar:
        task = bar.add_task(title, total=None, text="")
        yield lambda done, total, text: bar.update(task, completed=done, total=total, text=text)


def _lines(title: str, stream: TextIO, clock: Callable[[], float]) -> Report:
    last = clock()

    def report(done: float, total: float, text: str) -> None:
        nonlocal last
        now = clock()
        if now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        share = f"{done / total:.0%}" if total else "0%"
        print(f"{title}: {share} {text}".rstrip(), file=stream, flush=True)

    return report
