"""``gradus ls``: what a plan can name, how a gate is written, which runs there are."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gradus import registry
from gradus.catalog import CATALOG
from gradus.cli.output import print_json, print_table
from gradus.errors import UsageError, unknown

Row = dict[str, Any]

_RUN_COLUMNS: Final = ("name", "plan", "state", "started", "seconds")
_DETAILS: Final[dict[str, tuple[str, ...]]] = {"metrics": ("unit", "direction")}

GATE_NOTES: Final = """
METRIC OP NUMBER, METRIC OP REF, METRIC OP REF - MARGIN or METRIC OP FACTOR * REF,
where OP is one of >= > <= < and a space stands around every operator.
METRIC is NAME or NAME[LABEL], after the name of a data set or benchmark and a dot if need be.
REF is a step's id, a model's name or 'parent', the model that the step began with.
Under data.NAME.gates METRIC is {facts}.
A verdict is open, closed or undecided (too few items for either); a missing value closes a gate."""


def ls(
    section: Annotated[
        str | None,
        typer.Argument(
            metavar="SECTION",
            help="A section of the catalog (steps, metrics, adapters ...), gates or runs.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    runs_dir: Annotated[
        Path, typer.Option("--runs-dir", help="Where runs are, for `gradus ls runs`.")
    ] = Path("runs"),
) -> None:
    """List what a plan can name, how gates are written, or the runs there are.

    Without a section, the names of every section.

    Examples:
      gradus ls
      gradus ls metrics
      gradus ls steps --json
      gradus ls gates
      gradus ls runs --runs-dir /data/runs
    """
    if section is None:
        _print_overview(as_json)
    elif section == "gates":
        _print_gates(as_json)
    elif section == "runs":
        _print_rows(runs(runs_dir), _RUN_COLUMNS, as_json, right=("seconds",))
    elif section in CATALOG:
        rows = [_row(section, name) for name in registry.names(section)]
        columns = ("name", "version", *_DETAILS.get(section, ()), "summary")
        _print_rows(rows, columns, as_json)
    else:
        raise UsageError(unknown("section", section, [*CATALOG, "gates", "runs"]))


def _row(section: str, versioned: str) -> Row:
    entry = registry.load(section, versioned)
    row = {
        "name": registry.plain(versioned),
        "version": versioned.removeprefix(registry.plain(versioned)).lstrip("."),
        "summary": _summary(entry),
    }
    details = {name: getattr(entry, name) for name in _DETAILS.get(section, ())}
    example = getattr(entry, "example", None)
    return row | details | ({"example": example} if isinstance(example, str) else {})


def _summary(entry: Callable[..., Any]) -> str:
    summary = getattr(entry, "summary", None) or (inspect.getdoc(entry) or "").partition("\n")[0]
    return str(summary)


def runs(folder: Path) -> list[Row]:
    """The runs in a folder, newest first; one whose record can't be read says so.

    Every row has name, plan, state, started (ISO 8601, None if unknown) and seconds.
    """
    rows = [_run(path) for path in folder.glob("*/run.json")]
    return sorted(rows, key=lambda row: (row["started"] or "", row["name"]), reverse=True)


def _run(path: Path) -> Row:
    row: Row = {"name": path.parent.name, "plan": None, "state": "unreadable"}
    row |= {"started": None, "seconds": None}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return row
    if isinstance(record, dict):
        row |= {key: record.get(key, row[key]) for key in ("plan", "state", "started", "seconds")}
    return row


def _print_rows(
    rows: list[Row], columns: tuple[str, ...], as_json: bool, *, right: tuple[str, ...] = ()
) -> None:
    if as_json:
        print_json(rows)
        return
    print_table(columns, [[_cell(row[name]) for name in columns] for row in rows], right=right)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return "-" if value is None else str(value)


def _print_overview(as_json: bool) -> None:
    names = {section: registry.names(section) for section in CATALOG}
    if as_json:
        print_json(names)
        return
    rows = [
        (section, ", ".join(registry.plain(n) for n in found)) for section, found in names.items()
    ]
    print_table(("section", "names"), rows)
    print("gates and runs are listed by `gradus ls gates` and `gradus ls runs`")


def _print_gates(as_json: bool) -> None:
    from gradus.data.audit.names import AUDIT_MEASUREMENTS
    from gradus.data.facts import MEASUREMENTS
    from gradus.gates.grammar import forms

    rows = [{"form": form, "meaning": meaning} for form, meaning in forms()]
    rows.append({"form": "rows >= 1000", "meaning": "on data: under data.NAME.gates"})
    _print_rows(rows, ("form", "meaning"), as_json)
    if not as_json:
        print(GATE_NOTES.format(facts=f"{', '.join(MEASUREMENTS[:-1])} or {MEASUREMENTS[-1]}"))
        print(f"and of the audit, unless 'audit: false': {', '.join(AUDIT_MEASUREMENTS)}")
