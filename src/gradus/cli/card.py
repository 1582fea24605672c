"""``gradus card``: write a checkpoint's model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradus.cli.options import RUNS, RunsDir


def card(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A checkpoint's folder, or RUN/STEP.")
    ],
    run: Annotated[
        str | None,
        typer.Option("--run", help="The run that measured it; by default the one it stands in."),
    ] = None,
    license: Annotated[
        str | None, typer.Option("--license", help="The licence, where no source says it.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a card that was changed by hand.")
    ] = False,
    runs_dir: RunsDir = RUNS,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the card's facts; write nothing.")
    ] = False,
) -> None:
    """Write a checkpoint's model card, README.md, from its manifest and what a run measured.

    A run writes the cards of its checkpoints by itself. The checkpoint's digest doesn't change.

    Examples:
      gradus card runs/news/tuned
      gradus card models/mine --run runs/news
      gradus card runs/news/tuned --json
    """
    from gradus.cards import facts, write_card
    from gradus.cards.write import Written
    from gradus.checkpoints import CARD
    from gradus.cli.checkpoint import find_checkpoint
    from gradus.cli.output import print_json
    from gradus.cli.view import find_run
    from gradus.errors import UsageError

    folder = find_checkpoint(checkpoint, runs_dir)
    of: Path | None = None if run is None else find_run(run, runs_dir)[0].path
    if as_json:
        print_json(facts(folder, run=of, license=license))
        return
    made, path = write_card(folder, run=of, license=license, force=force), folder / CARD
    if made is Written.KEPT:
        raise UsageError(f"{path} was changed by hand: --force writes over it")
    if made is Written.RICHER:
        raise UsageError(
            f"{path} is there already, and no run is at hand that tells more: name it with --run, "
            "or --force writes over it"
        )
    print(path)
