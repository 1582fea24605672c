"""One client's connection: what it may cost before and behind the requests that the door sees.

uvicorn's own protocol waits for a request's head as long as it takes, for a client that takes
nothing of its answer for ever, and lets anybody come in. Here

- a whole head comes within `Limits.head_seconds`, and has `Limits.head_bytes` at most;
- whoever takes nothing of an answer for `Limits.unread_seconds` is cut off. What writes the answer
  sees a client that has hung up, so that its place is free and its text isn't written further;
- there are `Limits.connections` at most: for another one, that which has been without a request
  for longest is closed. Where all have one, the new one is told so with 429.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import resource
import struct
import termios
from collections.abc import Callable
from typing import Any, ClassVar, Final

from gradus.serve.framework import HttpProtocol
from gradus.serve.refusals import Refused
from gradus.serve.service import Service

SPARE: Final = 128
"""Files that a server opens besides: its workers' pipes, modules, sockets it is just closing."""
PARTING: Final = 1.0
"""Seconds in which a refusal is read: a socket that is closed at once may take it along."""


def of(service: Service) -> type[Any]:
    """The class of the connections of a server of `service`."""

    class Counted(Connection):
        serves = service
        most = min(service.limits.connections, max(1, _files() - SPARE))

    return Counted


def _files() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft


class Connection(HttpProtocol):  # type: ignore[misc]  # whichever parser uvicorn finds
    """One connection.

    Attributes:
        serves: whose limits hold and whose tally counts.
        most: connections at a time.
        since: when it had no request any more, on the loop's clock.
    """

    serves: ClassVar[Service]
    most: ClassVar[int]

    def __init__(self, *args: Any, **more: Any) -> None:
        """As uvicorn makes them."""
        super().__init__(*args, **more)
        self._limits, self._tally = self.serves.limits, self.serves.tally
        self.since = self.loop.time()
        self._ending: asyncio.TimerHandle | None = None
        self._in_head, self._head, self._deaf = False, 0, False
        self._reading: asyncio.TimerHandle | None = None
        self._left, self._left_since = math.inf, 0.0

    @property
    def busy(self) -> bool:
        """Whether there is a request that hasn't been answered."""
        return bool(self.cycle is not None and not self.cycle.response_complete)

    def connection_made(self, transport: Any) -> None:
        """Somebody has come."""
        super().connection_made(transport)
        if len(self.connections) > self.most and not self._make_room():
            self._turn_away()
        else:
            self._end_after(self._limits.head_seconds, self._give_up_head)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        for timer in (self._ending, self._reading):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    # --- the head

    def data_received(self, data: bytes) -> None:
        """Something has come: parts of a head or of a body."""
        if self._deaf:
            return
        within = self._in_head
        super().data_received(data)
        if self.busy:
            if self._ending is not None:
                self._ending.cancel()
                self._ending = None
        elif self._ending is None:
            self._end_after(self._limits.head_seconds, self._give_up_head)
        # What is wholly of one head counts: before it may have been a body's end.
        self._head = self._head + len(data) if within and self._in_head else 0
        if self._head > self._limits.head_bytes:
            self._deaf = True
            if self.busy:  # it came behind a request whose answer is on its way
                self.transport.abort()
            else:
                self.send_400_response("The request's head is too long.")

    # httptools, which bounds no head, calls these two; h11 bounds heads itself, and doesn't.

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It is whole."""
        self._in_head = False
        super().on_headers_complete()

    def _end_after(self, seconds: float, act: Callable[[], None]) -> None:
        self._ending = self.loop.call_later(seconds, act)

    def _give_up_head(self) -> None:
        self._tally.headless += 1
        self.transport.abort()

    # --- the answer

    def pause_writing(self) -> None:
        """More of an answer waits than is good."""
        super().pause_writing()
        self._watch(self._unread())

    def on_response_complete(self) -> None:
        """All of an answer is written, which isn't to say that it is read."""
        super().on_response_complete()
        self.since = self.loop.time()
        self._watch(math.inf)

    def _watch(self, left: float) -> None:
        """Nothing more is written from here on, until some of the `left` bytes are taken."""
        self._left, self._left_since = left, self.loop.time()
        if self._reading is None and self.transport.get_write_buffer_size():
            self._reading = self.loop.call_later(self._limits.unread_seconds, self._look)

    def _look(self) -> None:
        self._reading = None
        if not self.transport.get_write_buffer_size() or (self.busy and not self.flow.write_paused):
            return
        rest = self._left_since + self._limits.unread_seconds - self.loop.time()
        if rest > 0:
            self._reading = self.loop.call_later(rest, self._look)
        elif (left := self._unread()) < self._left:  # slow, but it reads
            self._watch(left)
        else:
            self._tally.stalled += 1
            self.transport.abort()

    def _unread(self) -> int:
        """Bytes that the client hasn't taken: here, and with the kernel where it tells of them.

        The kernel takes more from here only once a good part of what it has is gone, some hundred
        kB; a client that takes a little all the while isn't seen by what is kept here.
        """
        left: int = self.transport.get_write_buffer_size()
        with contextlib.suppress(OSError, ValueError):
            number = self.transport.get_extra_info("socket").fileno()
            (unsent,) = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))
            left += unsent
        return left

    # --- too many

    def _make_room(self) -> bool:
        """Close whoever has been without a request for longest; False where nobody is."""
        self._tally.crowded += 1
        idle = [
            one
            for one in self.connections
            if one is not self and not one.busy and not one.transport.is_closing()
        ]
        if idle:
            min(idle, key=lambda one: one.since).transport.abort()
        return bool(idle)

    def _turn_away(self) -> None:
        """Say why, and listen no more."""
        self._deaf = True
        seconds = self.serves.retry_after()
        refused = Refused(429, "too many connections are open", retry_after=seconds)
        content = refused.content
        head = {**refused.headers, "Content-Type": "application/json", "Connection": "close"}
        lines = [f"{name}: {value}" for name, value in head.items()]
        first = f"HTTP/1.1 {refused.status} Too Many Requests"
        said = "\r\n".join([first, *lines, f"Content-Length: {len(content)}", "\r\n"])
        self.transport.write(said.encode("latin-1") + content)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._end_after(PARTING, self.transport.abort)
