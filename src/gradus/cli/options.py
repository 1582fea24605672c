"""Options that several commands take, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from gradus.errors import UsageError

RUNS: Final = Path("runs")
DRAWS: Final = 2000

RunsDir = Annotated[Path, typer.Option("--runs-dir", help="Where run folders are kept.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change the plan; may be repeated."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin anew; the earlier folder is renamed.")]
Level = Annotated[float, typer.Option("--level", help="Of intervals; tests are at 1 - level.")]
Draws = Annotated[int, typer.Option("--bootstrap", min=100, help="Number of bootstrap draws.")]
Page = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page with the plots.")
]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
EndJson = Annotated[
    bool, typer.Option("--json", help="End with one JSON object on standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing on the way.")]


def check_level(level: float) -> None:
    """Refuse a confidence level that isn't one.

    Raises:
        UsageError: it isn't between 0.5 and 1.
    """
    if not 0.5 < level < 1:
        raise UsageError(f"--level {level}: a share between 0.5 and 1")
