"""What goes wrong outside: hostile bodies, floods, clients that leave, kills under load."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gradus.cli.main import main
from gradus.predict.linear import save_majority

from .scripted import NAME
from .servers import Running, served

SMALL = ("--queue", 4, "--max-texts", 3, "--max-characters", 40, "--max-body", 0.01)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Running]:
    """A server with small limits, whose texts say what happens."""
    file = tmp_path_factory.mktemp("scripted") / "checkpoint"
    file.write_text("one")
    path = f"{root / 'src'}{os.pathsep}{root}"
    with served(file, "--engine", f"{NAME}:Scripted", *SMALL, PYTHONPATH=path) as running:
        yield running


def raw(running: Running, *parts: bytes, pause: float = 0.0, seconds: float = 20) -> bytes:
    """What comes back for these bytes, until the server or the time ends it."""
    with socket.create_connection(running.address, timeout=seconds) as sock:
        for part in parts:
            sock.sendall(part)
            time.sleep(pause)
        sock.settimeout(seconds)
        said = b""
        while chunk := sock.recv(65536):
            said += chunk
            head, found, rest = said.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            if found and length.isdigit() and len(rest) >= int(length):
                break
        return said


def metric(running: Running, name: str) -> float:
    lines = running.get("/metrics").content.decode().splitlines()
    (line,) = [line for line in lines if line.startswith(f"gradus_{name} ")]
    return float(line.split()[1])


# --- bodies


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"nothing", 400),
        (b'{"texts": ["\xff\xfe"]}', 400),
        (b'\xff\xfe{"texts": ["a"]}', 400),
        (b'{"texts": ["\\ud800"]}', 400),
        (b'{"texts": ["a"], "top_k": NaN}', 422),
        (b'{"texts": ["a"], "threshold": NaN}', 422),
        (b"[" * 100_000, 413),
        (b"[" * 9_000, 400),
        (b'{"texts": ' + b"[" * 500 + b"]" * 500 + b"}", 400),
        (b"[]", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"texts": []}', 422),
        (b'{"texts": "a"}', 422),
        (b'{"texts": [""]}', 422),
        (b'{"texts": [" \\n\\t "]}', 422),
        (b'{"texts": [1]}', 422),
        (b'{"texts": [null]}', 422),
        (b'{"texts": [["a"]]}', 422),
        (b'{"texts": [["a", "b", "c"]]}', 422),
        (b'{"texts": ["a", "b", "c", "d"]}', 422),
        (b'{"texts": ["' + b"a" * 41 + b'"]}', 422),
        (b'{"texts": ["a"], "top_k": 0}', 422),
        (b'{"texts": ["a"], "top_k": 1e400}', 422),
        (b'{"texts": ["a"], "top_k": 99999999999999999999999}', 422),
        (b'{"texts": ["a"], "threshold": 1.5}', 422),
        (b'{"texts": ["a"], "more": 1}', 422),
        (b'{"texts": ["a\\u0000b"]}', 200),
        ('{"texts": ["你好，世界", "🙂"]}'.encode(), 200),
        (b'{"texts": [["one", "two"]]}', 200),
    ],
)
def test_bodies(scripted: Running, body: bytes, status: int) -> None:
    headers = {"content-type": "application/json"}
    reply = scripted.request("POST", "/v1/classify", body, headers)
    assert reply.status == status, reply.content
    if status != 200:
        assert set(reply.json["error"]) == {"message", "type", "code"}


def test_another_content_type_is_refused(scripted: Running) -> None:
    body = b'{"texts": ["a"]}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        headers = {"content-type": kind}
        assert scripted.request("POST", "/v1/classify", body, headers).status == 415
    headers = {"content-type": "application/json; charset=utf-8"}
    assert scripted.request("POST", "/v1/classify", body, headers).status == 200


def test_a_hundred_megabytes_are_refused_and_not_kept(scripted: Running) -> None:
    process = psutil.Process(scripted.process.pid)
    before = process.memory_info().rss
    body = b'{"texts": ["' + b"a" * 100_000_000 + b'"]}'
    headers = {"content-type": "application/json"}
    assert scripted.request("POST", "/v1/classify", body, headers).status == 413
    assert process.memory_info().rss - before < 20e6
    assert scripted.classify("still here").status == 200


def test_a_body_without_end_is_refused(scripted: Running) -> None:
    head = (
        b"POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    chunk = b"2000\r\n" + b"a" * 8192 + b"\r\n"
    assert raw(scripted, head, chunk, chunk, chunk).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "message",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST /v1/classify HTTP/9.9\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: many\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(scripted: Running, message: bytes) -> None:
    said = raw(scripted, message)
    assert said.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), said[:100]
    assert scripted.get("/healthz").status == 200


def test_paths_and_methods(scripted: Running) -> None:
    assert scripted.get("/v1/classify").status == 405
    assert scripted.get("/v1/nothing").status == 404
    assert scripted.get("/static/../server.py").status == 404
    assert scripted.get("/%ff%fe").status == 404
    assert scripted.post("/v1/tag", {"texts": ["a"]}).status == 409


@pytest.mark.slow
def test_a_body_that_does_not_come_is_given_up(scripted: Running) -> None:
    head = (
        b"POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: 20\r\n\r\n"
    )
    began = time.monotonic()
    assert raw(scripted, head, b'{"tex').startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 15


# --- too many, too slow


def test_a_full_queue_refuses_before_the_body_is_read(scripted: Running) -> None:
    sleeping = [threading.Thread(target=scripted.classify, args=("sleep 0.4",)) for _ in range(4)]
    for thread in sleeping:
        thread.start()
    while metric(scripted, "requests_inside") < 4:
        time.sleep(0.01)
    head = b"POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000\r\n\r\n"
    said = raw(scripted, head)
    assert said.startswith(b"HTTP/1.1 429")
    after = int(said.lower().partition(b"retry-after: ")[2].partition(b"\r\n")[0])
    assert 1 <= after <= 60
    assert scripted.get("/readyz").status == 200
    for thread in sleeping:
        thread.join()
    assert scripted.classify("and again").status == 200


def test_a_client_that_hangs_up_costs_nothing(scripted: Running) -> None:
    before = metric(scripted, "hung_up_total")
    body = json.dumps({"texts": ["sleep 0.8"]}).encode()
    head = b"POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    message = head + f"content-length: {len(body)}\r\n\r\n".encode() + body
    socks = [socket.create_connection(scripted.address) for _ in range(3)]
    for sock in socks:
        sock.sendall(message)
        time.sleep(0.1)
    for sock in socks:
        sock.close()
    began = time.monotonic()
    assert scripted.classify("next").status == 200
    # The first was under way; the others, which waited, were taken out of the line.
    assert time.monotonic() - began < 1.6
    assert metric(scripted, "hung_up_total") - before >= 2
    assert metric(scripted, "requests_inside") == 0


# --- logs


def test_no_text_is_logged(scripted: Running) -> None:
    secret = "an indiscreet text"
    assert scripted.classify(secret).status == 200
    assert scripted.classify("raise " + secret).status == 500
    assert scripted.classify(secret * 9).status == 422
    assert scripted.post("/v1/classify", {"texts": [secret], secret: 1}).status == 422
    time.sleep(0.2)
    said = json.dumps(scripted.lines) + "".join(scripted.plain)
    assert secret not in said
    assert scripted.plain == []
    last = scripted.events("request")[-1]
    assert last["path"] == "/v1/classify"
    assert last["status"] == 422
    assert last["ms"] > 0


@pytest.mark.slow
def test_texts_are_logged_where_that_is_asked_for(floor: Path) -> None:
    with served(floor, "--log-texts") as running:
        running.classify("a discreet text")
        assert "a discreet text" in running.wait_for("request")["body"]


# --- the way out


class Crowd:
    """Clients that ask again and again, each over its own connection."""

    def __init__(self, running: Running, count: int = 8, text: str = "hello") -> None:
        self.running, self.text = running, text
        self.seen: Counter[Any] = Counter()
        self.labels: list[str] = []
        self.ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self) -> None:
        connection = self.running.connect()
        body = json.dumps({"texts": [self.text]})
        while not self.ended.is_set():
            try:
                headers = {"content-type": "application/json"}
                connection.request("POST", "/v1/classify", body, headers)
                answer = connection.getresponse()
                content = answer.read()
            except ConnectionRefusedError:
                self.seen["refused connection"] += 1
                return
            except (OSError, ValueError) as error:
                self.seen[type(error).__name__] += 1
                return
            self.seen[answer.status] += 1
            if answer.getheader("connection") == "close":
                # The server is ending: a client goes elsewhere now, as a load balancer does.
                self.seen["sent elsewhere"] += 1
                return
            if answer.status == 200:
                self.labels.append(json.loads(content)["results"][0]["label"])


def test_sigterm_drops_no_request(floor: Path) -> None:
    with served(floor, "--drain", 0.5) as running, Crowd(running) as crowd:
        time.sleep(0.5)
        assert running.stop() == 0
        time.sleep(0.1)
        crowd.ended.set()
    assert crowd.seen[200] > 20
    assert set(crowd.seen) == {200, "sent elsewhere"}
    assert crowd.seen["sent elsewhere"] == 8


@pytest.mark.slow
def test_ctrl_c_ends_with_0_and_leaves_no_process(floor: Path) -> None:
    with served(floor, "--drain", 0) as running:
        children = psutil.Process(running.process.pid).children()
        assert running.stop(signal.SIGINT) == 0
        assert not any(child.is_running() for child in children)


def test_a_checkpoint_that_can_not_be_opened_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(tmp_path / "nothing"), "--port", "0"]) == 1
    said = capsys.readouterr().err
    assert "nothing" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_kills_under_load_cost_few_answers_and_hang_none(floor: Path) -> None:
    with served(floor, "--workers", 2, "--quiet") as running, Crowd(running, 16) as crowd:
        until = time.monotonic() + 10
        kills = 0
        while time.monotonic() < until:
            time.sleep(0.7)
            for child in psutil.Process(running.process.pid).children()[:1]:
                child.kill()
                kills += 1
        time.sleep(4)
        before = crowd.seen[200]
        time.sleep(1)
        assert crowd.seen[200] > before
    assert kills > 5
    assert set(crowd.seen) <= {200, 503}
    assert crowd.seen[503] < 0.01 * crowd.seen[200]


def corrupted(folder: Path) -> Path:
    save_majority(folder, labels=["spam", "ham"], counts=[9, 1])
    (weights,) = folder.glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    return folder


@pytest.mark.slow
def test_a_swap_under_load_and_a_corrupt_one(floor: Path, other: Path, tmp_path: Path) -> None:
    with served(floor, "--quiet") as running, Crowd(running) as crowd:
        time.sleep(0.3)
        broken = corrupted(tmp_path / "broken")
        refused = running.post("/admin/swap", {"checkpoint": str(broken)})
        assert refused.status == 422
        assert "SHA-256" in refused.message or "changed" in refused.message
        assert set(crowd.labels) == {"ham"}
        swapped = running.post("/admin/swap", {"checkpoint": str(other)})
        assert swapped.status == 200
        assert swapped.json["model"] == "other"
        time.sleep(0.3)
        assert running.classify("hello").json["results"][0]["label"] == "spam"
        assert running.get("/readyz").status == 200
        crowd.ended.set()
    assert set(crowd.seen) == {200}
    assert set(crowd.labels) == {"ham", "spam"}
    assert crowd.labels[-1] == "spam"


@pytest.mark.slow
def test_sighup_serves_what_stands_there_now(floor: Path, other: Path, tmp_path: Path) -> None:
    current = tmp_path / "current"
    current.symlink_to(floor)
    with served(current) as running:
        assert running.classify("a").json["results"][0]["label"] == "ham"
        current.unlink()
        current.symlink_to(other)
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("swapped")
        assert running.classify("a").json["results"][0]["label"] == "spam"


@pytest.mark.slow
def test_a_shadow_is_counted(floor: Path, other: Path) -> None:
    with served(floor, "--shadow", other, "--shadow-share", 1) as running:
        for _ in range(5):
            assert running.classify("a", "b").json["results"][0]["label"] == "ham"
        until = time.monotonic() + 60
        while metric(running, "shadow_texts_total") < 10 and time.monotonic() < until:
            time.sleep(0.05)
        assert metric(running, "shadow_texts_total") == 10
        assert metric(running, "shadow_disagreements_total") == 10
