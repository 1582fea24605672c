"""``gradus looks``: how often each split that is for verdicts has been looked at."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def looks(
    data: Annotated[
        str | None, typer.Option("--data", help="Only data sets and corpora of this name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List how often each split has been looked at, over all runs.

    Of test each reading counts, of dev.gate each set of checkpoints that was measured there, of
    dev.select each configuration that was trained or measured against it. A split goes by its
    content: a renamed data set is the same, a new row makes another.

    Examples:
      gradus looks
      gradus looks --data news --json
    """
    from gradus.cli.output import print_json, print_table

    rows = [row for row in _rows() if data is None or data in row["data"]]
    if as_json:
        print_json({"splits": rows})
        return
    if not rows:
        print(f"nothing{'' if data is None else f' called {data}'} has been looked at yet")
        return
    print_table(
        ["data", "split", "digest", "looks", "gates", "runs", "first", "last"],
        [
            [
                ", ".join(row["data"]),
                row["split"],
                row["digest"][:12],
                row["looks"],
                row["gates"] or "-",
                len(row["runs"]),
                row["first"],
                row["last"],
            ]
            for row in rows
        ],
        right=["looks", "gates", "runs"],
    )


def _rows() -> list[dict[str, Any]]:
    """A row for each split, the one looked at last in front."""
    from gradus import ledger
    from gradus import looks as ledger_of_looks

    found: dict[tuple[str, str], dict[str, Any]] = {}
    seen = [
        (e.digest, "test", e.data, e.reading, e.run, e.time, 0, 1) for e in ledger.everything()
    ] + [
        (e.digest, e.split, e.data, e.look, e.run, e.time, e.gates, e.compared)
        for e in ledger_of_looks.everything()
    ]
    marks: dict[tuple[str, str], set[str]] = {}
    for digest, split, data, mark, run, time, gates, compared in seen:
        key = (digest, split)
        row = found.setdefault(
            key,
            {
                "digest": digest,
                "split": split,
                "data": [],
                "looks": 0,
                "gates": 0,
                "compared": 0,
                "runs": [],
                "first": time,
                "last": time,
            },
        )
        if mark not in marks.setdefault(key, set()):
            marks[key].add(mark)
            row["looks"] += 1
            row["gates"] += gates
            row["compared"] += compared
        row["data"] = list(dict.fromkeys([*row["data"], data]))
        row["runs"] = list(dict.fromkeys([*row["runs"], run]))
        row["first"], row["last"] = min(row["first"], time), max(row["last"], time)
    return sorted(found.values(), key=lambda row: str(row["last"]), reverse=True)
