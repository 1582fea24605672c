"""The application under a server that runs ASGI itself, which begins and ends it by `lifespan`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from gradus.predict import load
from gradus.serve import keys
from gradus.serve.living import Living, Settings

TEXT = "The striker won the final."


class Server:
    """As a server drives an ASGI application."""

    def __init__(self, app: Living) -> None:
        self.app = app
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def begin(self) -> dict[str, Any]:
        scope = {"type": "lifespan"}
        self.life = asyncio.create_task(self.app(scope, self.inbox.get, self.said.put))
        await self.inbox.put({"type": "lifespan.startup"})
        return await asyncio.wait_for(self.said.get(), 60)

    async def end(self) -> dict[str, Any]:
        await self.inbox.put({"type": "lifespan.shutdown"})
        said = await asyncio.wait_for(self.said.get(), 60)
        await self.life
        return said

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        sent = {"host": "127.0.0.1:8000", "content-type": "application/json", **headers}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(k.encode(), v.encode()) for k, v in sent.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        waiting = [{"type": "http.request", "body": json.dumps(body).encode()}]
        came: list[dict[str, Any]] = []

        async def receive() -> Any:
            if waiting:
                return waiting.pop()
            return await asyncio.Event().wait()

        async def send(message: Any) -> None:
            came.append(dict(message))

        await self.app(scope, receive, send)
        return came[0]["status"], json.loads(b"".join(m.get("body", b"") for m in came[1:]))


def served(settings: Settings, ask: Callable[[Server], Awaitable[Any]]) -> Any:
    """What `ask` gets of a server that runs with `settings`."""

    async def go() -> Any:
        server = Server(Living(settings))
        assert (await server.begin())["type"] == "lifespan.startup.complete"
        try:
            return await ask(server)
        finally:
            assert (await server.end())["type"] == "lifespan.shutdown.complete"

    return asyncio.run(go())


def test_it_answers_as_the_checkpoint_does(floor: Path) -> None:
    async def ask(server: Server) -> Any:
        return await server.post("/v1/classify", {"texts": [TEXT]})

    status, said = served(Settings(checkpoint=str(floor)), ask)
    own = load(floor).predict([TEXT])[0]
    assert status == 200
    assert said["results"][0]["label"] == own.label == "ham"


def test_without_keys_only_this_machine_may_ask_and_nobody_may_swap(floor: Path) -> None:
    async def ask(server: Server) -> list[int]:
        body = {"texts": [TEXT]}
        foreign = await server.post("/v1/classify", body, host="evil.example")
        swap = await server.post("/admin/swap", {"checkpoint": str(floor)})
        return [foreign[0], swap[0]]

    assert served(Settings(checkpoint=str(floor)), ask) == [421, 403]

    async def open_to_all(server: Server) -> list[int]:
        body = {"texts": [TEXT]}
        foreign = await server.post("/v1/classify", body, host="models.example")
        swap = await server.post("/admin/swap", {"checkpoint": str(floor)})
        return [foreign[0], swap[0]]

    assert served(Settings(checkpoint=str(floor), no_keys=True), open_to_all) == [200, 403]


def test_with_keys_a_request_shows_one(floor: Path, tmp_path: Path) -> None:
    token = keys.add(tmp_path / "keys", "root", "admin")

    async def ask(server: Server) -> list[int]:
        body, shown = {"texts": [TEXT]}, {"host": "a.example", "authorization": f"Bearer {token}"}
        answers = [
            await server.post("/v1/classify", body),
            await server.post("/v1/classify", body, **shown),
            await server.post("/admin/swap", {"checkpoint": str(floor)}, **shown),
        ]
        return [status for status, _ in answers]

    settings = Settings(checkpoint=str(floor), key_file=str(tmp_path / "keys"))
    assert served(settings, ask) == [401, 200, 403]


def test_what_can_not_be_opened_fails_at_the_start(tmp_path: Path) -> None:
    async def go(settings: Settings) -> dict[str, Any]:
        return await Server(Living(settings)).begin()

    said = asyncio.run(go(Settings(checkpoint=str(tmp_path / "none"))))
    assert said["type"] == "lifespan.startup.failed"
    assert "none" in said["message"]
    settings = Settings(checkpoint=str(tmp_path / "none"), key_file=str(tmp_path / "no-keys"))
    assert "no-keys" in asyncio.run(go(settings))["message"]
