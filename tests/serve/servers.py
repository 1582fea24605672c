"""A server in a process of its own, and the plainest possible client."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gradus.processes import module

JSON = {"content-type": "application/json"}


class Reply:
    """What came back."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.content = answer.read()

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


class Running:
    """A server that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.plain: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.plain.append(line)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in list(self.lines) if line["event"] == name]

    def wait_for(self, name: str, count: int = 1, seconds: float = 60) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.events(name)
            if len(found) >= count:
                return found[count - 1]
            if self.process.poll() is not None:
                self._reader.join(5)
                if len(self.events(name)) < count:
                    break
            time.sleep(0.02)
        raise AssertionError(f"no event '{name}': {self.lines} {self.plain}")

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.wait_for("ready")["address"].removeprefix("http://").rpartition(":")
        return host, int(port)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=60)

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        connection = self.connect()
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body, sent = json.dumps(body).encode(), JSON | sent
        try:
            connection.request(method, path, body, sent)
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        return self.request(
            "POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()}
        )

    def get(self, path: str, **headers: str) -> Reply:
        return self.request("GET", path, None, _dashed(headers))

    def classify(self, *texts: str, **more: Any) -> Reply:
        return self.post("/v1/classify", {"texts": list(texts), **more})

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def command(*arguments: object) -> list[str]:
    return module("gradus.cli.main", "serve", *map(str, arguments))


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command, where it ends by itself."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )


@contextlib.contextmanager
def served(
    checkpoint: Path | str, *arguments: object, before: Sequence[str] = (), **more: str
) -> Iterator[Running]:
    """A server of `checkpoint` on a free port, ready to answer; `before` runs its command."""
    process = subprocess.Popen(
        [*before, *command(checkpoint, "--port", 0, *arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**more),
    )
    running = Running(process)
    try:
        running.wait_for("ready", seconds=180)
        yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
