"""Load for a server, in a process of its own: raw HTTP/1.1 over kept connections.

Started by serve.py. Standard input is one JSON object: ``host``, ``port``, ``path``, ``bodies``,
``seconds``, and either ``clients`` (a closed loop: each sends when it has its answer) or ``rate``
(an open loop: so many requests a second come, whatever becomes of them). Standard output is one
JSON object: ``statuses``, ``latencies`` of those answered with 200 in ms, ``seconds``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

GIVE_UP = 60.0
"""Seconds until a request without an answer counts as hung."""


class Client:
    """One connection, opened again when the server closes it."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, message: bytes) -> str:
        """Send a request; the answer's status, or what went wrong."""
        try:
            async with asyncio.timeout(GIVE_UP):
                return await self._ask(message)
        except TimeoutError:
            await self.close()
            return "hung"
        except (OSError, asyncio.IncompleteReadError) as error:
            await self.close()
            return type(error).__name__

    async def _ask(self, message: bytes) -> str:
        if self.reader is not None and self.reader.at_eof():
            await self.close()  # the server let go of it while it was idle
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        assert self.reader is not None
        self.writer.write(message)
        head = await self.reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        at = lower.index(b"content-length:") + 15
        await self.reader.readexactly(int(lower[at : lower.index(b"\r\n", at)]))
        if b"connection: close" in lower:
            await self.close()
        return head[9:12].decode()

    async def close(self) -> None:
        """Let the connection go."""
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


class Load:
    """What is sent, and what came back."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        head = f"POST {asked['path']} HTTP/1.1\r\nhost: {asked['host']}\r\n"
        head += "content-type: application/json\r\ncontent-length: "
        bodies = [body.encode() for body in asked["bodies"]]
        self.messages = [f"{head}{len(b)}\r\n\r\n".encode() + b for b in bodies]
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.next = 0

    def message(self) -> bytes:
        """The next request."""
        self.next += 1
        return self.messages[self.next % len(self.messages)]

    async def one(self, client: Client) -> None:
        """Ask once."""
        began = time.perf_counter()
        status = await client.ask(self.message())
        self.statuses[status] += 1
        if status == "200":
            self.latencies.append(1000 * (time.perf_counter() - began))

    async def closed(self) -> None:
        """So many clients, each with one request at a time."""
        until = time.perf_counter() + self.asked["seconds"]

        async def go_on() -> None:
            client = Client(self.asked["host"], self.asked["port"])
            while time.perf_counter() < until:
                await self.one(client)
            await client.close()

        await asyncio.gather(*(go_on() for _ in range(self.asked["clients"])))

    async def open(self) -> None:
        """So many requests a second, on as many connections as it takes."""
        idle: list[Client] = []
        running: set[asyncio.Task[None]] = set()
        began, sent, rate = time.perf_counter(), 0, self.asked["rate"]

        async def ask() -> None:
            client = idle.pop() if idle else Client(self.asked["host"], self.asked["port"])
            await self.one(client)
            idle.append(client)

        while (now := time.perf_counter() - began) < self.asked["seconds"]:
            for _ in range(int(now * rate) - sent):
                sent += 1
                task = asyncio.create_task(ask())
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.sleep(0.005)
        await asyncio.gather(*running)
        for client in idle:
            await client.close()

    async def run(self) -> dict[str, Any]:
        """All of it."""
        began = time.perf_counter()
        await (self.closed() if "clients" in self.asked else self.open())
        return {
            "statuses": dict(self.statuses),
            "latencies": self.latencies,
            "seconds": time.perf_counter() - began,
        }


def main() -> None:
    """Read what to do, do it, say what came of it."""
    load = Load(json.load(sys.stdin))
    try:
        import uvloop
    except ImportError:
        found = asyncio.run(load.run())
    else:
        found = uvloop.run(load.run())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
