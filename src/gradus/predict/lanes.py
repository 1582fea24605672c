"""Windows of texts worked on side by side: here in threads, or by processes of their own.

Whatever the number of lanes, the results come in the order of the windows, and at most so many
windows are held as are asked for.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Lanes(Generic[T, R]):
    """Functions that work side by side, each on one thing at a time.

    Threads are daemons: who is interrupted needn't wait until a window is done.
    """

    def __init__(self, work: Sequence[Callable[[T], R]]) -> None:
        """A thread for each of `work`."""
        self._tasks: queue.SimpleQueue[tuple[T, Future[R]] | None] = queue.SimpleQueue()
        self._count = len(work)
        for number, function in enumerate(work):
            name = f"lane {number}"
            threading.Thread(target=self._run, args=(function,), name=name, daemon=True).start()

    def map(self, things: Iterator[T], *, ahead: int) -> Iterator[tuple[T, R]]:
        """Each thing with its result, in order; so many more are read before it is waited for.

        An error of `things` is raised after what came before it; one of the work in its place.
        """
        waiting: deque[tuple[T, Future[R]]] = deque()
        broken: Exception | None = None
        while True:
            thing: T
            try:
                thing = next(things)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001  # raised again behind what was read
                broken = error
                break
            future: Future[R] = Future()
            self._tasks.put((thing, future))
            waiting.append((thing, future))
            while len(waiting) > ahead:
                done, result = waiting.popleft()
                yield done, result.result()
        while waiting:
            done, result = waiting.popleft()
            yield done, result.result()
        if broken is not None:
            raise broken

    def close(self) -> None:
        """Let the threads end when they have done what they are at."""
        for _ in range(self._count):
            self._tasks.put(None)

    def _run(self, function: Callable[[T], R]) -> None:
        while (task := self._tasks.get()) is not None:
            thing, future = task
            try:
                future.set_result(function(thing))
            except BaseException as error:  # noqa: BLE001  # raised by who waits for it
                future.set_exception(error)
