"""The process that holds a checkpoint: ``python -m gradus.serve.worker FD``.

On the socket FD it is told what to open, says ``ready`` with its facts or ``refused``, and then
answers until the socket ends. Frames from the server::

    {"engine", "checkpoint", "options"}     first
    {"run": [[id, task, body], ...]}        a batch
    {"start": [id, task, body]}             a job of its own
    {"cancel": id}

and to it::

    {"ready": facts} or {"refused": message}
    {"ran": [[id, answer] or [id, null, status, message], ...]}
    {"part": [id, value]}, {"done": [id, value]}, {"fault": [id, status, message]}
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradus.errors import GradusError
from gradus.serve.engine import Asked, Engine, Fault, Say, report
from gradus.serve.frames import Channel, encode
from gradus.serve.table import engine


class _Saying(Say):
    """Sends a job's parts as frames."""

    def __init__(self, job: int, channel: Channel, under_way: dict[int, _Saying]) -> None:
        self.job, self._channel, self._under_way = job, channel, under_way
        self.stopped = False

    def part(self, value: Any) -> None:
        """See `Say.part`."""
        self._channel.write({"part": [self.job, value]})

    def done(self, value: Any = None) -> None:
        """See `Say.done`."""
        self._under_way.pop(self.job, None)
        self._channel.write({"done": [self.job, value]})

    def fault(self, status: int, message: str) -> None:
        """See `Say.fault`."""
        self._under_way.pop(self.job, None)
        self._channel.write({"fault": [self.job, status, message]})

    @property
    def cancelled(self) -> bool:
        """See `Say.cancelled`."""
        return self.stopped


def serve(channel: Channel) -> int:
    """Answer until the server is gone; 1 where nothing could be opened."""
    order = channel.read()
    if order is None:
        return 0
    try:
        opened = engine(order["engine"], order["checkpoint"]).open(
            order["checkpoint"], order["options"]
        )
        opened.probe()
    except GradusError as error:
        channel.write({"refused": str(error)})
        return 1
    except Exception as error:  # noqa: BLE001  # a library's own error about a broken file
        report(error)
        channel.write({"refused": f"{order['checkpoint']}: can't be opened ({_short(error)})"})
        return 1
    facts = {"engine": opened.name, "tasks": list(opened.tasks), "slots": opened.slots}
    channel.write({"ready": {**opened.facts, **facts, "pid": os.getpid()}})
    if order["idle"]:
        _idle()
    _answer(opened, channel)
    return 0


def _answer(opened: Engine, channel: Channel) -> None:
    under_way: dict[int, _Saying] = {}
    while (frame := channel.read()) is not None:
        if "run" in frame:
            ran = together(opened, [Asked(*one) for one in frame["run"]])
            try:
                channel.write({"ran": ran})
            except ValueError:
                channel.write({"ran": [_sendable(row) for row in ran]})
        elif "start" in frame:
            asked = Asked(*frame["start"])
            under_way[asked.id] = say = _Saying(asked.id, channel, under_way)
            try:
                opened.start(asked, say)
            except GradusError as error:
                say.fault(422, str(error))
            except Exception as error:  # noqa: BLE001  # one job must not cost the others theirs
                report(error)
                say.fault(500, "the engine failed; the server's log says where")
        elif "cancel" in frame and (saying := under_way.get(frame["cancel"])) is not None:
            saying.stopped = True
            opened.cancel(saying.job)
            if type(opened).cancel is not Engine.cancel:
                # It says nothing more of the job, so its slot is free.
                saying.done()


def together(opened: Engine, asked: Sequence[Asked]) -> list[list[Any]]:
    """A row for each job: one that fails takes no other with it."""
    try:
        return [_row(one, said) for one, said in zip(asked, opened.run(asked), strict=True)]
    except Exception as error:  # noqa: BLE001  # one text must not cost the others their answers
        if len(asked) > 1:
            return [row for one in asked for row in together(opened, [one])]
        if isinstance(error, GradusError):
            return [_row(asked[0], Fault(422, str(error)))]
        report(error)
        said = Fault(500, "the model failed; the server's log says where")
        return [_row(asked[0], said)]


def _row(asked: Asked, said: Any) -> list[Any]:
    if isinstance(said, Fault):
        return [asked.id, None, said.status, said.message]
    return [asked.id, said]


def _sendable(row: list[Any]) -> list[Any]:
    """The row, or a fault where its answer can't be written as JSON, as NaN can't."""
    try:
        encode(row)
    except ValueError as error:
        report(error)
        return [row[0], None, 500, "the model's answer holds what is no number"]
    return row


def _short(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def _idle() -> None:
    """Compute only when nothing else wants the processor, as far as the system allows it."""
    try:
        _idle_threads()
    except (AttributeError, OSError) as error:
        with contextlib.suppress(AttributeError, OSError):
            os.nice(19)
        why = getattr(error, "strerror", None) or "this system has no such class"
        print(
            f"the shadow may take processor time from others: SCHED_IDLE can't be set ({why})",
            file=sys.stderr,
            flush=True,
        )


def _idle_threads() -> None:
    idle = os.SCHED_IDLE
    # A thread keeps the class that its parent had: those that opening has begun have another.
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setscheduler(int(thread.name), idle, os.sched_param(0))
    # Where sessions share the processor first and their processes then, this one has its own.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")


def main() -> int:
    """Answer on the socket whose number is the only argument."""
    # Ctrl-C is for the server, which lets its workers finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a library prints belongs to no protocol, and standard output to no one.
    sys.stdout = sys.stderr
    return serve(Channel(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    sys.exit(main())
