"""What a service counts while it works; `gradus.serve.metrics` tells it to Prometheus."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

TEXTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Spread:
    """A histogram."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """With these upper bounds, and one more without end."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """One value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Rate:
    """How many requests are answered in a second, lately.

    Attributes:
        answered: since it was last looked at.
    """

    def __init__(self) -> None:
        """None so far."""
        self.answered, self._each_second = 0, 0.0
        self._last = time.monotonic()

    def look(self, now: float) -> None:
        """It is `now` on the monotonic clock."""
        rate = self.answered / (now - self._last)
        self._each_second += 0.1 * (rate - self._each_second)
        self.answered, self._last = 0, now

    def retry_after(self, inside: int) -> int:
        """Seconds in which what is inside now should be answered."""
        return max(1, min(60, math.ceil(inside / max(self._each_second, 1.0))))


@dataclass(slots=True)
class Tally:
    """Counted since the server began.

    Attributes:
        batches: texts in each.
        seconds: that each took, from the server's side.
        texts: that were computed.
        deaths: of workers.
        retries: of requests whose worker died.
        late: requests without an answer in time.
        gone: requests whose client hung up, or was cut off, before the whole answer.
        swapped: checkpoints that took over.
        refused: checkpoints that didn't.
        compared: texts that the shadow saw too.
        disagreed: texts of which it said something else.
        skipped: requests that it had no time for.
        stalled: connections that were cut since nothing of an answer was taken.
        headless: those that were cut since no whole head of a request came.
        crowded: those that were closed since there were too many.
    """

    batches: Spread = field(default_factory=lambda: Spread(TEXTS))
    seconds: Spread = field(default_factory=lambda: Spread(SECONDS))
    texts: int = 0
    deaths: int = 0
    retries: int = 0
    late: int = 0
    gone: int = 0
    swapped: int = 0
    refused: int = 0
    compared: int = 0
    disagreed: int = 0
    skipped: int = 0
    stalled: int = 0
    headless: int = 0
    crowded: int = 0
