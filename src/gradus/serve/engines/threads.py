"""Threads that write: one that steps through a batch, or one for each text.

Both are a `gradus.serve.engines.base.Scheduler`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from gradus.generation.pieces import Asked, Piece

if TYPE_CHECKING:
    from gradus.serve.engines.base import Told


class Batch(Protocol):
    """`gradus.generation.continuous.Continuous`."""

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        ...

    def add(self, asked: Asked) -> int:
        """Ask for a text."""
        ...

    def cancel(self, ticket: int) -> None:
        """Write no more of it."""
        ...

    def step(self) -> list[tuple[int, Piece]]:
        """What is new."""
        ...


class Stepping:
    """One thread that steps through a batch as long as there is something to write."""

    def __init__(self, make: Callable[[], Batch]) -> None:
        """`make` is called in the thread, and again after a step that failed."""
        self._make = make
        self._acts: list[Callable[[Batch], None]] = []
        self._there = threading.Condition()
        self._tickets: dict[int, tuple[int, int, Told]] = {}
        threading.Thread(target=self._work, name="gradus-writing", daemon=True).start()

    def begin(self, job: int, texts: Sequence[Asked], told: Told) -> None:
        """See `Scheduler`."""

        def act(batch: Batch) -> None:
            try:
                for number, text in enumerate(texts):
                    self._tickets[batch.add(text)] = (job, number, told)
            except Exception as error:  # noqa: BLE001  # a job that can't begin costs no other
                self._drop(batch, job)
                told.failed(error)

        self._do(act)

    def cancel(self, job: int) -> None:
        """See `Scheduler`."""

        self._do(lambda batch: self._drop(batch, job))

    def _drop(self, batch: Batch, job: int) -> None:
        for ticket in [t for t, (one, _, _) in self._tickets.items() if one == job]:
            batch.cancel(ticket)
            del self._tickets[ticket]

    def _do(self, act: Callable[[Batch], None]) -> None:
        with self._there:
            self._acts.append(act)
            self._there.notify()

    def _work(self) -> None:
        batch = self._make()
        while True:
            with self._there:
                while not (self._acts or batch.busy):
                    self._there.wait()
                acts, self._acts = self._acts, []
            try:
                for act in acts:
                    act(batch)
                for ticket, piece in batch.step():
                    _, number, told = self._tickets[ticket]
                    if piece.finish is not None:
                        del self._tickets[ticket]
                    told(number, piece)
            except BaseException as error:  # noqa: BLE001  # somebody waits for every text
                for told in {id(told): told for _, _, told in self._tickets.values()}.values():
                    told.failed(error)
                self._tickets.clear()
                batch = self._make()


class _Cancelled(Exception):
    """Nobody waits for this text any more."""


One = Callable[[Asked, Callable[[Piece], None]], None]
"""Writes one text and tells its pieces, the last with a finish."""


class Several:
    """Some threads, each of which writes one text at a time."""

    def __init__(self, one: One, threads: int) -> None:
        """`one` is called by so many threads."""
        self._one = one
        self._waiting: queue.SimpleQueue[tuple[int, int, Asked, Told]] = queue.SimpleQueue()
        self._left: dict[int, int] = {}
        self._lock = threading.Lock()
        for number in range(threads):
            name = f"gradus-writing-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def begin(self, job: int, texts: Sequence[Asked], told: Told) -> None:
        """See `Scheduler`."""
        with self._lock:
            self._left[job] = len(texts)
        for number, text in enumerate(texts):
            self._waiting.put((job, number, text, told))

    def cancel(self, job: int) -> None:
        """See `Scheduler`."""
        with self._lock:
            self._left.pop(job, None)

    def _work(self) -> None:
        while True:
            job, number, text, told = self._waiting.get()

            def tell(piece: Piece, job: int = job, number: int = number, told: Told = told) -> None:
                if job not in self._left:
                    raise _Cancelled
                if piece.text or piece.finish is not None:
                    told(number, piece)

            try:
                if job in self._left:
                    self._one(text, tell)
            except _Cancelled:
                pass
            except BaseException as error:  # noqa: BLE001  # somebody waits for every text
                told.failed(error)
                self.cancel(job)
            self._done(job)

    def _done(self, job: int) -> None:
        with self._lock:
            if job in self._left:
                self._left[job] -= 1
                if not self._left[job]:
                    del self._left[job]
