"""``gradus audit``: near-duplicates, conflicting labels, drift, and whether dev stands for use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gradus.cli.options import AsJson
from gradus.errors import DataError, SourceError, UsageError, unknown

if TYPE_CHECKING:
    from gradus.data.audit.report import Audit
    from gradus.data.dataset import Dataset

_PLANS: Final = (".yaml", ".yml")
_SIGNS: Final = {"bad": "✕", "warn": "!", "good": "✓"}
_COLOURS: Final = {"bad": "red", "warn": "yellow", "good": "green"}


def audit(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="PLAN, PLAN:NAME, or a file or folder of labelled texts."
        ),
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="SAMPLE",
            help="Texts of real use: JSON lines, CSV, TSV or one a line.",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="NAME", help="The field that holds the text, of files."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="NAME", help="The field that holds the label, of files."),
    ] = None,
    pairs: Annotated[
        int, typer.Option("--pairs", min=0, metavar="N", help="How many pairs to print in full.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong with data before anything is trained on them.

    Near-duplicates across splits, conflicting labels, empty and cut-off texts, drift of labels
    and lengths between splits, and how well a classifier tells dev from train. With --against,
    whether dev stands for a sample of real use. Exit code 0 whatever is found; gates under
    data.NAME.gates of a plan are what stops a run.

    Examples:
      gradus audit plans/news.yaml
      gradus audit plans/news.yaml:news --pairs 20
      gradus audit reviews.csv --text review --label label
      gradus audit plans/news.yaml:news --against last-week.jsonl --json
    """
    from gradus.cli.output import print_json

    made = []
    for dataset, field in _datasets(data, text, label):
        made.append(_audited(dataset, against, text or field, pairs))
    if as_json:
        print_json({"audits": [one.to_json() for one in made]})
        return
    for i, one in enumerate(made):
        if i:
            print()
        _print(one)


def _datasets(data: str, text: str | None, label: str | None) -> list[tuple[Dataset, str]]:
    """The data sets that DATA stands for, each with its text's field.

    Raises:
        UsageError: nothing is there, the plan has no such data, or an option doesn't apply.
    """
    path, name = _split(data)
    if Path(path).suffix.lower() not in _PLANS:
        return [(_of_file(Path(path), text, label), text or "text")]
    if text or label:
        raise UsageError("--text and --label are for files; a plan names its columns itself")
    from gradus.data.load import load_dataset
    from gradus.plan import load_plan

    plan = load_plan(Path(path))
    if name is not None and name not in plan.data:
        raise UsageError(f"{path}: {unknown('data set', name, plan.data)}")
    found = []
    for each in [name] if name is not None else list(plan.data):
        folder = Path(plan.folder)
        dataset = load_dataset(each, plan.data[each], folder=folder, seed=plan.seed)
        column = (plan.data[each].get("columns") or {}).get("text")
        found.append((dataset, column if isinstance(column, str) else "text"))
    if not found:
        raise UsageError(f"{path}: the plan has no data")
    return found


def _split(data: str) -> tuple[str, str | None]:
    """PLAN and NAME; a path that exists is one, colons and all."""
    path, colon, name = data.rpartition(":")
    if colon and Path(path).suffix.lower() in _PLANS and not Path(data).exists():
        return path, name
    return data, None


def _of_file(path: Path, text: str | None, label: str | None) -> Dataset:
    from gradus.data.load import load_dataset

    if not path.exists():
        raise UsageError(
            f"{path}: no such file or folder; DATA is a plan (.yaml), PLAN:NAME, or labelled texts"
        )
    kind = "folder" if path.is_dir() else "file"
    columns = {key: value for key, value in (("text", text), ("label", label)) if value}
    # Rows without a text are told of, not refused.
    config: dict[str, Any] = {
        "source": {kind: str(path.resolve())},
        "columns": columns,
        "filter": {"min_chars": 1},
    }
    return load_dataset(path.stem, config, folder=Path.cwd(), seed=0)


def _audited(dataset: Dataset, against: Path | None, field: str, pairs: int) -> Audit:
    from gradus.data.audit.audit import audit as examine
    from gradus.data.audit.audit import audit_against

    if against is None:
        return examine(dataset, pairs=pairs)
    sample = _sample(against, field)
    return audit_against(dataset, sample, name=against.name, pairs=pairs)


def _sample(path: Path, field: str) -> list[str]:
    """The texts of a sample of real use.

    Raises:
        SourceError: the file can't be opened.
        DataError: a record is broken, or there is none.
    """
    from gradus.predict.readers import BadLine, read_texts

    texts = []
    try:
        with path.open("rb") as stream:
            for entry in read_texts(stream, name=path, text_field=field):
                if isinstance(entry, BadLine):
                    raise DataError(entry.error, file=path, line=entry.line)
                texts.append(entry.text)
    except OSError as error:
        raise SourceError(f"--against {path}: can't be read ({error.strerror})") from error
    if not texts:
        raise DataError("holds no texts", file=path)
    return texts


def _print(made: Audit) -> None:
    from gradus.cli.output import print_table

    beside = f" beside {made.against}" if made.against else ""
    print(f"{made.data}{beside}: audited in {made.seconds:.1f} s")
    for finding in made.findings:
        _print_sign(finding["tone"], finding["text"])
    for note in made.notes:
        print(f"- {note}")
    print()
    rows = [
        (m.metric, _value(m.value), _interval(m.ci_low, m.ci_high), m.n) for m in made.measurements
    ]
    print_table(("measurement", "value", "95 % interval", "n"), rows, right=("value", "n"))
    if made.drift:
        print()
        drifts = [
            (
                d["of"],
                d["split"],
                d["against"],
                f"{d['effect']:.3f}",
                _p(d["p"]),
                _p(d["p_corrected"]),
                d["test"],
            )
            for d in made.drift
        ]
        columns = ("drift of", "split", "against", "distance", "p", "corrected", "test")
        print_table(columns, drifts, right=("distance", "p", "corrected"))
    _print_pairs("near-duplicates across splits", made.pairs, made.counts.get("pairs", 0))
    _print_pairs(
        "near-duplicates under two labels", made.conflicts, made.counts.get("conflicts", 0)
    )


def _print_sign(tone: str, text: str) -> None:
    from gradus.cli.output import console, is_terminal

    if not is_terminal():
        print(f"{_SIGNS[tone]} {text}")
        return
    from rich.text import Text

    console().print(Text(f"{_SIGNS[tone]} ", style=_COLOURS[tone]).append(text, style="default"))


def _print_pairs(title: str, shown: Any, total: int) -> None:
    if not shown:
        return
    print(f"\n{title}: {total:,}" + (f", the first {len(shown)}" if total > len(shown) else ""))
    for pair in shown:
        print(f"\n  similarity {pair['similarity']:.3f}")
        for side in (pair["first"], pair["second"]):
            label = "" if side["label"] is None else f", {side['label']}"
            print(f"  [{side['split']}{label}] " + side["text"].replace("\n", "\n    "))


def _value(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3g}" if 0 < value < 0.001 else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def _p(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.2g}"
