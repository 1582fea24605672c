"""What runs in a worker: an engine that opens a checkpoint and does what is asked of it.

Two ways of working, and an engine chooses one by `Engine.slots`:

- ``slots = 0``: **batches**. The server hands over all that waits, up to its bound of tokens, and
  the engine answers all of it at once (`Engine.run`). For models that give one answer to a text.
- ``slots = n``: **up to n at a time**, each begun as soon as a slot is free and answered in parts
  as they come (`Engine.start`). For models that write. By default each job has a thread that goes
  through `Engine.stream`; an engine with a scheduler of its own overrides `start` and `cancel`.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from gradus.errors import GradusError


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as a worker sees it.

    Attributes:
        id: of the server's own.
        task: ``classify``, ``tag``, ``embed`` or whatever a route names.
        body: what the route put together, in JSON's types.
    """

    id: int
    task: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Takes an answer's place where there is none; the message holds nothing of a text."""

    status: int
    message: str


class Say(ABC):
    """Where a job's parts go. Its methods may be called from any thread."""

    @abstractmethod
    def part(self, value: Any) -> None:
        """A part, in JSON's types."""

    @abstractmethod
    def done(self, value: Any = None) -> None:
        """The end; the last that is said."""

    @abstractmethod
    def fault(self, status: int, message: str) -> None:
        """The end, and something went wrong."""

    @property
    @abstractmethod
    def cancelled(self) -> bool:
        """Whether nobody waits any more."""


class Engine(ABC):
    """Opens a checkpoint and answers.

    Attributes:
        slots: 0 for batches, else how many jobs are under way at a time; `open` may set it on the
            instance.
        tasks: what may be asked of it.
    """

    slots: int = 0
    tasks: tuple[str, ...] = ()
    name: ClassVar[str] = "engine"
    summary: ClassVar[str] = ""

    @classmethod
    @abstractmethod
    def takes(cls, checkpoint: str) -> bool:
        """Whether this engine is the one to open it; looks at names and manifests alone."""

    @classmethod
    @abstractmethod
    def open(cls, checkpoint: str, options: Mapping[str, Any]) -> Self:
        """Load the checkpoint and verify it.

        Args:
            checkpoint: a folder, or whatever the engine takes.
            options: ``threads``, ``dtype`` and what the command line was given besides.

        Raises:
            GradusError: it can't be served; the message goes to whoever asked for it.
        """

    @property
    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """What the server may tell of it: ``name``, ``kind``, ``digest``, ``labels`` and so on."""

    @abstractmethod
    def probe(self) -> None:
        """Answer something small, before anybody else asks.

        Raises:
            GradusError: the answer makes no sense.
        """

    def run(self, asked: Sequence[Asked]) -> list[Any]:
        """An answer in JSON's types, or a `Fault`, for each job of a batch."""
        raise NotImplementedError(f"{type(self).__name__} has slots, or lacks `run`")

    def stream(self, asked: Asked, say: Say) -> Iterator[Any]:
        """The parts of one job, in a thread of its own; what it returns is the end's value."""
        raise NotImplementedError(f"{type(self).__name__} lacks `stream` or `start`")

    def start(self, asked: Asked, say: Say) -> None:
        """Begin a job and return at once; `say` takes its parts."""
        threading.Thread(target=self._streamed, args=(asked, say), daemon=True).start()

    def cancel(self, job: int) -> None:  # noqa: B027  # most engines need nothing but the flag
        """Nobody waits for this job any more; `Say.cancelled` tells so as well.

        An engine that overrides this has ended the job when it returns, and says no more of it.
        """

    def _streamed(self, asked: Asked, say: Say) -> None:
        parts = self.stream(asked, say)
        try:
            while not say.cancelled:
                try:
                    say.part(next(parts))
                except StopIteration as end:
                    say.done(end.value)
                    return
            say.done()
        except GradusError as error:
            say.fault(422, str(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody waits for an answer
            report(error)
            say.fault(500, "the engine failed; the server's log says where")


def report(error: BaseException) -> None:
    """Where an error arose, on standard error."""
    import sys

    print(place(error), file=sys.stderr, flush=True)


def place(error: BaseException) -> str:
    """Where an error arose; its message may hold a text, so it isn't told."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " <- ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames))
    return f"{type(error).__name__} at {places}"
