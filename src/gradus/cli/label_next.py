"""``gradus label-next``: the texts of a pool that are worth labelling next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradus.errors import UsageError, unknown

if TYPE_CHECKING:
    from gradus.labelling.pool import Pool
    from gradus.labelling.records import Tasks


def label_next(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A checkpoint's folder, or RUN/STEP.")
    ],
    pool: Annotated[
        Path, typer.Option("--pool", metavar="FILE", help="Texts without labels, as predict's.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="What to write; for argilla a folder.")
    ],
    n: Annotated[int, typer.Option("--n", min=1, help="How many texts.")] = 100,
    form: Annotated[
        str, typer.Option("--format", help="label-studio, argilla or jsonl.")
    ] = "label-studio",
    by: Annotated[
        str, typer.Option("--by", help="margin, entropy or least-confidence.")
    ] = "margin",
    diversity: Annotated[
        str, typer.Option("--diversity", help="kmeans, k-centre, or none.")
    ] = "kmeans",
    known: Annotated[
        list[str] | None,
        typer.Option(
            "--known",
            metavar="DATA",
            help="Texts labelled already: a plan, PLAN:NAME or a file; may be repeated. Left out, "
            "the data of the run that made the checkpoint; 'none' for none.",
        ),
    ] = None,
    text_field: Annotated[
        str, typer.Option("--text-field", help="The field or column of the text.")
    ] = "text",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of kmeans.")] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Write over what an earlier call has left at --out.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Choose the texts of a pool that are worth labelling next.

    Those that the model is unsure about (by its probabilities, calibrated if the checkpoint is)
    and that differ from one another. Each goes out with what the model says of it, to be confirmed
    or corrected; a zero-shot checkpoint will do. Texts of train, dev and test are left out.

    Examples:
      gradus label-next news/tuned --pool new.jsonl --n 100 --out tasks.json
      gradus label-next CHECKPOINT --pool new.txt --out to-label --format argilla
      gradus label-next CHECKPOINT --pool new.csv --out tasks.jsonl --format jsonl --known none
    """
    from gradus.cli.checkpoint import named
    from gradus.cli.output import print_json, progress
    from gradus.labelling.forms import form as form_of
    from gradus.labelling.next import Wanted, next_tasks
    from gradus.labelling.pool import plainly, read_pool
    from gradus.predict import load

    _check(form, by, diversity)
    _check_out(form, out, pool, force=force)
    folder = Path(named(checkpoint))
    model = load(folder)
    labelled = _labelled(folder, known, text_field)
    texts = read_pool(pool, {plainly(t) for t in labelled}, form="auto", field=text_field)
    wanted = Wanted(n, by, diversity, seed)  # type: ignore[arg-type]  # known names, as said above
    with progress("predicting") as report:
        tasks, vectors = next_tasks(
            model,
            texts,
            wanted,
            labelled=labelled,
            progress=lambda done: report(done, len(texts.texts), "texts"),
        )
    written = form_of(form).write(tasks, out)
    if as_json:
        print_json(_facts(tasks, texts, vectors, written))
        return
    for line, why in texts.bad[:5]:
        print(f"{pool}, line {line}: {why}", file=sys.stderr)
    print(_told(tasks, texts, vectors))
    print(f"written: {', '.join(str(path) for path in written)}")


def _check(form: str, by: str, diversity: str) -> None:
    """Refuse a name that isn't known, before anything is loaded."""
    from gradus.labelling.choosing import DIVERSITIES, UNCERTAINTIES
    from gradus.labelling.forms import FORMATS

    for what, name, names in (
        ("format", form, FORMATS),
        ("uncertainty", by, UNCERTAINTIES),
        ("diversity", diversity, DIVERSITIES),
    ):
        if name not in names:
            raise UsageError(unknown(what, name, names))


def _check_out(form: str, out: Path, pool: Path, *, force: bool) -> None:
    """Refuse to write over the pool, or over what people may have labelled meanwhile."""
    from gradus.labelling.forms import form as form_of

    if form != "argilla" and out.is_dir():
        raise UsageError(f"--out {out} is a folder: name a file")
    for path in form_of(form).files(out):
        if not path.exists():
            continue
        if pool.exists() and path.samefile(pool):
            raise UsageError(f"--out {out} would be written over --pool: choose another")
        if not force:
            raise UsageError(
                f"{path} is there already, perhaps with answers in it: choose another --out, or "
                "say --force"
            )


def _labelled(checkpoint: Path, known: list[str] | None, field: str) -> list[str]:
    """The texts that needn't be asked about."""
    from gradus.labelling.pool import known_texts, of_run, run_behind

    if known is None:
        plan = run_behind(checkpoint)
        if plan is None:
            print(
                f"{checkpoint} lies in no run, so which texts are labelled already isn't known, "
                "and those of dev and test may be asked about: name the data with --known, or say "
                "--known none",
                file=sys.stderr,
            )
        return [] if plan is None else of_run(plan)
    return known_texts([name for name in known if name != "none"], field=field)


def _told(tasks: Tasks, pool: Pool, vectors: str) -> str:
    apart = {"none": "", "model": ", kept apart by the model's vectors"}
    parts = [
        f"{len(tasks.tasks):,} of {len(pool.texts):,} texts chosen"
        + apart.get(vectors, ", kept apart by their words (TF-IDF)")
    ]
    if pool.known:
        parts.append(f"labelled already: {pool.known:,}")
    if pool.repeated:
        parts.append(f"repeated and left out: {pool.repeated:,}")
    if pool.bad:
        parts.append(f"lines without a text: {len(pool.bad):,}")
    return "; ".join(parts)


def _facts(tasks: Tasks, pool: Pool, vectors: str, written: list[Path]) -> dict[str, Any]:
    return {
        "chosen": len(tasks.tasks),
        "pool": len(pool.texts),
        "known": pool.known,
        "repeated": pool.repeated,
        "bad": [{"line": line, "error": why} for line, why in pool.bad],
        "vectors": vectors,
        "labels": list(tasks.labels),
        "model": tasks.model,
        "uncertainty": {
            "greatest": max(task.uncertainty for task in tasks.tasks),
            "least": min(task.uncertainty for task in tasks.tasks),
        },
        "written": [str(path) for path in written],
    }
