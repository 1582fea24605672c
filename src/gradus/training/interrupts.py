"""Ctrl-C and SIGTERM end training at the next safe place, after the state is saved."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from gradus.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While the block runs, the first signal is remembered; a second one ends at once.

    Outside the main thread signals can't be caught, and nothing is done.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._remember) for s in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            raise Interrupted("interrupted twice: stopped without saving again")
        self.asked = number

    def check(self, within: float = 0.0) -> None:
        """Raise when a signal has come, or comes within so many seconds.

        Raises:
            Interrupted: the state saved last is what a resume goes on from.
        """
        last = time.monotonic() + within
        while self.asked is None and time.monotonic() < last:
            time.sleep(0.01)
        if self.asked is not None:
            self.stop()

    def stop(self) -> NoReturn:
        """Raise as `check` does, also where the signal came to another process of the training.

        Raises:
            Interrupted: the state saved last is what a resume goes on from.
        """
        number = self.asked if self.asked is not None else signal.SIGTERM
        name = signal.Signals(number).name
        raise Interrupted(f"{name}: training stopped; run the plan again and it goes on")
