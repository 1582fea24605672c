"""``gradus run``: execute a plan, or go on with it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from gradus.cli.options import RUNS, EndJson, Fresh, Overrides, Quiet, RunsDir
from gradus.errors import EXIT_DONE, GradusError, Interrupted, RunBusy, UsageError
from gradus.records import Plan, RunRecord


def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan file (YAML).")],
    runs_dir: RunsDir = RUNS,
    overrides: Overrides = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="STEP", help="The last step to run.")
    ] = None,
    fresh: Fresh = False,
    as_json: EndJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a plan, or go on with a run that was interrupted.

    Steps whose fingerprint is unchanged are reused; a changed step runs again with all that
    depends on it. Ends with exit code 3 when a gate closed, and with 4 when a step waits for
    people: it then says where they answer, and the same command goes on when they have.

    Examples:
      gradus run plans/news.yaml
      gradus run plans/news.yaml --set steps.tuned.stages[0].lr=2e-4
      gradus run plans/news.yaml --until tuned --json
    """
    from gradus.plan import load_plan

    loaded = load_plan(plan, overrides=overrides or (), files=True)
    execute(loaded, runs_dir, until=until, fresh=fresh, as_json=as_json, quiet=quiet)


def execute(
    loaded: Plan,
    runs_dir: Path,
    *,
    until: str | None = None,
    fresh: bool = False,
    as_json: bool = False,
    quiet: bool = False,
    show: Callable[[RunRecord, Plan], None] | None = None,
) -> None:
    """Run a checked plan and print what became of it; exit with its code unless that is 0.

    `show` prints it another way.
    """
    signal.signal(signal.SIGTERM, _terminate)
    from gradus import api
    from gradus.cli.progress import TerminalReporter
    from gradus.cli.view import exit_code, run_json
    from gradus.runner.store import RunFolder

    folder = RunFolder(runs_dir.resolve() / loaded.name)
    reporter = TerminalReporter(quiet=quiet)
    try:
        record = api.run(loaded, runs_dir=runs_dir, until=until, fresh=fresh, reporter=reporter)
    except (RunBusy, UsageError):
        raise  # no run of this call, so no record of it
    except (GradusError, Interrupted, KeyboardInterrupt):
        reporter.close()
        left = folder.load()
        if as_json and left is not None and show is None:
            _print(run_json(left, folder.path))
        raise
    if show is not None:
        reporter.close()
        sys.stderr.flush()
        show(record, loaded)
    elif as_json:
        _print(run_json(record, folder.path))
    else:
        reporter.summary(record, folder.path / "report.html")
    if exit_code(record) != EXIT_DONE:
        raise typer.Exit(exit_code(record))


def _print(value: object) -> None:
    from gradus.cli.output import print_json

    sys.stderr.flush()
    print_json(value)


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise Interrupted(f"signal {signum}")
