"""Log lines: one JSON object each, on standard error, without texts."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from gradus.serve.engine import place


class Foreign(logging.Handler):
    """Writes what libraries log as lines of ours, without the messages of errors."""

    def __init__(self, log: Log) -> None:
        """To `log`."""
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        error = record.exc_info[1] if record.exc_info else None
        more = {} if error is None else {"error": place(error)}
        said = record.getMessage().partition("\n")[0]
        self._log.told("warning", source=record.name, said=said, **more)


class Log:
    """Writes lines such as ``{"time", "event", ...}``.

    No line holds a key or a header, and none a text unless `texts` was asked for.

    Attributes:
        texts: whether the bodies of requests are logged.
    """

    def __init__(
        self, stream: TextIO | None = None, *, requests: bool = True, texts: bool = False
    ) -> None:
        """To `stream` (standard error); without `requests` only of what isn't a request."""
        self._stream, self._requests, self.texts = stream, requests, texts

    def take(self, *names: str) -> None:
        """Whatever the libraries of these names log goes here, and nowhere else."""
        for name in names:
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [Foreign(self)], False

    def told(self, event: str, **facts: Any) -> None:
        """Something happened."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        # Escaped, so that no text, path or error can begin a line of its own.
        line = json.dumps({"time": now, "event": event, **facts}, default=str)
        stream = self._stream or sys.stderr
        stream.write(line + "\n")
        stream.flush()

    def seen(
        self,
        scope: Mapping[str, Any],
        status: int,
        seconds: float,
        content: Sequence[bytes] | None = None,
    ) -> None:
        """A request was answered; `seconds` of wall clock, `content` of its body."""
        if not self._requests:
            return
        facts: dict[str, Any] = {
            "id": scope["state"]["request_id"],
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 2),
        }
        if (key := scope["state"].get("key")) is not None:
            facts["key"] = key.name
        if content is not None:
            facts["body"] = b"".join(content).decode("utf-8", "replace")
        self.told("request", **facts)
