"""``gradus predict``: classify texts with a checkpoint, streamed in input order."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from gradus.cli.output import is_terminal, progress
from gradus.errors import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    SourceError,
    StorageError,
    UsageError,
)

LINGER_SECONDS: Final = 0.05
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Format(StrEnum):
    """How texts stand in the input."""

    AUTO = "auto"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    LINES = "lines"


class Dtype(StrEnum):
    """What the forward pass computes in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


def predict(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint folder.")],
    source: Annotated[
        str, typer.Option("--input", metavar="FILE", help="What to classify; - is standard input.")
    ] = "-",
    target: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where to; standard output by default."),
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
    top_k: Annotated[int, typer.Option(min=1, help="How many labels 'top' holds.")] = 1,
    input_format: Annotated[
        Format, typer.Option("--format", help="auto goes by the file's ending, then its content.")
    ] = Format.AUTO,
    text_field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="The field or column of the text; twice for pairs."),
    ] = None,
    batch_texts: Annotated[
        int, typer.Option(min=1, help="So many texts are read and sorted by length at a time.")
    ] = 1024,
    dtype: Annotated[Dtype, typer.Option(help="What to compute in.")] = Dtype.FLOAT32,
    echo: Annotated[bool, typer.Option("--echo", help="Repeat each text in the output.")] = False,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Don't compare the files' SHA-256 first.")
    ] = False,
) -> None:
    """Classify texts with a checkpoint.

    JSON lines, CSV, TSV or one text a line in; JSON lines out, streamed in input order, in
    constant memory. A bad line becomes {"line": n, "error": "..."} and the rest goes on.
    Exit code 0 when every line was classified, 1 when some were bad.

    Examples:
      gradus predict runs/news/steps/tuned/KEY/checkpoint --input articles.csv
      gradus predict CHECKPOINT --input articles.jsonl --output labels.jsonl --top-k 3
      gradus predict CHECKPOINT --input pairs.csv --text-field premise --text-field hypothesis
      gradus predict CHECKPOINT --input articles.csv --label-map departments.json
      echo "Parliament voted late last night" | gradus predict CHECKPOINT --threshold 0.6
    """
    from gradus.predict import load
    from gradus.predict.readers import read_texts
    from gradus.predict.stream import predict_stream

    _refuse_same_file(source, target)
    with _opened(source) as stream:
        model = load(checkpoint, dtype=dtype.value, verify=not no_verify)
        if label_map is not None:
            model = model.mapped(_read_map(label_map))
        records = predict_stream(
            model,
            read_texts(
                stream, format=input_format.value, name=source, text_field=text_field or "text"
            ),
            top_k=top_k,
            threshold=threshold,
            window=batch_texts,
            linger=None if _is_file(stream) else LINGER_SECONDS,
            echo=echo,
        )
        with _written(target) as out:
            total, bad = _write(records, stream, out, batch_texts)
    if bad:
        _tell(bad, total)
        raise typer.Exit(EXIT_ERROR)


def _read_map(path: Path) -> dict[str, str]:
    """A label map from a file.

    Raises:
        UsageError: it can't be read, or is no label map.
    """
    from gradus.predict.postprocess import read_map

    try:
        return read_map(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"--label-map {path}: can't be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"--label-map {path}: not valid JSON ({error})") from error
    except UsageError as error:
        raise UsageError(f"--label-map {path}: {error}") from error


def _tell(bad: int, total: int) -> None:
    lines = "record" if total == 1 else "records"
    print(f"{bad:,} of {total:,} {lines} can't be classified", file=sys.stderr)


def _write(
    records: Iterator[dict[str, Any]], stream: BinaryIO, out: BinaryIO, every: int
) -> tuple[int, int]:
    """Write all records; how many there were and how many of them are errors."""
    size = os.fstat(stream.fileno()).st_size if _is_file(stream) else 0
    total = bad = 0
    with progress("predict", quiet=not size) as report:
        for record in records:
            out.write(_line(record))
            total += 1
            bad += "error" in record
            if not size:
                out.flush()
            elif total % every == 0:
                out.flush()
                report(stream.tell(), size, f"{total:,} texts")
    return total, bad


def _line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair in the record's own id
        return (json.dumps(record, allow_nan=False) + "\n").encode("ascii")


def _refuse_same_file(source: str, target: Path | None) -> None:
    if target is None or source == "-":
        return
    if target.exists() and Path(source).exists() and target.samefile(source):
        raise UsageError(f"--input and --output are both {target}: choose another output")


def _is_file(stream: BinaryIO) -> bool:
    return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """The input as bytes.

    Raises:
        SourceError: the file can't be opened.
    """
    if source == "-":
        if is_terminal(sys.stdin):
            print("reading one text a line from the terminal; Ctrl-D ends", file=sys.stderr)
        # Never closed, and a descriptor of its own: after Ctrl-C the reading thread still waits
        # on it with its buffer locked, and both closing it and the interpreter's closing of
        # sys.stdin would wait for that thread.
        yield os.fdopen(os.dup(sys.stdin.fileno()), "rb")
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(source).open("rb"))
        except OSError as error:
            raise SourceError(f"--input {source}: can't be read ({error.strerror})") from error
        yield stream


@contextmanager
def _written(target: Path | None) -> Iterator[BinaryIO]:
    """Where records go. A file is written beside itself and renamed once it is whole.

    A device or a named pipe is written to as it stands: a rename would put a file in its place.

    Raises:
        StorageError: the file can't be written, or the disk is full.
    """
    partial = _partial(target)
    try:
        if target is None:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        elif partial is None:
            with _created(target) as out:
                yield out
        else:
            with _created(partial) as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            partial.replace(target.resolve())
    except KeyboardInterrupt:
        kept = f"; what was done is in {partial}" if partial else ""
        print(f"interrupted{kept}", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        kept = f"; what was done is in {partial}" if partial else ""
        raise StorageError(
            f"--output {target or '-'}: can't be written ({error.strerror}){kept}; "
            "make room and try again"
        ) from error


def _partial(target: Path | None) -> Path | None:
    """The file beside `target` that takes its place in the end; None where nothing may."""
    if target is None or (target.exists() and not target.is_file()):
        return None
    real = target.resolve()  # behind a link stands the file that is meant
    return real.with_name(f"{real.name}.partial")


def _created(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise StorageError(
            f"{path}: can't be written ({error.strerror}); choose another --output"
        ) from error
