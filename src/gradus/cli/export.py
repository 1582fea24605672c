"""``gradus export``: copy a checkpoint out of a run, with its card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gradus.cli.options import RUNS, RunsDir
from gradus.errors import UsageError


def export(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A checkpoint's folder, or RUN/STEP.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New or empty.")],
    run: Annotated[
        str | None,
        typer.Option("--run", help="The run that measured it; by default the one it stands in."),
    ] = None,
    license: Annotated[
        str | None, typer.Option("--license", help="The licence that you publish it under.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What the card calls it; PLAN-STEP by default.")
    ] = None,
    push_to: Annotated[
        str | None, typer.Option("--push-to", metavar="REPO", help="Then send it to the Hub.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="With --push-to: a new repository is for everybody.")
    ] = False,
    runs_dir: RunsDir = RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Copy a checkpoint with its model card, licence texts and notices; every file is checked.

    Examples:
      gradus export runs/news/small models/news
      gradus export runs/news/small models/news --license apache-2.0 --push-to me/news
    """
    from gradus.cards.export import export as copy
    from gradus.cards.push import check_name, push
    from gradus.cli.checkpoint import find_checkpoint
    from gradus.cli.output import print_json
    from gradus.cli.view import find_run

    if public and push_to is None:
        raise UsageError("--public goes with --push-to: name the repository")
    if push_to is not None:
        check_name(push_to)
    made = copy(
        find_checkpoint(checkpoint, runs_dir),
        folder,
        run=None if run is None else find_run(run, runs_dir)[0].path,
        license=license,
        name=name,
    )
    for gate in made["closed"] or ():
        print(f"the gate '{gate}' is closed, which the card says", file=sys.stderr)
    made["pushed"] = None if push_to is None else push(folder, push_to, public=public)
    if as_json:
        print_json(made)
        return
    size = f"{made['bytes'] / 1e6:.1f} MB"
    print(f"{made['name']}: {len(made['files'])} files, {size}, licence {made['licence']}")
    print(made["pushed"] or folder / "README.md")
