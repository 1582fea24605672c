"""The way through ``gradus predict``: read windows, have them answered, write them, go on later."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from gradus.cli.output import is_terminal, progress
from gradus.cli.predict_sinks import Sink, written
from gradus.errors import EXIT_ERROR, SourceError, UsageError

if TYPE_CHECKING:
    from gradus.predict.base import Predictor
    from gradus.predict.entries import Entry, Place
    from gradus.predict.readers import TextReader
    from gradus.predict.tasks import Answered, Job
    from gradus.records import CheckpointRef

LINGER_SECONDS: Final = 0.05
WINDOW: Final = 1024
WRITING_WINDOW: Final = 32
"""Texts at a time for a language model that writes: what is done is kept more often."""
CORES_FOR_A_LANE: Final = 8
WORTH_WORKERS: Final = 8 << 20
"""Bytes of input from which on it pays to start processes for a checkpoint of one thread."""
_DISTRIBUTIONS: Final = (
    *("gradus-lm", "torch", "transformers", "tokenizers", "onnxruntime", "openvino"),
    *("numpy", "scikit-learn", "xllamacpp"),
)

Window = tuple["list[Entry]", "Place | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for.

    Attributes:
        job: what shall be said of texts; its task and threads are settled here.
        source, target: where from and where to.
        task: None for what the checkpoint is for.
        given: options that some tasks alone take, those that were given.
    """

    job: Job
    source: str
    target: Path | None
    task: str | None
    given: Mapping[str, Any]
    input_format: str
    text_field: Sequence[str]
    window: int | None
    workers: int | None
    restart: bool


def run(request: Request) -> int:
    """Do what is asked; the exit code.

    Raises:
        GradusError: what can't be done, and what to do about it.
    """
    from gradus.predict.tasks import choose, find

    _refuse_same_file(request.source, request.target)
    with _opened(request.source) as stream:
        ref = find(request.job.checkpoint)
        task = choose(ref, request.task)
        request = replace(request, job=_settled(request, task))
        kind = _kind(ref, task)
        size = os.fstat(stream.fileno()).st_size if _is_file(stream) else 0
        workers = request.workers or _usual_workers(kind, size)
        if workers > 1:
            job = replace(request.job, threads=max(1, _threads() // workers))
            request = replace(request, job=job)
        about = _about(request, ref, kind, stream, workers) if _is_file(stream) else None
        sink_to = written(request.target, about, rows=request.job.rows, restart=request.restart)
        with sink_to as sink, ExitStack() as stack:
            reader = _reader(request, stream, sink.place)
            lanes = stack.enter_context(_lanes(request.job, workers, kind, bool(size)))
            total, bad = _all(request, reader, lanes, sink, stream)
    if bad:
        lines = "record" if total == 1 else "records"
        what = "be classified" if task == "classify" else "be read"
        print(f"{bad:,} of {total:,} {lines} can't {what}", file=sys.stderr)
    return EXIT_ERROR if bad else 0


_FOR_TASKS: Final = {
    "threshold": ("classify",),
    "label_map": ("classify", "tag"),
    "top_k": ("classify",),
    "normalise": ("embed",),
    "chat": ("generate",),
    "max_tokens": ("generate",),
    "temperature": ("generate",),
    "seed": ("generate",),
}


def _settled(request: Request, task: str) -> Job:
    """The job with its task, once all options are found to be for it."""
    for name, tasks in _FOR_TASKS.items():
        if name in request.given and task not in tasks:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is for --task {' and '.join(tasks)}, this is {task}")
    rows = request.target is not None and request.target.suffix == ".npy"
    if rows and task != "embed":
        raise UsageError(f"--output {request.target}: .npy holds vectors: --task embed makes them")
    if rows and request.job.echo:
        raise UsageError("--echo repeats texts, which .npy has no room for: write .jsonl")
    return replace(request.job, task=task, rows=rows)


def _kind(ref: CheckpointRef, task: str) -> type[Predictor] | None:
    """The predictor that will answer, as far as it has settings for many cores."""
    from gradus import registry
    from gradus.errors import UnknownName

    try:
        found: type[Predictor] = registry.load("kinds", ref.kind)
    except UnknownName:
        return None
    return None if task in ("generate", "embed") else found


def _threads() -> int:
    from gradus import hardware

    return hardware.threads()


def _usual_workers(kind: type[Predictor] | None, size: int) -> int:
    """Processes: as many as cores for a checkpoint that keeps one busy, if there is much to do."""
    alone = kind is not None and kind.kind == "linear"
    return _threads() if alone and size >= WORTH_WORKERS else 1


def _about(
    request: Request,
    ref: CheckpointRef,
    kind: type[Predictor] | None,
    stream: BinaryIO,
    workers: int,
) -> dict[str, Any]:
    """What the output rests on, see `gradus.predict.resume`."""
    from gradus import hardware

    job, begins = request.job.to_json(), stream.tell()
    # Where the checkpoint lies and how it is read doesn't change what it says.
    decoding = job.pop("decoding")
    options = {k: v for k, v in job.items() if k not in ("checkpoint", "verify", "threads")}
    options |= {
        **decoding,
        "format": _reader(request, stream, None).format,
        "text_field": list(request.text_field),
        "batch_texts": _window(request),
    }
    stream.seek(begins)
    same_bits = kind is not None and kind.same_bits
    if not same_bits:
        options["workers"] = workers
    versions = {name: hardware.version(name) for name in _DISTRIBUTIONS}
    return {
        "options": options,
        "input": {"size": os.fstat(stream.fileno()).st_size},
        "checkpoint": {"digest": ref.digest},
        "version": {name: version for name, version in versions.items() if version},
        "machine": {} if same_bits else {"threads": request.job.threads or _threads()},
    }


def _window(request: Request) -> int:
    return request.window or (WRITING_WINDOW if request.job.task == "generate" else WINDOW)


def _reader(request: Request, stream: BinaryIO, start: Place | None) -> TextReader:
    from gradus.predict.readers import TextReader

    reader = TextReader(
        stream,
        format=request.input_format,
        name=request.source,
        text_field=request.text_field,
        start=start,
    )
    if reader.format == "lines" and request.text_field != ("text",) and not reader.empty:
        raise UsageError(
            f"--input {request.source} is read as one text a line, where --text-field "
            f"{request.text_field[0]} has no meaning: leave it out, or name the format that it is "
            "in (--format jsonl, csv or tsv)"
        )
    return reader


Work = Callable[["Window"], "Answered"]


@contextmanager
def _lanes(
    job: Job, workers: int, kind: type[Predictor] | None, from_file: bool
) -> Iterator[list[Work]]:
    """What answers windows side by side."""
    from gradus.predict.windows import Here

    if workers == 1:
        here = Here(job)
        lanes = kind.lanes if kind is not None and from_file else 1
        if lanes > 1:  # a window has too few batches for many cores
            lanes = max(lanes, 1 + _threads() // CORES_FOR_A_LANE)
        yield [lambda window: here(window[0])] * lanes
        return
    from gradus.predict.worker import Worker

    with ExitStack() as stack:
        made = []
        for _ in range(workers):
            made.append(Worker(job))
            stack.callback(made[-1].close)
        for worker in made:
            worker.ready()
        yield [_asked(worker) for worker in made]


def _asked(worker: Callable[[list[Entry]], Answered]) -> Work:
    return lambda window: worker(window[0])


def _windows(reader: TextReader, window: int, linger: float | None) -> Iterator[Window]:
    from gradus.predict.stream import arriving, windows_of

    if linger is not None:
        for entries in arriving(iter(reader), window, linger):
            yield entries, None
        return
    for entries in windows_of(iter(reader), window):
        yield entries, reader.place


def _all(
    request: Request, reader: TextReader, work: Sequence[Work], sink: Sink, stream: BinaryIO
) -> tuple[int, int]:
    """Write all records; how many there are and how many of them are errors."""
    from gradus.predict.lanes import Lanes

    file = _is_file(stream)
    size = os.fstat(stream.fileno()).st_size if file else 0
    lanes: Lanes[Window, Answered] = Lanes(work)
    windows = _windows(reader, _window(request), None if file else LINGER_SECONDS)
    total, bad = sink.total, sink.bad
    with progress("predict", quiet=not size) as report:
        for (_, place), found in lanes.map(windows, ahead=len(work) + 1 if file else 0):
            sink.write(found.data, records=found.records, bad=found.bad, place=place)
            total, bad = total + found.records, bad + found.bad
            if place is not None:
                report(place.offset, size, f"{total:,} texts")
    lanes.close()
    return total, bad


def _refuse_same_file(source: str, target: Path | None) -> None:
    """Refuse an output that the input, or what stands beside it while it is written, would be."""
    if target is None or source == "-" or not Path(source).exists():
        return
    real = target.resolve()
    beside = [real.with_name(f"{real.name}{ending}") for ending in ("", ".partial", ".journal")]
    if any(place.exists() and place.samefile(source) for place in beside):
        raise UsageError(
            f"--input {source} would be written over with --output {target}: choose another output"
        )


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
