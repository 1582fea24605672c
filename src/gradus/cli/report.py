"""``gradus report``: write a run's report again."""

from __future__ import annotations

from typing import Annotated

import typer

from gradus.cli.options import RUNS, RunsDir


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or its name.")],
    runs_dir: RunsDir = RUNS,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report's facts instead of the paths.")
    ] = False,
) -> None:
    """Write a run's report again: report.html, report.md and report.json in the run folder.

    Examples:
      gradus report news
      gradus report runs/news --json
    """
    from gradus.cli.output import print_json
    from gradus.cli.view import find_run
    from gradus.report import facts, write_report

    folder, _ = find_run(run, runs_dir)
    written = write_report(folder.path)
    if as_json:
        print_json(facts(folder.path))
        return
    for path in written.values():
        print(path)
