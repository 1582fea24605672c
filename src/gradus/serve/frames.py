"""Frames between the server and its workers: a length in 4 bytes, then JSON in UTF-8.

JSON and not pickle, so that a worker that a hostile text has broken can't run code in the server.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from typing import Any, Final

_LENGTH: Final = struct.Struct("!I")
LONGEST: Final = 1 << 30
"""Bytes of a frame."""


def encode(value: Any) -> bytes:
    """A frame.

    Raises:
        ValueError: the value holds NaN or an infinity, or its frame would be too long.
    """
    content = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    if len(content) > LONGEST:
        raise ValueError(f"a frame of {len(content):,} bytes is longer than {LONGEST:,}")
    return _LENGTH.pack(len(content)) + content


async def receive(reader: asyncio.StreamReader) -> Any:
    """The next frame's value, None at the end."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return json.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


class Channel:
    """A worker's end: blocking, and safe to write to from several threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._file = sock, sock.makefile("rb")
        self._lock = threading.Lock()

    def read(self) -> Any:
        """The next frame's value; None when the server is gone."""
        try:
            head = self._file.read(_LENGTH.size)
            if len(head) < _LENGTH.size:
                return None
            (length,) = _LENGTH.unpack(head)
            content = self._file.read(length)
        except ConnectionError:
            return None
        return json.loads(content) if len(content) == length else None

    def write(self, value: Any) -> bool:
        """Send a frame; False when the server is gone."""
        frame = encode(value)
        try:
            with self._lock:
                self._sock.sendall(frame)
        except (ConnectionError, OSError):
            return False
        return True
