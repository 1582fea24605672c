"""``gradus scaling``: pretrain at several depths, fit the loss against compute, look ahead."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    Overrides,
    Page,
    Quiet,
    RunsDir,
    check_level,
)
from gradus.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from gradus.cli.compare_models import Model
    from gradus.cli.compare_places import Place
    from gradus.measure.compare import Settings
    from gradus.records import Plan

AXIS: Final = "training FLOPs"
LEAST: Final = 4
"""Models that a law can be fitted to."""


@dataclass(frozen=True)
class Sweep:
    """What a plan was run at: its depths, and how the next would be trained."""

    sides: list[Model]
    depths: dict[str, int] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    ratio: float | None = None


def scaling(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="PLAN | RUN:STEP ...",
            help="A plan to pretrain at several depths, or steps of runs that were trained.",
        ),
    ],
    depths: Annotated[
        str | None,
        typer.Option("--depths", metavar="N,N,...", help="Layers of each model, four or more."),
    ] = None,
    ahead: Annotated[
        list[int] | None,
        typer.Option(
            "--next", metavar="N", help="Depths to predict; the next of the series if left out."
        ),
    ] = None,
    predict: Annotated[
        list[float] | None,
        typer.Option("--predict", metavar="FLOPS", help="Say what the law gives at that compute."),
    ] = None,
    step: Annotated[
        str | None, typer.Option("--step", help="Which pretraining, where the plan has several.")
    ] = None,
    ratio: Annotated[
        float | None,
        typer.Option(
            "--tokens-per-parameter",
            metavar="R",
            help="Tokens for each weight in the layers, instead of the plan's own budget.",
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="bits_per_byte if left out.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="CORPUS.SPLIT", help="Every place they share if left out."),
    ] = None,
    level: Level = 0.95,
    bootstrap: Draws = DRAWS,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap.")] = 0,
    runs_dir: RunsDir = RUNS,
    overrides: Overrides = None,
    html: Page = None,
    as_markdown: AsMarkdown = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model's loss against the compute that it was trained with, and look ahead.

    A plan is run at each depth, in a run of its own named PLAN-scaling: its width, heads and,
    unless the plan says them, batch, learning rate and tokens follow from the depth. The law is
    L = c + a C^-b over the measurements on dev.gate; intervals are those of resampled documents,
    the same ones for all models, and know nothing of other seeds.

    Examples:
      gradus scaling plans/pretrain-shakespeare.yaml --depths 1,2,3,4 --html scaling.html
      gradus scaling my-plan.yaml --depths 2,4,6,8 --tokens-per-parameter 20 --next 12
      gradus scaling a:base b:base c:base d:base --predict 1e18 --json
    """
    from gradus.cli.compare import _show
    from gradus.cli.compare_on import places
    from gradus.measure.compare import Settings
    from gradus.metrics.score import Scores

    check_level(level)
    if any(x <= 0 for x in predict or ()):
        raise UsageError("--predict: a power law is defined above 0")
    began = time.monotonic()
    if depths is not None:
        swept = _swept(what, _numbers(depths), step, ratio, overrides or (), runs_dir, quiet)
    else:
        _only_plans(ahead=ahead, step=step, ratio=ratio, overrides=overrides)
        swept = _given(what, runs_dir)
    settings = Settings(
        metrics=() if metric is None else (metric,),
        level=level,
        draws=bootstrap,
        seed=seed,
        scores=Scores.of({name: raw for one in swept.sides for name, raw in one.scores.items()}),
    )
    sizes = [_size(side, swept.depths.get(side.name)) for side in swept.sides]
    later = _later(swept, sizes, ahead)
    at = [*(one["flops"] for one in later), *(predict or ())]
    known = _fitted(
        swept.sides, places([] if on is None else [on], swept.sides), sizes, at, settings
    )
    known |= {"sizes": sizes, "next": later, "notes": [*_told(later, sizes)]}
    known["seconds"] = round(time.monotonic() - began, 3)
    _show(known, html, as_json, as_markdown)


def _only_plans(**given: Any) -> None:
    names = {"ahead": "next", "ratio": "tokens-per-parameter", "overrides": "set"}
    for name, value in given.items():
        if value:
            raise UsageError(
                f"--{names.get(name, name)} goes with a plan and --depths 1,2,3,4, not with runs"
            )


def _numbers(depths: str) -> list[int]:
    try:
        found = sorted(int(part) for part in depths.split(","))
    except ValueError as error:
        raise UsageError(f"--depths {depths}: whole numbers such as 1,2,3,4 ({error})") from error
    if len(found) < LEAST:
        raise UsageError(
            f"--depths {depths}: a power law has three numbers, so it needs {LEAST} depths or more"
        )
    return found


def _swept(
    what: Sequence[str],
    depths: Sequence[int],
    step: str | None,
    ratio: float | None,
    overrides: Sequence[str],
    runs_dir: Path,
    quiet: bool,
) -> Sweep:
    """Run the plan at every depth; what was trained before is reused."""
    from gradus import api
    from gradus.cli.compare_models import models
    from gradus.cli.progress import TerminalReporter
    from gradus.cli.view import exit_code
    from gradus.plan import load_plan
    from gradus.runner.depths import sweep

    if len(what) != 1:
        raise UsageError("--depths goes with one plan")
    plan: Plan = load_plan(Path(what[0]), overrides=overrides, files=True)
    made, ids = sweep(plan, depths, step=step, ratio=ratio)
    reporter = TerminalReporter(quiet=quiet)
    try:
        record = api.run(made, runs_dir=runs_dir, reporter=reporter)
    finally:
        reporter.close()
    if exit_code(record) != EXIT_DONE:
        raise typer.Exit(exit_code(record))
    sides = models([f"{made.name}:{ids[depth]}" for depth in depths], runs_dir)
    config = made.step(ids[depths[0]]).config
    return Sweep(sides, {one: depth for depth, one in ids.items()}, config, ratio)


def _given(what: Sequence[str], runs_dir: Path) -> Sweep:
    from gradus.cli.compare_models import models

    if any(Path(one).suffix in (".yaml", ".yml") for one in what):
        raise UsageError("a plan goes with --depths 1,2,3,4: the layers of each model")
    return Sweep(models(what, runs_dir))


def _size(side: Model, depth: int | None) -> dict[str, Any]:
    """Depth, parameters, tokens, FLOPs and FLOPs a second of a model that was trained."""
    from gradus.measure import compare_axes

    flops, tokens = side.cost.get("flops"), side.cost.get("train_tokens")
    if side.weights is None or not flops or not tokens:
        raise UsageError(
            f"{side.text} doesn't say what its training computed: name steps of runs that train, "
            "or give the numbers to gradus compare --scaling FLOPs=1e15,2e15,..."
        )
    seconds = side.cost.get("train_seconds")
    return {
        "model": side.name,
        "depth": depth,
        "parameters": compare_axes.parameters(side.weights),
        "tokens": tokens,
        "flops": flops,
        "flops_per_second": flops / seconds if seconds else None,
    }


def _later(
    swept: Sweep, sizes: Sequence[dict[str, Any]], asked: Sequence[int] | None
) -> list[dict[str, Any]]:
    """The depths to predict, with what they would take, scaled up from the deepest model."""
    if not swept.depths:
        return []
    from gradus.runner.depths import ahead

    last, before = sizes[-1], sizes[-2]
    wanted = asked or [2 * last["depth"] - before["depth"]]
    found = []
    for depth in wanted:
        one: dict[str, Any] = ahead(last, swept.config, depth, swept.ratio)
        rate = last["flops_per_second"]
        found.append({**one, "seconds": one["flops"] / rate if rate else None})
    return found


def _fitted(
    sides: Sequence[Model],
    where: Sequence[Place],
    sizes: Sequence[Mapping[str, Any]],
    at: Sequence[float],
    settings: Settings,
) -> dict[str, Any]:
    """The facts of the law in every place, as `gradus compare --scaling` has them."""
    from gradus.cli.compare import _contenders, _facts, _scaled

    known = _facts(sides, settings)
    for place, contenders in zip(where, _contenders(sides, where, "float32", True), strict=True):
        standing = [
            replace(one, x=float(size["flops"]))
            for one, size in zip(contenders, sizes, strict=True)
        ]
        views = _scaled(place.name, AXIS, standing, settings, at)
        for view in views:
            _alike(sides, place.name, view["metric"])
        known["scaling"] += views
    return known


def _alike(sides: Sequence[Model], place: str, metric: str) -> None:
    """Refuse models that were measured in ways that can't be compared."""
    from gradus.gates.sides import check_contract

    taken = [
        one
        for side in sides
        for kept in side.kept
        if kept.place == place
        for one in kept.measurements
        if one.metric == metric
    ]
    for other in taken[1:]:
        check_contract(taken[0], other)


def _told(later: Sequence[Mapping[str, Any]], sizes: Sequence[Mapping[str, Any]]) -> list[str]:
    from gradus.report.charts.scaling import short

    said = [
        f"{one['model']}: {short(one['parameters'])} parameters, {short(one['tokens'])} tokens, "
        f"{short(one['flops'])} FLOPs"
        for one in sizes
    ]
    for one in later:
        hours = one["seconds"]
        when = "" if hours is None else f", {_span(hours)} at the deepest model's rate"
        said.append(
            f"depth {one['depth']} would have {short(one['parameters'])} parameters and take "
            f"{short(one['tokens'])} tokens and {short(one['flops'])} FLOPs{when}"
        )
    return said


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
