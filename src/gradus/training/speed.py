"""How fast a long training goes: tokens a second, the share of the ceiling, the time left.

Legend: busy seconds are those in which the model was trained, without validating and saving.
"""

from __future__ import annotations

from collections.abc import Callable

from gradus.training.state import Progress


class Speed:
    """Since the last point of the curve, and on the whole."""

    def __init__(
        self, progress: Progress, clock: Callable[[], float], ceiling: float | None
    ) -> None:
        """`clock` gives the stage's seconds, `ceiling` the operations a second that the machine's
        matrix product has."""
        self._progress, self._clock, self._ceiling = progress, clock, ceiling
        self.begin()
        self._first = (self._clock(), progress.update)

    def begin(self) -> None:
        """Count from here."""
        self._mark = (self._busy(), self._progress.tokens, self._progress.flops)

    def row(self) -> dict[str, float]:
        """``tokens_per_second`` and ``ceiling_share`` since it was called last."""
        seconds, tokens, flops = self._mark
        self.begin()
        spent = self._mark[0] - seconds
        if spent <= 0:
            return {}
        found = {"tokens_per_second": (self._mark[1] - tokens) / spent}
        if self._ceiling:
            found["ceiling_share"] = (self._mark[2] - flops) / spent / self._ceiling
        return found

    def left(self, total: int) -> float | None:
        """Seconds until the last of `total` updates, validations on the way counted in."""
        seconds, update = self._clock() - self._first[0], self._progress.update - self._first[1]
        return seconds / update * (total - self._progress.update) if update else None

    def told(self, total: int | None) -> str:
        """Update, tokens, speed and time left in a few words; `total` updates, None if unknown."""
        seconds, tokens, _ = self._mark
        progress, spent = self._progress, self._busy() - seconds
        of = f" of {total:,}" if total is not None else ""
        parts = [f"update {progress.update:,}{of}", f"{progress.tokens:,} tokens"]
        if spent > 0 and progress.tokens > tokens:
            parts.append(f"{(progress.tokens - tokens) / spent:,.0f} tokens/s")
        left = None if total is None else self.left(total)
        if left is not None:
            parts.append(f"{_clock_time(left)} left")
        return ", ".join(parts)

    def _busy(self) -> float:
        watched = self._progress.watched
        spent = watched.validation_seconds + watched.checkpoint_seconds + watched.probe_seconds
        return self._clock() - spent


def _clock_time(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
