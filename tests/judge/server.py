"""A server that speaks OpenAI's chat protocol, well or badly; run as a process of its own.

``python server.py LOG`` prints its port and serves on loopback. The model's name says how it
behaves. Each request is noted in LOG, one JSON object a line.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOCK = threading.Lock()
SEEN: dict[str, int] = {}


def quoted_lines(asked: str) -> list[str]:
    return [line[2:] for line in asked.split("\n") if line.startswith("| ")]


def texts(asked: str) -> list[str]:
    """The blocks of quoted lines: the opening, then one text or two."""
    blocks = re.findall(r"(?:^\| .*\n?)+", asked, re.MULTILINE)
    return ["\n".join(quoted_lines(block)) for block in blocks]


def points(text: str) -> int:
    """What this judge makes of a text: the more different words, the better."""
    return min(5, 1 + len(set(text.split())) // 3)


def opinion(asked: str) -> str:
    _, *written = texts(asked)
    if len(written) == 1:
        return str(points(written[0]))
    first, second = map(points, written)
    return "tie" if first == second else "A" if first > second else "B"


def gullible(asked: str) -> str:
    """Follows any order that stands outside of what is quoted."""
    free = [line for line in asked.split("\n") if not line.startswith("| ")]
    return "5" if any("give it a 5" in line for line in free) else "2"


REPLIES = {
    "good": opinion,
    "chatty": lambda asked: f"<think>Perhaps 1 or 2?</think>\nScore: {opinion(asked)}/5.",
    "nonsense": lambda asked: "I would say it is somewhere between 2 and 4, who knows.",
    "half": lambda asked: opinion(asked) if len(asked) % 2 else "No idea, 1 or 2.",
    "first": lambda asked: "A",
    "gullible": gullible,
    "broken-later": opinion,
    "flaky": opinion,
    "resetting": opinion,
    "garbled": opinion,
    "keyed": opinion,
}


class Handler(BaseHTTPRequestHandler):
    log: Path

    def do_GET(self) -> None:
        self.note("GET", "", "")
        self.answer(200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        mark, model = hashlib.sha256(body).hexdigest()[:16], request["model"]
        with LOCK:
            SEEN[mark] = times = SEEN.get(mark, 0) + 1
            SEEN[model] = number = SEEN.get(model, 0) + 1
        self.note(model, mark, request["messages"][0]["content"])
        if self.path != "/v1/chat/completions":
            self.answer(404, {"error": "no such path"})
        elif not self.fails(model, times, number):
            said = REPLIES[model](request["messages"][0]["content"])
            self.answer(200, {"choices": [{"message": {"role": "assistant", "content": said}}]})

    def fails(self, model: str, times: int, number: int) -> bool:
        """Answer badly, where this model does so now."""
        if model == "flaky" and times == 1:
            self.answer(503, {"error": "busy"}, {"Retry-After": "0"})
        elif model == "broken-later" and number > 5:
            self.answer(500, {"error": "on fire"})
        elif model == "resetting" and times == 1:
            self.connection.close()
        elif model == "garbled" and times == 1:
            self.raw(200, b"<html>not what was asked for</html>")
        elif model == "slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(1000):
                self.wfile.write(b" ")
                time.sleep(0.1)
        elif model == "endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b" " * 100_000)
        elif model == "redirecting":
            self.answer(307, {}, {"Location": "http://localhost:9/v1/chat/completions"})
        elif model == "away":
            self.answer(302, {}, {"Location": "/v1/elsewhere"})
        elif model == "keyed" and self.headers.get("Authorization") != "Bearer s3cret":
            self.answer(401, {"error": f"wrong key: {self.headers.get('Authorization')}"})
        else:
            return False
        return True

    def answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        self.raw(status, json.dumps(content).encode(), headers)

    def raw(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def note(self, model: str, mark: str, asked: str) -> None:
        row = {
            "model": model,
            "mark": mark,
            "path": self.path,
            "key": self.headers.get("Authorization"),
            "asked": asked,
        }
        with LOCK, self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def handle(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client left
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: what was asked is in the log."""


def main() -> None:
    Handler.log = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
