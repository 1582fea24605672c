"""``gradus label-read``: what people labelled elsewhere, as rows of labelled data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradus.errors import EXIT_ERROR, UsageError, unknown

if TYPE_CHECKING:
    from gradus.labelling.reading import Merged


def label_read(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="What came back.")],
    into: Annotated[
        Path, typer.Option("--into", metavar="FILE", help="The .jsonl to put new rows behind.")
    ],
    form: Annotated[
        str, typer.Option("--format", help="label-studio, argilla, jsonl; auto goes by the name.")
    ] = "auto",
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="A,B,...",
            help="The labels that may be given. Left out, those of --into or of --checkpoint.",
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", metavar="CHECKPOINT", help="Whose labels may be given."),
    ] = None,
    text_field: Annotated[
        str, typer.Option("--text-field", help="The text's field in --into.")
    ] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Bring back what people labelled elsewhere.

    Answers become rows behind those of --into. Texts on which people disagree, or that stand there
    with another label, and labels that aren't known, are named with their line and left out; the
    exit code is then 1. Skipped texts are named too. Reading the same file twice changes nothing.

    Examples:
      gradus label-read export.json --into data.jsonl
      gradus label-read to-label --into data.jsonl --format argilla --checkpoint CHECKPOINT
    """
    from gradus.cli.output import print_json
    from gradus.labelling.forms import FORMATS
    from gradus.labelling.reading import existing, merge, read_answers, write

    if form not in (*FORMATS, "auto"):
        raise UsageError(unknown("format", form, (*FORMATS, "auto")))
    there = existing(into, text=text_field)
    answers = read_answers(source, form)
    several = there.several
    if several is None:
        several = any(len(a.labels) != 1 for a in answers if a.labels is not None)
    found = merge(answers, there, into, _known(labels, checkpoint) or there.labels, several=several)
    write(found, into, several=several, text=text_field)
    if as_json:
        print_json(_facts(found, into))
    else:
        _print(found, source, into)
    if found.conflicts or found.unknown:
        raise typer.Exit(EXIT_ERROR)


def _known(labels: str | None, checkpoint: str | None) -> frozenset[str]:
    """The labels that may be given; empty where nothing says."""
    if labels is not None:
        return frozenset(one.strip() for one in labels.split(",") if one.strip())
    if checkpoint is None:
        return frozenset()
    from gradus.checkpoints import open_checkpoint
    from gradus.cli.checkpoint import named

    return frozenset(open_checkpoint(named(checkpoint)).labels)


def _facts(found: Merged, into: Path) -> dict[str, object]:
    remarks = {"skipped": found.skipped, "conflicts": found.conflicts, "unknown": found.unknown}
    return {
        "into": str(into),
        "added": len(found.rows),
        "same": found.same,
        **{
            name: [{"line": one.line, "message": one.message} for one in of]
            for name, of in remarks.items()
        },
    }


def _print(found: Merged, source: Path, into: Path) -> None:
    for one in sorted([*found.conflicts, *found.unknown, *found.skipped], key=lambda r: r.line):
        print(f"{source}, line {one.line}: {one.message}", file=sys.stderr)
    rows = "row" if len(found.rows) == 1 else "rows"
    told = [f"{len(found.rows):,} {rows} put into {into}"]
    counts = (
        (found.same, "stand there already"),
        (len(found.skipped), "skipped"),
        (len(found.conflicts), "in conflict"),
        (len(found.unknown), "with unknown labels"),
    )
    print("; ".join([*told, *(f"{count:,} {what}" for count, what in counts if count)]))
