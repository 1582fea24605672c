"""``gradus ratings``: have a panel's writings rated elsewhere, and bring the answers back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gradus.errors import UsageError, unknown

if TYPE_CHECKING:
    from gradus.panel.exchange import Inquiry
    from gradus.panel.records import Rating
    from gradus.panel.setting import Panel

ACTIONS: Final = ("export", "import")


def ratings(
    action: Annotated[str, typer.Argument(metavar="export|import", help="Which way.")],
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or its name.")],
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="The folder to write, or the file or folder to read."),
    ],
    form: Annotated[
        str, typer.Option("--format", help="label-studio, argilla or jsonl.")
    ] = "label-studio",
    step: Annotated[
        str | None, typer.Option("--step", help="The step panel, where the run has several.")
    ] = None,
    answers: Annotated[
        bool, typer.Option("--answers", help="Export the answers that are there as well.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="What imported raters are called: NAME-1, NAME-2 ...; else the format."
        ),
    ] = None,
    runs_dir: Annotated[
        Path, typer.Option("--runs-dir", help="Where run folders are kept.")
    ] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Have a panel's writings rated elsewhere, and bring the answers back.

    What is exported doesn't tell who wrote a text. An import replaces the earlier one of the same
    name, and leaves out raters whose answers the panel has already; run the plan again to have it
    reckoned up.

    Examples:
      gradus ratings export quality to-rate --format label-studio
      gradus ratings import quality exported.json --format label-studio
      gradus ratings export quality all --format argilla --answers
    """
    from gradus.cli.view import find_run
    from gradus.panel import setting

    if action not in ACTIONS:
        raise UsageError(unknown("action", action, ACTIONS))
    folder, _ = find_run(run, runs_dir)
    panel = setting.find(folder.path, step)
    inquiry = _inquiry(panel)
    if action == "export":
        _export(panel, inquiry, path, form, answers=answers, as_json=as_json)
    else:
        _import(panel, inquiry, path, form, name or form, as_json=as_json)


def _inquiry(panel: Panel) -> Inquiry:
    """What a rater of this panel is asked; the order is that of nobody on the page."""
    from gradus.panel.assignment import deal
    from gradus.panel.criteria import LANGUAGES
    from gradus.panel.exchange import Inquiry
    from gradus.panel.store import Store
    from gradus.writing.records import read_samples

    asked, samples = panel.setting, read_samples(panel.samples)
    items = deal(samples, mode=asked.mode, each=asked.each, seed=asked.seed, rater="elsewhere")
    store = Store.create(
        panel.store, mode=asked.mode, criteria=asked.criteria, samples=asked.digest
    )
    try:
        return Inquiry.of(
            samples,
            [(i.first,) if i.second is None else (i.first, i.second) for i in items if not i.check],
            mode=asked.mode,
            criteria=asked.criteria,
            named=store.outside,
            languages=LANGUAGES if asked.language == "both" else (asked.language,),
        )
    finally:
        store.close()


def _export(
    panel: Panel, inquiry: Inquiry, out: Path, form: str, *, answers: bool, as_json: bool
) -> None:
    from gradus.cli.output import print_json
    from gradus.panel import exchange
    from gradus.panel.given import said as everything

    said = everything(panel) if answers else []
    written = exchange.write(form, inquiry, said, out)
    if as_json:
        print_json(
            {
                "files": [str(path) for path in written],
                "tasks": len(inquiry.tasks),
                "ratings": sum(not rating.check for rating in said),
            }
        )
        return
    for path in written:
        print(path)


def _import(
    panel: Panel, inquiry: Inquiry, path: Path, form: str, name: str, *, as_json: bool
) -> None:
    from gradus.cli.output import print_json, stderr_console
    from gradus.panel import exchange
    from gradus.panel.given import said
    from gradus.panel.records import write_ratings

    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"--name {name}: letters, digits, - and _ only")
    if name == "rater":
        raise UsageError("--name rater: so are those of the page called; choose another")
    file = panel.imported / f"{name}.jsonl"
    read = exchange.read(form, inquiry, path)
    if not read:
        raise UsageError(f"{path}: nobody has answered anything in it")
    known = exchange.repeated(read, said(panel, but=file))
    found, names = exchange.renamed([one for one in read if one.rater not in known], name)
    if not found:
        raise UsageError(f"{path}: the panel has all these answers already")
    panel.imported.mkdir(parents=True, exist_ok=True)
    write_ratings(file, found)
    told = _told(found, inquiry)
    if as_json:
        left_out = {"left_out": sorted(known)} if known else {}
        print_json({"file": str(file), "ratings": len(found), "raters": told, **left_out})
        return
    for rater in sorted(known):
        print(f"{rater}: left out, the panel has these answers already")
    for rater, row in told.items():
        missing = row["asked"] - row["answered"]
        print(f"{rater}: {row['answered']} of {row['asked']} answered")
        if missing:
            stderr_console().print(f"{rater} leaves {missing} unanswered, and still counts")
    print(file)
    # Not kept anywhere: these may be e-mail addresses.
    for old, new in names.items():
        print(f"{old} is called {new}")


def _told(found: list[Rating], inquiry: Inquiry) -> dict[str, dict[str, Any]]:
    counts = Counter(rating.rater for rating in found)
    asked = len(inquiry.tasks) * len(inquiry.criteria)
    return {rater: {"answered": n, "asked": asked} for rater, n in sorted(counts.items())}
