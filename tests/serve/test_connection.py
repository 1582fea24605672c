"""Connections that cost more than they should: real sockets that say little and read nothing."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gradus.serve.service import Service

from .scripted import NAME
from .servers import Running, served
from .services import during
from .test_faults import metric

GET = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


@contextlib.contextmanager
def writing(folder: Path, root: Path, *arguments: object) -> Iterator[Running]:
    """A server whose engine writes one text at a time."""
    file = folder / "checkpoint"
    file.write_text("one")
    path = f"{root / 'src'}{os.pathsep}{root}"
    with served(file, "--engine", f"{NAME}:Endless", *arguments, PYTHONPATH=path) as running:
        yield running


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Running]:
    with writing(tmp_path_factory.mktemp("endless"), root, "--timeout", 1, "--queue", 2) as one:
        yield one


def asking(running: Running, prompt: str, room: int = 4096) -> socket.socket:
    """A socket that has asked for a stream and has room for little of it, in bytes."""
    body = json.dumps({"model": "one", "prompt": prompt, "stream": True}).encode()
    head = "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    sock.settimeout(20)
    sock.connect(running.address)
    sock.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return sock


def written(running: Running, prompt: str) -> int:
    """The status of an answer that isn't streamed."""
    return running.post("/v1/completions", {"model": "one", "prompt": prompt}).status


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def rest(sock: socket.socket) -> bytes:
    """What comes until the other side ends it."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(65536):
            said += chunk
    return said


def read(sock: socket.socket) -> None:
    """All that comes, and keep none of it."""
    while sock.recv(1 << 20):
        pass


def computed(running: Running) -> float:
    """Seconds of processor time that the worker has taken."""
    (worker,) = psutil.Process(running.process.pid).children()
    times = worker.cpu_times()
    return float(times.user + times.system)


def test_whoever_takes_nothing_of_a_stream_loses_its_place(endless: Running) -> None:
    before = metric(endless, "stalled_total")
    with asking(endless, "endless") as sock:
        assert sock.recv(15) == b"HTTP/1.1 200 OK"
        with asking(endless, "3") as waiting:  # for the one slot
            until(lambda: metric(endless, "requests_inside") == 2)
            assert written(endless, "3") == 429
            until(lambda: metric(endless, "stalled_total") == before + 1)
            assert b"[DONE]" in rest_of_stream(waiting)
        until(lambda: metric(endless, "requests_inside") == 0)
        assert written(endless, "3") == 200
        spent = computed(endless)
        time.sleep(0.5)
        assert computed(endless) - spent < 0.1  # nothing is written any more
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        assert b"[DONE]" not in rest(sock)
    assert metric(endless, "stalled_total") == before + 1


def test_whoever_reads_slowly_gets_all_of_it(endless: Running) -> None:
    before = metric(endless, "stalled_total")
    with asking(endless, "150", 65536) as sock:
        said = b""
        for _ in range(20):  # so little that the kernel takes no more from the server meanwhile
            said += sock.recv(40_000)
            time.sleep(0.1)
        said += rest_of_stream(sock)
    assert said.count(b"data: {") == 150
    assert metric(endless, "stalled_total") == before


def rest_of_stream(sock: socket.socket) -> bytes:
    said = b""
    while not said.endswith(b"0\r\n\r\n"):
        chunk = sock.recv(65536)
        assert chunk, "it was cut off"
        said += chunk
    return said


def test_whoever_hangs_up_while_others_are_written_to_waits_no_longer(endless: Running) -> None:
    before = metric(endless, "hung_up_total")
    with asking(endless, "endless", 1 << 20) as first:
        reader = threading.Thread(target=read, args=(first,), daemon=True)
        reader.start()
        with asking(endless, "endless"):
            until(lambda: metric(endless, "requests_inside") == 2)
        until(lambda: metric(endless, "requests_inside") == 1)
        first.shutdown(socket.SHUT_RDWR)
        reader.join()
    until(lambda: metric(endless, "requests_inside") == 0)
    until(lambda: metric(endless, "hung_up_total") == before + 2)


def test_parts_that_are_taken_slowly_end_with_the_time_of_the_request(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{root / 'src'}{os.pathsep}{root}")
    (tmp_path / "checkpoint").write_text("one")

    async def work(service: Service) -> tuple[int, str]:
        import asyncio

        from gradus.serve.refusals import Refused

        taken = 0
        try:
            async for _ in service.stream("write", {"text": "a " * 100}):
                taken += 1
                await asyncio.sleep(0.1)
        except Refused as refused:
            return taken, refused.message
        return taken, ""

    taken, said = during(work, tmp_path / "checkpoint", "Writer", limits={"seconds": 0.5})
    assert 3 <= taken <= 6
    assert said == "no answer within 0.5 s"


# --- heads


@pytest.fixture(scope="module", params=["httptools", "h11"])
def parsing(
    request: pytest.FixtureRequest,
    floor: Path,
    tmp_path_factory: pytest.TempPathFactory,
    root: Path,
) -> Iterator[Running]:
    """A server with either parser: the second on asyncio alone, as uvicorn comes without extras."""
    hidden = tmp_path_factory.mktemp("hidden")
    if request.param == "h11":
        for name in ("httptools", "uvloop"):
            (hidden / f"{name}.py").write_text("raise ImportError(__name__)")
    with served(floor, PYTHONPATH=f"{hidden}{os.pathsep}{root / 'src'}") as running:
        yield running


def test_a_head_that_is_too_long_ends_the_connection(parsing: Running) -> None:
    process = psutil.Process(parsing.process.pid)
    before = process.memory_info().rss
    for first in (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n", GET + b"GET / HTTP/1.1\r\n"):
        with socket.create_connection(parsing.address, timeout=20) as sock:
            sock.sendall(first)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for number in range(2000):
                    sock.sendall(f"x-{number}: {'a' * 10_000}\r\n".encode())
                raise AssertionError("20 MB of a head were taken")
            rest(sock)
    assert process.memory_info().rss - before < 10e6
    assert parsing.get("/healthz").status == 200


@pytest.mark.slow
def test_a_head_that_does_not_come_is_given_up(parsing: Running) -> None:
    """One that says nothing, one a byte at a time, one such behind an answer."""
    before = metric(parsing, "headless_total")
    socks = [socket.create_connection(parsing.address, timeout=30) for _ in range(4)]
    began = time.monotonic()
    _, slow, second, after = socks
    second.sendall(GET)
    assert second.recv(65536).startswith(b"HTTP/1.1 200")
    for sock in (slow, second):
        sock.sendall(b"GET / HTTP/1.1\r\nx: ")
    # All is answered before the body has come, and the body never ends.
    after.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999\r\n\r\n")
    assert after.recv(65536).startswith(b"HTTP/1.1 200")
    ended: dict[socket.socket, float] = {}

    def drip(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(b"a")
                time.sleep(0.2)

    def wait(sock: socket.socket) -> None:
        rest(sock)
        ended[sock] = time.monotonic() - began

    threads = [threading.Thread(target=wait, args=(sock,)) for sock in socks]
    threads += [threading.Thread(target=drip, args=(sock,)) for sock in (slow, second, after)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for sock in socks:
        sock.close()
    assert len(ended) == 4
    assert all(8 < seconds < 20 for seconds in ended.values())
    assert metric(parsing, "headless_total") == before + 4


# --- many


def few_files(count: int) -> list[str]:
    """Runs a command that may have so many files open."""
    return ["sh", "-c", f'ulimit -n {count}; exec "$@"', "sh"]


def test_the_oldest_without_a_request_makes_room(floor: Path) -> None:
    with served(floor, before=few_files(160)) as running, contextlib.ExitStack() as stack:

        def connect() -> Any:
            return stack.enter_context(socket.create_connection(running.address, timeout=20))

        busy = connect()
        head = b"POST /v1/classify HTTP/1.1\r\nhost: localhost\r\n"
        body = b'{"texts": ["a"]}'
        busy.sendall(head + b"content-type: application/json\r\ncontent-length: 16\r\n\r\n")
        time.sleep(0.2)
        idle = [connect() for _ in range(100)]  # 160 - 128 find room
        assert running.get("/readyz").status == 200
        assert metric(running, "crowded_total") >= 69
        assert rest(idle[0]) == b""
        idle[-1].sendall(GET)
        assert idle[-1].recv(15) == b"HTTP/1.1 200 OK"
        busy.sendall(body)
        assert busy.recv(15) == b"HTTP/1.1 200 OK"


def test_where_all_have_a_request_another_is_told_so(floor: Path) -> None:
    with served(floor, before=few_files(140)) as running, contextlib.ExitStack() as stack:
        for _ in range(12):
            sock = stack.enter_context(socket.create_connection(running.address, timeout=20))
            sock.sendall(b"POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n")
            sock.sendall(b"content-type: application/json\r\n\r\n")
        time.sleep(0.3)
        reply = running.get("/healthz")
        assert reply.status == 429
        assert "connections" in reply.message
        assert int(reply.headers["retry-after"]) >= 1
        stack.close()
        until(lambda: running.get("/healthz").status == 200, 5)
