"""``gradus overlap``: what a training corpus holds of benchmarks, and scores without it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
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
    Quiet,
    RunsDir,
    check_level,
)
from gradus.errors import UsageError

if TYPE_CHECKING:
    from gradus.cli.compare_models import Model
    from gradus.cli.overlap_read import Read
    from gradus.data.overlap.bloom import Bloom
    from gradus.data.overlap.corpus import Corpus
    from gradus.data.overlap.index import Index, Overlap

FORMAT: Final = 1
CAPACITY: Final = 10_000_000


def overlap(
    corpus: Annotated[
        list[Path] | None,
        typer.Option(
            "--corpus",
            metavar="PATH",
            help="A file or folder of the training corpus; may be repeated.",
            show_default=False,
        ),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark",
            metavar="NAME=PATH",
            help="A benchmark and its file; 'NAME={benchmark: texts, path: PATH}' for texts of "
            "your own; may be repeated.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="RUN:STEP",
            help="A model whose answers a run keeps, or an item file (.parquet); its scores are "
            "shown on all items, the clean and the dirty ones; may be repeated.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n", min=1, help="Words of the n-grams; 8 to 13 by the items' lengths, if left out."
        ),
    ] = None,
    most_documents: Annotated[
        int,
        typer.Option(
            "--most-documents",
            min=0,
            help="N-grams in more documents than this are ignored; 0 ignores none.",
        ),
    ] = 10,
    filter: Annotated[
        Path | None,
        typer.Option(
            "--filter",
            metavar="FILE",
            help="A Bloom filter of the corpus's 8-grams: made if it isn't there, used if it is.",
        ),
    ] = None,
    capacity: Annotated[
        int | None,
        typer.Option(
            "--capacity",
            min=1,
            help=f"Distinct 8-grams that a new filter is made for; {CAPACITY:,} by default.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--false-positive-rate", help="Of a new filter; 1e-8 by default.", show_default=False
        ),
    ] = None,
    text: Annotated[
        str, typer.Option("--text", metavar="NAME", help="The corpus's field of the text.")
    ] = "text",
    format: Annotated[
        str | None,
        typer.Option("--format", help="The corpus's format, where suffixes don't say it."),
    ] = None,
    level: Level = 0.95,
    bootstrap: Draws = DRAWS,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstraps.")] = 0,
    runs_dir: RunsDir = RUNS,
    as_markdown: AsMarkdown = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find out how much of a benchmark a model may have read in training.

    An item is dirty if one of its n-grams stands in the corpus (GPT-3), found exactly. Of all
    8-grams the share in the corpus is told (GPT-2), through a Bloom filter with --filter, so that
    the corpus is read once. The corpus streams by, so memory doesn't grow with it: text, JSON
    lines, Parquet, CSV ..., compressed or not.

    Examples:
      gradus overlap --corpus pretrain/ --benchmark lambada=lambada_test.jsonl
      gradus overlap --corpus web.jsonl.zst --benchmark ptb=ptb.valid.txt --model runs/base:base
      gradus overlap --corpus web.jsonl.zst --filter web.bloom --capacity 500000000
      gradus overlap --filter web.bloom --benchmark lambada=lambada_test.jsonl --json
    """
    from gradus.cli.overlap_read import benchmarks, held, opened

    asked = Asked(n, most_documents or None, level, bootstrap, seed)
    _check(asked, corpus, benchmark, filter, model)
    began = time.monotonic()
    source = opened(corpus or (), text, format)
    bloom, is_new = held(filter, source, capacity, rate, CAPACITY)
    read = benchmarks(benchmark or ())
    models = _models(model or (), read, runs_dir)
    indexes = [made.index(n=asked.n, most_documents=asked.most_documents) for made in read]
    found = _looked(source, indexes, bloom if is_new else None, quiet)
    if bloom is not None and is_new:
        assert filter is not None
        bloom.save(filter)
    known = _facts(source, filter, bloom)
    for i, one in enumerate(read):
        known["benchmarks"].append(_benchmark(one, indexes[i], found[i] if found else None, bloom))
        if found:
            known["measurements"] += _scores(one, found[i], models, asked)
    known["seconds"] = round(time.monotonic() - began, 3)
    _show(known, as_json, as_markdown)


@dataclass(frozen=True, slots=True)
class Asked:
    """Settings of the command."""

    n: int | None
    most_documents: int | None
    level: float
    draws: int
    seed: int


def _check(
    asked: Asked,
    corpus: Sequence[Path] | None,
    benchmark: Sequence[str] | None,
    filter: Path | None,
    model: Sequence[str] | None,
) -> None:
    check_level(asked.level)
    if not corpus and filter is None:
        raise UsageError("no corpus given: --corpus PATH, or --filter FILE that was made of one")
    if not benchmark and filter is None:
        raise UsageError("no benchmark given: --benchmark NAME=PATH, as in lambada=test.jsonl")
    if model and not (corpus and benchmark):
        raise UsageError(
            "--model needs --corpus and --benchmark: a filter doesn't say which items are dirty"
        )


def _models(texts: Sequence[str], read: Sequence[Read], runs_dir: Path) -> list[Model]:
    """The models, each with items of at least one of the benchmarks; told before any reading."""
    from gradus.cli.compare_models import models

    found = models(texts, runs_dir)
    names = [one.name for one in read]
    for one in found:
        there = [kept.place for kept in one.kept]
        loose = one.file is not None and not one.kept and len(names) == 1
        if not loose and not set(there) & set(names):
            keeps = f"it keeps {', '.join(there)}" if there else "it keeps nothing"
            raise UsageError(
                f"{one.text} keeps no items of {' or '.join(names)} ({keeps}): measure it with "
                "gradus evaluate MODEL --benchmark NAME=PATH, and name it as RUN:MODEL"
            )
    return found


def _looked(
    source: Corpus | None, indexes: Sequence[Index], bloom: Bloom | None, quiet: bool
) -> list[Overlap]:
    from gradus.cli.output import progress
    from gradus.data.overlap.look import look

    if source is None or not (indexes or bloom is not None):
        return []
    with progress("overlap", quiet=quiet) as report:
        return look(source, indexes, bloom, report)


def _scores(
    read: Read, found: Overlap, models: Sequence[Model], asked: Asked
) -> list[dict[str, Any]]:
    from gradus.cli.compare_places import kept_at
    from gradus.measure.clean import subsets
    from gradus.metrics.items import read_seen
    from gradus.metrics.score import Scores

    dirty = {item for item, is_dirty in zip(read.ids, found.dirty, strict=True) if is_dirty}
    rows: list[dict[str, Any]] = []
    for model in models:
        kept = kept_at(model, read.name)
        if kept is None and (model.kept or model.file is None):
            continue
        file = model.file if kept is None else kept.file
        assert file is not None
        base = kept.common if kept is not None else {"data": read.name, "items": str(file)}
        common = {"split": "", **base, "checkpoint": model.name}
        measured = subsets(
            read_seen(file)[0],
            known=set(read.ids),
            dirty=dirty,
            common=common,
            level=asked.level,
            draws=asked.draws,
            seed=asked.seed,
            scores=Scores.of(dict(model.scores)),
            benchmark=read.kind,
        )
        rows += [one.to_json() for one in measured]
    return rows


def _facts(source: Corpus | None, filter: Path | None, bloom: Bloom | None) -> dict[str, Any]:
    known: dict[str, Any] = {"format": FORMAT, "corpus": None, "filter": None}
    if source is not None:
        known["corpus"] = {"files": [str(f) for f, _ in source.files], "bytes": source.bytes}
    if bloom is not None:
        known["filter"] = {
            "file": str(filter),
            "n": bloom.n,
            "capacity": bloom.capacity,
            "distinct": bloom.distinct,
            "bytes": len(bloom.bits),
            "rate": bloom.rate,
            "false_positive_rate": bloom.false_positive_rate,
        }
    return {**known, "benchmarks": [], "measurements": []}


def _benchmark(
    read: Read, index: Index, found: Overlap | None, bloom: Bloom | None
) -> dict[str, Any]:
    """Facts of one benchmark; without a corpus there are no dirty items."""
    count = len(read.ids)
    fact: dict[str, Any] = {
        "name": read.name,
        "benchmark": None if read.kind is None else read.kind.name,
        "file": None if read.path is None else str(read.path),
        "items": count,
    }
    total = len(index.eights)
    shared = int(bloom.holds(index.eights).sum()) if bloom is not None else None
    by = "bloom filter"
    if found is not None:
        dirty = int(found.dirty.sum())
        fact |= {
            "n": found.n,
            "dirty": dirty,
            "dirty_share": dirty / count,
            "frequent": int(found.frequent.sum()),
            "too_short": int(found.short.sum()),
            "dirty_items": [i for i, yes in zip(read.ids, found.dirty, strict=True) if yes],
        }
        if shared is None:
            shared, by = found.shared, "exact"
    assert shared is not None  # there is a corpus or a filter
    share = shared / total if total else None
    fact["ngrams"] = {"n": 8, "count": total, "found": shared, "share": share, "by": by}
    return fact


def _show(known: dict[str, Any], as_json: bool, as_markdown: bool) -> None:
    from gradus.cli import overlap_show
    from gradus.cli.output import print_json

    if as_json:
        print_json(known)
    else:
        overlap_show.show(known, as_markdown=as_markdown)
