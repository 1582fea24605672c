"""A process that answers windows of texts for another one: ``python -m gradus.predict.worker``.

Messages are JSON or bytes, each behind its length in eight bytes, over standard input and output.
First comes the job, which is answered with ``{}`` once everything is loaded; then windows. It ends
when its input does, so that none outlives the process that asked it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any, Final

from gradus.errors import EXIT_USAGE, GradusError, ServiceError, UsageError
from gradus.predict.entries import BadLine, Entry, TextItem
from gradus.predict.tasks import Answered, Job
from gradus.processes import module
from gradus.records import Pair

_SIZE: Final = 8


def send(stream: IO[bytes], content: bytes) -> None:
    """One message."""
    stream.write(len(content).to_bytes(_SIZE, "big") + content)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """The next message; None where the stream has ended, in the middle of one too."""
    head = stream.read(_SIZE)
    if len(head) < _SIZE:
        return None
    size = int.from_bytes(head, "big")
    content = stream.read(size)
    return content if len(content) == size else None


def packed(entries: Sequence[Entry]) -> bytes:
    """Entries as a message."""
    return json.dumps([_plain(entry) for entry in entries]).encode()


def _plain(entry: Entry) -> list[Any]:
    if isinstance(entry, BadLine):
        return [entry.line, None, entry.error, entry.id]
    text = entry.text
    return [
        entry.line,
        [text.first, text.second] if isinstance(text, Pair) else text,
        None,
        entry.id,
    ]


def unpacked(content: bytes) -> list[Entry]:
    """What `packed` was given."""
    found: list[Entry] = []
    for line, text, error, own_id in json.loads(content):
        if error is not None:
            found.append(BadLine(line, error, own_id))
        else:
            found.append(TextItem(line, Pair(*text) if isinstance(text, list) else text, own_id))
    return found


class Worker:
    """Another process with the same job; call it with a window."""

    def __init__(self, job: Job) -> None:
        """Start it; `ready` waits until it has loaded."""
        threads = str(job.threads or 1)
        self._process = subprocess.Popen(
            module("gradus.predict.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "OMP_NUM_THREADS": threads,
                "RAYON_NUM_THREADS": threads,
                "GRADUS_THREADS": threads,
            },
            start_new_session=True,  # Ctrl-C is for the process that asks
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        send(self._to, json.dumps(job.to_json()).encode())

    def ready(self) -> None:
        """Wait until it has loaded.

        Raises:
            GradusError: it couldn't.
        """
        self._said()

    def __call__(self, entries: Sequence[Entry]) -> Answered:
        """What it makes of a window.

        Raises:
            GradusError: what went wrong there, or that it died.
        """
        try:
            send(self._to, packed(entries))
        except OSError:
            self._died()
        head = self._said()
        data = receive(self._from)
        if data is None:
            self._died()
        assert data is not None
        return Answered(data, head["records"], head["bad"])

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._to, self._from):
            try:
                stream.close()
            except OSError:  # what was on its way to a process that is no more
                continue

    def _said(self) -> dict[str, Any]:
        content = receive(self._from)
        if content is None:
            self._died()
        assert content is not None
        head: dict[str, Any] = json.loads(content)
        if "error" in head:
            raise (UsageError if head["code"] == EXIT_USAGE else GradusError)(head["error"])
        return head

    def _died(self) -> None:
        code = self._process.wait()
        raise ServiceError(
            f"a process that predicts has died (exit code {code}): run the same command again, "
            "with fewer --workers if memory is short"
        )


def main() -> int:
    """Answer until the input ends."""
    from gradus.predict.windows import Here

    given, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no message
    content = receive(given)
    if content is None:
        return 0
    try:
        work = Here(Job(**json.loads(content)))
        send(out, b"{}")
        while (content := receive(given)) is not None:
            found = work(unpacked(content))
            send(out, json.dumps({"records": found.records, "bad": found.bad}).encode())
            send(out, found.data)
    except BrokenPipeError:
        return 0
    except GradusError as error:
        send(out, json.dumps({"error": str(error), "code": error.exit_code}).encode())
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
