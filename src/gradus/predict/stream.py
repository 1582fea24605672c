"""Predicting for a stream of texts, in order and in constant memory."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from gradus.errors import UsageError
from gradus.predict.entries import BadLine, Entry, TextItem
from gradus.predict.model import Model, Prediction, check_options
from gradus.predict.tasks import Said
from gradus.records import Pair, Target

WINDOW: Final = 1024
# A window ends early when its texts reach so many characters, so that books don't pile up.
MOST_CHARACTERS: Final = 1 << 24


def predict_stream(
    model: Model,
    records: Iterable[Entry] | Iterable[str],
    *,
    top_k: int = 1,
    threshold: float | None = None,
    window: int = WINDOW,
    linger: float | None = None,
    echo: bool = False,
) -> Iterator[dict[str, Any]]:
    """One JSON-ready record for each record read, in the same order.

    Args:
        model: a loaded checkpoint.
        records: texts, or what `gradus.predict.readers.read_texts` gives.
        top_k: how many labels ``top`` holds.
        threshold: see `Model.predict`; where it abstains, ``label`` is None.
        window: so many records are read before the model gets them; it sorts them by length.
        linger: for a source that may pause (a pipe): a thread reads ahead, and a window that
            isn't full is handed on so many seconds after its first record. None reads whole
            windows, so that the same file gives the same bits whenever it is read.
        echo: repeat the text.

    Yields:
        ``{"line", "id"?, "text"?, "label", "probability", "top": [{"label", "probability"}]}``,
        with ``"abstained"`` when there is a threshold, asked for or the checkpoint's;
        ``{"line", "id"?, "error"}`` for a record that can't be read. In the place of ``label``,
        ``probability`` and ``top`` stand ``labels`` (all that are said) and ``top`` for a
        checkpoint of several labels, ``value`` for one of numbers, ``spans`` (``start``, ``end``,
        ``label``, ``text``, ``probability``) for spans, ``reply`` for a language model.
        The text of a pair is a list of both.

    Example:
        >>> import tempfile
        >>> from gradus.predict import load
        >>> from gradus.predict.linear import save_majority
        >>> folder = tempfile.mkdtemp() + "/floor"
        >>> _ = save_majority(folder, labels=["spam", "ham"], counts=[1, 3])
        >>> for record in predict_stream(load(folder), ["Hello", " "]):
        ...     print(record["line"], record.get("label"), record.get("error"))
        1 ham None
        2 None the text is empty

    Raises:
        UsageError: `top_k`, `threshold` or `window` is out of range.
    """
    check_options(top_k, threshold)
    model.check_threshold(threshold)
    if window < 1:
        raise UsageError(f"window is {window}; it must be at least 1")
    return _predicted(
        model,
        windows_of(_entries(records), window)
        if linger is None
        else arriving(_entries(records), window, linger),
        top_k,
        threshold,
        echo,
    )


def _predicted(
    model: Model,
    windows: Iterator[list[Entry]],
    top_k: int,
    threshold: float | None,
    echo: bool,
) -> Iterator[dict[str, Any]]:
    answers = Said(model, top_k=top_k, threshold=threshold)
    for entries in windows:
        found = answers([e for e in entries if isinstance(e, TextItem)], echo=echo)
        for entry in entries:
            yield record_of(entry, {} if isinstance(entry, BadLine) else next(found), echo=echo)


def record_of(entry: Entry, said: Mapping[str, Any], *, echo: bool) -> dict[str, Any]:
    """The record of an entry of which `said` is said; see `predict_stream` for the fields."""
    if isinstance(entry, BadLine):
        return {"line": entry.line, **_own_id(entry), "error": entry.error}
    text = {"text": _plain(entry.text)} if echo else {}
    return {"line": entry.line, **_own_id(entry), **text, **said}


def as_json(target: Target, text: str, said: Prediction, *, thresholded: bool) -> dict[str, Any]:
    """What is said of one text in JSON's types; see `predict_stream` for the fields."""
    return _SAID[target](text, said, thresholded)


def _one_label(text: str, said: Prediction, thresholded: bool) -> dict[str, Any]:
    return {
        "label": said.label,
        "probability": said.probability,
        **({"abstained": said.abstained} if thresholded else {}),
        "top": _ranked(said.top),
    }


def _labels(text: str, said: Prediction, thresholded: bool) -> dict[str, Any]:
    return {"labels": _ranked(said.labels), "top": _ranked(said.top)}


def _number(text: str, said: Prediction, thresholded: bool) -> dict[str, Any]:
    return {"value": said.value}


def _spans(text: str, said: Prediction, thresholded: bool) -> dict[str, Any]:
    return {
        "spans": [
            {
                "start": span.start,
                "end": span.end,
                "label": span.label,
                "text": text[span.start : span.end],
                "probability": span.score,
            }
            for span in said.spans
        ]
    }


def _reply(text: str, said: Prediction, thresholded: bool) -> dict[str, Any]:
    return {"reply": said.reply}


_SAID: Final[Mapping[Target, Callable[[str, Prediction, bool], dict[str, Any]]]] = {
    "label": _one_label,
    "labels": _labels,
    "number": _number,
    "spans": _spans,
    "reply": _reply,
}


def _ranked(labels: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"label": label, "probability": p} for label, p in labels]


def _plain(text: str) -> str | list[str]:
    return [text.first, text.second] if isinstance(text, Pair) else text


def _own_id(entry: Entry) -> dict[str, Any]:
    return {} if entry.id is None else {"id": entry.id}


def _entries(records: Iterable[Entry] | Iterable[str]) -> Iterator[Entry]:
    for line, record in enumerate(records, start=1):
        if isinstance(record, str):
            yield TextItem(line, record) if record.strip() else BadLine(line, "the text is empty")
        else:
            yield record


def _size(entry: Entry) -> int:
    return len(entry.text) if isinstance(entry, TextItem) else 0


def windows_of(entries: Iterator[Entry], window: int) -> Iterator[list[Entry]]:
    """Lists of `window` entries; fewer where texts are very long, and at the end."""
    held: list[Entry] = []
    characters = 0
    for entry in entries:
        held.append(entry)
        characters += _size(entry)
        if len(held) == window or characters >= MOST_CHARACTERS:
            yield held
            held, characters = [], 0
    if held:
        yield held


class _End:
    """The end of a source, with the error that ended it, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def arriving(entries: Iterator[Entry], window: int, linger: float) -> Iterator[list[Entry]]:
    """As `windows_of`, but a window is handed on `linger` seconds after its first entry came."""
    waiting: queue.Queue[Entry | _End] = queue.Queue(maxsize=window)
    stopped = threading.Event()
    reader = threading.Thread(target=_read, args=(entries, waiting, stopped), daemon=True)
    reader.start()
    try:
        while True:
            first = waiting.get()
            held, end = _collect(first, waiting, window, time.monotonic() + linger)
            if held:
                yield held
            if end is not None:
                if end.error is not None:
                    raise end.error
                return
    finally:
        stopped.set()


def _collect(
    first: Entry | _End, waiting: queue.Queue[Entry | _End], window: int, until: float
) -> tuple[list[Entry], _End | None]:
    held: list[Entry] = []
    characters = 0
    found = first
    while not isinstance(found, _End):
        held.append(found)
        characters += _size(found)
        if len(held) == window or characters >= MOST_CHARACTERS:
            return held, None
        try:
            found = waiting.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return held, None
    return held, found


def _read(
    entries: Iterator[Entry], waiting: queue.Queue[Entry | _End], stopped: threading.Event
) -> None:
    """The reading thread: hand on every entry, then the end or the error that came instead."""
    end = _End()
    try:
        for entry in entries:
            if not _hand_on(entry, waiting, stopped):
                return
    except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits for it
        end = _End(error)
    _hand_on(end, waiting, stopped)


def _hand_on(
    item: Entry | _End, waiting: queue.Queue[Entry | _End], stopped: threading.Event
) -> bool:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=0.2)
        except queue.Full:
            continue
        return True
    return False
