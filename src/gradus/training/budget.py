"""How many updates a stage has, from what its plan gives it.

A budget in minutes becomes a number of updates from the speed that is measured: after a few
updates, and again at fixed shares of the time, when the number is saved at once. Between two of
these a resumed training makes the same updates as one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gradus.training.pretraining import PretrainStage
from gradus.training.state import Watched

FIRST = 4
SHARES = (0.01, 0.03, 0.1, 0.3, 0.6, 0.85, 0.95)
# What stands for the number before the first updates were timed.
UNKNOWN = 1 << 40


def epochs_of(stage: PretrainStage, tokens: int) -> float | None:
    """The budget in passes over `tokens` tokens of train, where it is given in tokens."""
    return None if stage.tokens is None else stage.tokens / tokens


class Minutes:
    """A budget of time."""

    def __init__(self, stage: PretrainStage, watched: Watched, clock: Callable[[], float]) -> None:
        """`clock` gives the seconds that the stage has taken, those before a resume included."""
        assert stage.minutes is not None
        self.seconds = 60.0 * stage.minutes
        self._every, self._watched, self._clock = stage.validate_every, watched, clock

    @property
    def total(self) -> int:
        """Updates of the stage as far as is known."""
        return self._watched.total or UNKNOWN

    def due(self, update: int) -> bool:
        """Whether the number shall be told anew before update `update` (from 0)."""
        fixed = len(self._watched.fixed)
        if fixed == 0:
            return update >= FIRST or self._clock() >= self.seconds
        return fixed <= len(SHARES) and self._clock() >= SHARES[fixed - 1] * self.seconds

    def fix(self, update: int) -> tuple[int, int, float]:
        """What `take` takes: the total, the number of shares passed, the seconds so far."""
        now, watched = self._clock(), self._watched
        passed = sum(now >= share * self.seconds for share in SHARES)
        validation = watched.validation_seconds + watched.probe_seconds
        each = (now - validation) / max(1, update)
        examined = validation / watched.validations if watched.validations else 0.0
        # The validation at the end is part of the time, and so are those on the way.
        left = max(0.0, self.seconds - now - examined)
        if self._every is not None:
            each += examined / self._every
        return max(1, update + math.floor(left / each)), passed, now

    def take(self, update: int, fixed: tuple[int, int, float]) -> None:
        """Remember what `fix` said; shares that went by together count as one."""
        total, passed, now = fixed
        self._watched.total = total
        rows = self._watched.fixed
        rows += [[update, now, total]] * max(1, passed + 1 - len(rows))
