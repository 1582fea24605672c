"""``gradus check``: find every fault of a plan before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gradus.cli.options import Overrides
from gradus.cli.output import is_terminal, print_json, print_table
from gradus.errors import EXIT_USAGE, PlanError, UsageError
from gradus.records import Fault


def check(
    plan: Annotated[
        Path | None, typer.Argument(metavar="PLAN", help="The plan file.", show_default=False)
    ] = None,
    overrides: Overrides = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the faults as a JSON list.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of plans, for editors.")
    ] = False,
) -> None:
    """Find every fault of a plan before anything is computed.

    All faults are told at once, each with its line and its path in the file. No data is read and
    no weights are loaded; the files of benchmarks must be there. Exit code 0 without faults, 2
    with some.

    Examples:
      gradus check plans/news.yaml
      gradus check plans/news.yaml --set steps.tuned.stages[0].lr=2e-4
      gradus check plans/news.yaml --json
      gradus check --schema > plan.schema.json
    """
    from gradus import plan as plans

    if schema:
        print_json(plans.schema())
        return
    if plan is None:
        raise UsageError("no plan given: gradus check PLAN, e.g. gradus check plans/news.yaml")
    try:
        steps = len(plans.load_plan(plan, overrides=overrides or (), files=True).steps)
    except PlanError as error:
        if as_json:
            print_json([fault.to_json() for fault in error.faults])
        else:
            _print_faults(plan, error.faults)
        raise typer.Exit(EXIT_USAGE) from None
    if as_json:
        print_json([])
    else:
        print(f"{plan}: {steps} step{'s' if steps != 1 else ''}, no faults")


def _print_faults(plan: Path, faults: Sequence[Fault]) -> None:
    count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
    if not is_terminal():
        for fault in faults:
            # FILE:LINE: is what editors and CI logs turn into links.
            place = f"{plan}:{fault.line}" if fault.line else str(plan)
            print(": ".join(part for part in (place, fault.path, fault.message) if part))
        print(f"{plan}: {count}")
        return
    rows = [(fault.line or "", fault.path, fault.message) for fault in faults]
    print_table(("line", "path", "fault"), rows, right=("line",))
    print(f"{plan}: {count}")
