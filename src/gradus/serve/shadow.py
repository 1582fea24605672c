"""A second checkpoint that sees some of the requests; nobody waits for it.

It has a worker of its own, which the operating system runs when nothing else wants the processor.
What it says is compared and thrown away.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gradus.errors import CheckpointError
from gradus.serve.refusals import Refused
from gradus.serve.tally import Tally

if TYPE_CHECKING:
    from gradus.serve.service import Service

MOST: Final = 32
"""Requests that may wait for the shadow; what comes meanwhile it doesn't see."""
NEAR: Final = 0.99
"""Cosine of two vectors of one text from which on they agree."""


class Shadow:
    """Compares what two checkpoints say."""

    def __init__(self, service: Service, share: float, tally: Tally) -> None:
        """`service` serves the second checkpoint; a `share` of the requests, in [0, 1], is seen."""
        self.service, self._share, self._tally = service, share, tally
        self._draw = random.Random()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, beside: Service) -> None:
        """Load the checkpoint, and look on from now on.

        Raises:
            CheckpointError: it can't be opened, or does less than the one that is served.
        """
        await self.service.open()
        missing = set(beside.facts["tasks"]) - set(self.service.facts["tasks"])
        if missing:
            raise CheckpointError(
                f"{self.service.checkpoint}: a shadow of {beside.checkpoint} must be able to "
                f"{', '.join(sorted(missing))}"
            )
        beside.observed = self.observe

    def observe(self, task: str, body: Mapping[str, Any], said: Any) -> None:
        """A request was answered with `said`; returns at once."""
        if self._share < 1 and self._draw.random() >= self._share:
            return
        if len(self._tasks) >= MOST or not self.service.ready:
            self._tally.skipped += 1
            return
        work = asyncio.create_task(self._compare(task, body, said))
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)

    async def _compare(self, task: str, body: Mapping[str, Any], said: Any) -> None:
        try:
            other = (await self.service.ask(task, body)).value
        except Refused:
            self._tally.skipped += 1
            return
        self._tally.compared += len(said)
        self._tally.disagreed += disagreements(task, said, other)


def disagreements(task: str, one: Sequence[Any], two: Sequence[Any]) -> int:
    """Of how many texts two answers say different things.

    Labels, sets of labels and spans must be the same, numbers differ by less than 1 %, vectors have
    a cosine of `NEAR`. A label and a number, say, are different things.
    """
    return sum(not _agree(task, left, right) for left, right in zip(one, two, strict=True))


def _agree(task: str, one: Any, two: Any) -> bool:
    if task == "embed":
        if one and isinstance(one[0], list):  # beside the number of tokens
            one, two = one[0], two[0]
        if len(one) != len(two):
            return False
        dot, left, right = (
            sum(a * b for a, b in zip(x, y, strict=True))
            for x, y in ((one, two), (one, one), (two, two))
        )
        return bool(dot >= NEAR * (left * right) ** 0.5)
    if _kind(one) != _kind(two):
        return False
    if "value" in one:
        value, other = float(one["value"]), float(two["value"])
        return abs(value - other) <= 0.01 * max(abs(value), 1e-9)
    same: bool = _gist(one) == _gist(two)
    return same


def _kind(said: Mapping[str, Any]) -> str | None:
    return next((name for name in ("value", "spans", "labels") if name in said), None)


def _gist(said: Mapping[str, Any]) -> Any:
    if "spans" in said:
        return {(span["start"], span["end"], span["label"]) for span in said["spans"]}
    if "labels" in said:
        return {one["label"] for one in said["labels"]}
    return said["label"]
