"""What waits for a worker, and how batches are taken from it."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from gradus.serve.limits import Limits
from gradus.serve.refusals import Refused

BYTES_PER_TOKEN: Final = 3
"""Of UTF-8: one Chinese character, or most of an English word of four letters."""
ATTEMPTS: Final = 2
"""Workers that one request may lose before it is refused."""


def cost(texts: Sequence[str | Sequence[str]], longest: int | None = None) -> int:
    """About how many tokens texts have, each cut at `longest`."""
    total = 0
    for text in texts:
        size = sum(map(_bytes, [text] if isinstance(text, str) else text))
        tokens = 2 + size // BYTES_PER_TOKEN
        total += tokens if longest is None else min(tokens, longest)
    return total


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


class Job(ABC):
    """One request's work.

    Attributes:
        id: in frames.
        task: what the engine shall do.
        body: with what.
        cost: about how many tokens.
        begun: on the monotonic clock.
        deadline: on the same.
        attempts: workers that were given it.
        over: whether anybody has been told how it ended.
        facts: of the checkpoint whose worker has it.
        texts: how many.
    """

    __slots__ = (
        "attempts",
        "begun",
        "body",
        "cost",
        "deadline",
        "facts",
        "id",
        "over",
        "task",
        "texts",
    )

    def __init__(
        self, number: int, task: str, body: Mapping[str, Any], cost: int, seconds: float
    ) -> None:
        self.id, self.task, self.body, self.cost = number, task, body, cost
        self.begun = time.monotonic()
        self.deadline = self.begun + seconds
        self.attempts = 0
        self.over = False
        self.facts: Mapping[str, Any] = {}
        self.texts = len(body.get("texts", ())) or 1

    @property
    def again(self) -> bool:
        """Whether it may be given to another worker after one has died with it."""
        return self.attempts < ATTEMPTS

    def late(self) -> Refused:
        """What is said of it once its time is over."""
        return Refused(504, f"no answer within {self.deadline - self.begun:g} s")

    @abstractmethod
    def part(self, value: Any) -> None:
        """A part came."""

    @abstractmethod
    def done(self, value: Any) -> None:
        """The end."""

    @abstractmethod
    def refuse(self, refused: Refused) -> None:
        """The end, and something was wrong."""


class Single(Job):
    """Work with one answer."""

    __slots__ = ("_future",)

    def __init__(self, *args: Any) -> None:
        """See `Job`."""
        super().__init__(*args)
        self._future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def answer(self) -> Any:
        """The answer.

        Raises:
            Refused: there is none.
        """
        return await self._future

    def part(self, value: Any) -> None:
        """Nobody asked for parts."""

    def done(self, value: Any) -> None:
        """See `Job.done`."""
        self.over = True
        if not self._future.done():
            self._future.set_result(value)

    def refuse(self, refused: Refused) -> None:
        """See `Job.refuse`."""
        self.over = True
        if not self._future.done():
            self._future.set_exception(refused)


class Streamed(Job):
    """Work whose answer comes in parts."""

    __slots__ = ("_parts", "last", "spoke")

    def __init__(self, *args: Any) -> None:
        """See `Job`."""
        super().__init__(*args)
        self._parts: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.spoke = False
        self.last: Any = None

    @property
    def again(self) -> bool:
        """Not once a part of it has gone out: another worker might say something else."""
        return super().again and not self.spoke

    async def parts(self) -> AsyncIterator[Any]:
        """The parts as they come; `last` is then what the engine said in the end.

        Raises:
            Refused: it can't go on.
        """
        while True:
            what, value = await self._parts.get()
            if what == "part":
                # Whoever takes them slowly keeps no place for longer than others.
                if time.monotonic() > self.deadline:
                    raise self.late()
                yield value
            elif what == "done":
                self.last = value
                return
            else:
                raise value

    def part(self, value: Any) -> None:
        """See `Job.part`."""
        self.spoke = True
        self._parts.put_nowait(("part", value))

    def done(self, value: Any) -> None:
        """See `Job.done`."""
        self.over = True
        self._parts.put_nowait(("done", value))

    def refuse(self, refused: Refused) -> None:
        """See `Job.refuse`."""
        self.over = True
        self._parts.put_nowait(("refused", refused))


class Line:
    """Jobs that wait, the first to come the first to go."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Any:
        return iter(self._waiting)

    def add(self, job: Job) -> None:
        """At the end."""
        self._waiting.append(job)

    def add_again(self, job: Job) -> None:
        """At the front: its worker has died, and it has waited once already."""
        self._waiting.appendleft(job)

    def drop(self, job: Job) -> None:
        """Out of the line, if it is there: nobody waits for it, and its texts take room."""
        if job in self._waiting:
            self._waiting.remove(job)

    def full(self) -> bool:
        """Whether what waits fills a batch."""
        return (
            sum(job.cost for job in self._waiting) >= self._limits.batch_tokens
            or len(self._waiting) >= self._limits.batch_texts
        )

    def batch(self) -> list[Job]:
        """Take the next batch: in order, up to the bounds, one job at least.

        A job whose worker has died goes alone: what killed it kills no other.
        """
        taken: list[Job] = []
        tokens = texts = 0
        while self._waiting:
            job = self._waiting[0]
            if job.over:
                self._waiting.popleft()
                continue
            tokens += job.cost
            texts += job.texts
            within = tokens <= self._limits.batch_tokens and texts <= self._limits.batch_texts
            if taken and (job.attempts or not within):
                break
            taken.append(self._waiting.popleft())
            if job.attempts:
                break
        return taken

    def one(self) -> Job | None:
        """Take the next."""
        while self._waiting:
            job = self._waiting.popleft()
            if not job.over:
                return job
        return None
