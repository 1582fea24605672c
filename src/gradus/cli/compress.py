"""``gradus compress``: try ways to make a checkpoint smaller, recommend one that is as good."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gradus.cli.options import RUNS, EndJson, Quiet, RunsDir
from gradus.errors import EXIT_CLOSED, UsageError, unknown

if TYPE_CHECKING:
    from gradus.compressing.base import Frontier, Point, Wanted

# The data's keys come as they are, in `context.args`.
CONTEXT: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


def compress(
    context: typer.Context,
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="The folder of a tuned checkpoint.")
    ],
    budget: Annotated[
        str, typer.Option("--budget", metavar="GATE", help="What must be kept.")
    ] = "accuracy >= parent - 0.01",
    target: Annotated[
        str, typer.Option("--target", help="What shall become small: latency, size or throughput.")
    ] = "latency",
    using: Annotated[
        str, typer.Option("--using", help="Which of quantize, prune and distil to try.")
    ] = "quantize,prune,distil",
    schemes: Annotated[
        str, typer.Option("--schemes", help="Which of the schemes; all when left out.")
    ] = "",
    claim: Annotated[
        str | None,
        typer.Option("--claim", help="The split of the claim: test (the default) or dev.gate."),
    ] = None,
    runs_dir: RunsDir = RUNS,
    name: Annotated[str, typer.Option("--name", help="The run's name.")] = "compress",
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of splits and training; the checkpoint's run's.")
    ] = None,
    as_json: EndJson = False,
    quiet: Quiet = False,
) -> None:
    """Try to distil, prune and quantise a checkpoint; recommend the smallest that is as good.

    Combinations are measured on dev.select, where the frontier of quality against cost is drawn;
    those on it are then tested against the checkpoint on the split of the claim, the dearest
    first, until one isn't shown to keep the budget. The last that is, is recommended. Interrupted,
    the same command goes on. Ends with exit code 3 when nothing is recommended.

    The data are those of the run in whose folder the checkpoint lies, or --data SOURCE with
    --data.KEY as in other commands. --measure.KEY sets what a plan says under measure.

    Examples:
      gradus compress runs/banking77/steps/tuned/3f9c0b1a2d4e/checkpoint --target size
      gradus compress tuned/checkpoint --budget "f1_macro >= parent - 0.02" \\
          --data reviews.csv --data.columns.label stars --using quantize
    """
    signal.signal(signal.SIGTERM, _terminate)
    from gradus.cli.progress import TerminalReporter
    from gradus.cli.step import flags
    from gradus.compressing.search import compress as work

    wanted = wish(
        checkpoint,
        flags(context.args),
        budget=budget,
        target=target,
        using=using,
        schemes=schemes,
        claim=claim,
        name=name,
        seed=seed,
    )
    reporter = TerminalReporter(quiet=quiet)
    try:
        frontier, record = work(wanted, runs_dir=runs_dir, reporter=reporter)
    finally:
        reporter.close()
    if as_json:
        from gradus.cli.output import print_json

        print_json({"run": record.run, **frontier.to_json()})
    else:
        _show(frontier, Path(record.run))
    if frontier.recommended is None:
        raise typer.Exit(EXIT_CLOSED)


def wish(
    checkpoint: Path,
    given: Mapping[str, Any],
    *,
    budget: str,
    target: str,
    using: str,
    schemes: str,
    claim: str | None,
    name: str,
    seed: int | None,
) -> Wanted:
    """What the command line asks for.

    Raises:
        UsageError: an option doesn't fit, there is no checkpoint, or no data to measure it on.
    """
    from gradus.checkpoints import is_checkpoint
    from gradus.compressing.base import COSTS, WAYS, Wanted
    from gradus.compressing.origin import layers
    from gradus.compressing.search import budget as read
    from gradus.compressing.space import schemes as all_schemes

    ways, named = _listed(using), _listed(schemes)
    for known, asked, what in (
        (WAYS, ways, "--using"),
        (tuple(COSTS), (target,), "--target"),
        (tuple(all_schemes()), named, "--schemes"),
    ):
        for one in asked:
            if one not in known:
                raise UsageError(f"{what}: {unknown('value', one, known)}")
    if claim not in (None, "test", "dev.gate"):
        raise UsageError(f"--claim {claim}: test or dev.gate; dev.select is what chooses")
    if not is_checkpoint(checkpoint):
        raise UsageError(
            f"{checkpoint} is no checkpoint of Gradus: name the folder that a finetune step made, "
            "with gradus.json in it"
        )
    kept = read(budget)
    data, config, found_seed, measure = _data(checkpoint, given)
    return Wanted(
        model={"folder": str(checkpoint.resolve())},
        layers=layers(checkpoint),
        data=data,
        config=config,
        budget=kept,
        target=target,  # type: ignore[arg-type]  # checked above
        ways=ways,  # type: ignore[arg-type]  # checked above
        schemes=named,
        claim=claim or "test",
        seed=found_seed if seed is None else seed,
        name=name,
        folder=Path.cwd(),
        measure=measure,
    )


def _listed(text: str) -> tuple[str, ...]:
    """What stands between commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _data(
    checkpoint: Path, given: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any], int, Mapping[str, Any]]:
    """Name and section of the data, the seed, and the section ``measure``."""
    from gradus.cli.step import DATA, one_step
    from gradus.compressing.origin import origin

    odd = [key for key in given if key.partition(".")[0] not in (DATA, "measure")]
    if odd:
        raise UsageError(f"--{odd[0]}: no such option; the data's begin with --data")
    raw = one_step("compress", "compress", 0, given)
    measure = raw["steps"][0].get("measure", {})
    if DATA in raw.get("data", {}):
        return DATA, raw["data"][DATA], 0, measure
    found = origin(checkpoint)
    if found is None:
        raise UsageError(
            f"{checkpoint} lies in no run folder, so that its data aren't known: name them with "
            "--data"
        )
    return found.data, found.config, found.seed, measure


def _show(frontier: Frontier, folder: Path) -> None:
    from gradus.cli.output import print_table
    from gradus.report.frontier import COSTS

    heads = ["checkpoint", "made by", frontier.metric, *(name for name, _, _ in COSTS.values())]
    rows = [_row(point, frontier, list(COSTS)) for point in frontier.points]
    print_table([*heads, "claim"], rows, right=heads[2:])
    for name, why in frontier.refused.items():
        print(f"left out: {name}: {why}")
    print(f"report: {folder / 'report.html'}")
    if frontier.recommended is None:
        print(f"nothing is recommended: no cheaper one is shown to keep '{frontier.budget}'")
        return
    print(f"recommended: {frontier.recommended} ({frontier.point(frontier.recommended).how})")
    print(f"checkpoint: {folder / str(frontier.checkpoint)}")


def _row(point: Point, frontier: Frontier, costs: list[str]) -> list[str]:
    from gradus.report.format import number, quantity
    from gradus.report.frontier import COSTS

    shown = [quantity(point.costs[c][0], COSTS[c][1]) if c in point.costs else "–" for c in costs]
    mark = "*" if point.front else ""
    held = "–" if point.verdict is None else str(point.verdict.verdict)
    return [point.name + mark, point.how, number(point.value, frontier.unit), *shown, held]


def _terminate(signum: int, frame: object) -> None:
    from gradus.errors import Interrupted

    raise Interrupted(f"signal {signum}")
