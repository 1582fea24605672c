"""``gradus show``: what a run measured and what its gates said."""

from __future__ import annotations

from typing import Annotated

import typer

from gradus.cli.options import RUNS, RunsDir


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or its name.")],
    runs_dir: RunsDir = RUNS,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what `gradus run --json` printed.")
    ] = False,
) -> None:
    """Show what a run measured and what its gates said.

    Examples:
      gradus show news
      gradus show runs/news --json
    """
    from gradus.cli.output import print_json, print_table
    from gradus.cli.view import find_run, run_json, table, waiting_lines

    folder, record = find_run(run, runs_dir)
    if as_json:
        print_json(run_json(record, folder.path))
        return
    print(f"{record.plan}: {record.state}, begun {record.started}, {record.seconds:.1f} s")
    columns, rows = table(record)
    print_table(columns, rows)
    for step in record.steps:
        for verdict in step.gates:
            print(f"{step.id}: {verdict.verdict}: {verdict.gate}: {verdict.why}")
        if step.error:
            print(f"{step.id}: failed: {step.error}")
    for line in waiting_lines(record):
        print(line)
    for name, count in record.readings.items():
        print(f"{name}: its test split has been read {_times(count)}")
    for name, of in record.looks.items():
        if "dev.gate" in of:
            print(
                f"{name}: its dev.gate has been looked at {_times(of['dev.gate'])}, "
                f"{of.get('dev.select', 0)} configurations have been compared on dev.select"
            )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
