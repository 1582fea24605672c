"""Log lines: one JSON object each, on standard error, without texts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO


class Log:
    """Writes lines such as ``{"time", "event", ...}``.

    No line holds a text, a key or a header. A line is written whole, so that several
    processes may share a file.
    """

    def __init__(self, stream: TextIO | None = None, *, requests: bool = True) -> None:
        """To `stream` (standard error); without `requests` only of what isn't a request."""
        self._stream, self._requests = stream, requests

    def told(self, event: str, **facts: Any) -> None:
        """Something happened."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **facts}, ensure_ascii=False, default=str)
        stream = self._stream or sys.stderr
        stream.write(line.encode("utf-8", "replace").decode() + "\n")
        stream.flush()

    def seen(self, scope: Mapping[str, Any], status: int, seconds: float, name: str) -> None:
        """A request was answered; `seconds` of wall clock."""
        if self._requests:
            self.told(
                "request",
                id=name,
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round(seconds * 1000, 2),
            )


def since(began: float) -> float:
    """Seconds since `began` on the monotonic clock, rounded to milliseconds."""
    return round(time.monotonic() - began, 3)
