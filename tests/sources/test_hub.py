"""The hub: a local server stands in for the network, everything else is real."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gradus.errors import MissingExtra
from gradus.sources import locate_weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# The hub's client reads its settings when it is imported, so each case has its own process.
PROBE = """
import json, sys
from pathlib import Path
from gradus.errors import GradusError
from gradus.sources import locate_data, locate_weights
spec, purpose = json.loads(sys.argv[1]), sys.argv[2]
try:
    if purpose == "weights":
        print(json.dumps(locate_weights("m", spec, Path(".")).to_json()))
    else:
        found = locate_data(spec, Path("."))
        print(json.dumps({"path": str(found.path), "origin": dict(found.origin)}))
except GradusError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""


class Hub(BaseHTTPRequestHandler):
    """As much of a hub as a download needs: one commit of one model and one data set."""

    files: dict[str, bytes]
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        if "/org/model" not in path and "/org/texts" not in path:
            self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
        elif path.startswith("/api/") and "/tree/" in path:
            tree = [
                {"type": "file", "path": n, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                for n, c in self.files.items()
            ]
            self._send(200, json.dumps(tree).encode(), {})
        elif path.startswith("/api/"):
            siblings = [{"rfilename": name} for name in self.files]
            info = {"id": "org/model", "sha": COMMIT, "siblings": siblings}
            self._send(200, json.dumps(info).encode(), {})
        else:
            content = self.files[path.partition(f"/resolve/{COMMIT}/")[2]]
            etag = hashlib.sha1(content).hexdigest()
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}
            self._send(200, content, headers, body=body)

    def _send(
        self, status: int, content: bytes, headers: dict[str, str], body: bool = True
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def hub(weights: Path) -> Iterator[tuple[str, list[str]]]:
    pytest.importorskip("huggingface_hub", reason="the extra hub isn't installed")
    Hub.files = {p.name: p.read_bytes() for p in weights.iterdir()}
    Hub.files |= {"pytorch_model.bin": b"pickle", "modeling.py": b"code", "data/train.csv": b"x"}
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Hub.asked
    server.shutdown()
    server.server_close()
    thread.join()


def probe(spec: dict[str, str], home: Path, purpose: str = "weights", **env: str) -> dict[str, str]:
    settings = ("HF_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(settings)}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(spec), purpose],
        env={**kept, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_weights_are_downloaded_once_and_then_read_offline(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, asked = hub
    ref = probe({"hub": "org/model"}, tmp_path / "home", HF_ENDPOINT=endpoint)
    assert ref["kind"] == "transformer"
    assert ref["origin"] == {"hub": "org/model", "revision": COMMIT}
    names = sorted(p.name for p in Path(ref["path"]).iterdir())
    assert names == ["config.json", "model.safetensors", "tokenizer.json"]
    assert not any(name.endswith((".bin", ".py")) for name in asked)
    asked.clear()
    again = probe({"hub": "org/model"}, tmp_path / "home", HF_HUB_OFFLINE="1")
    assert again == ref
    assert asked == []


def test_data_come_from_a_data_set_repository(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    endpoint, asked = hub
    spec = {"hub": "org/texts", "path": "data/train.csv"}
    found = probe(spec, tmp_path / "home", "data", HF_ENDPOINT=endpoint)
    assert Path(found["path"]).read_bytes() == b"x"
    assert found["origin"] == {"hub": "org/texts", "revision": COMMIT, "path": "data/train.csv"}
    assert any(path.startswith("/api/datasets/") for path in asked)


def test_an_unknown_repository(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    answer = probe({"hub": "org/nothing"}, tmp_path / "home", HF_ENDPOINT=hub[0])
    assert answer["error"] == "SourceError"
    assert answer["message"].startswith(
        "the hub's repository org/nothing can't be had: RepositoryNotFoundError"
    )


def test_offline_without_a_copy(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra hub isn't installed")
    answer = probe({"hub": "org/model", "revision": "v1"}, tmp_path / "home", HF_HUB_OFFLINE="1")
    assert answer["error"] == "SourceError"
    assert answer["message"].startswith(
        "the hub's repository org/model at revision v1 can't be had"
    )
    assert "HF_HUB_OFFLINE" in answer["message"]


def test_an_unreachable_hub(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra hub isn't installed")
    answer = probe({"hub": "org/model"}, tmp_path / "home", HF_ENDPOINT="http://127.0.0.1:9")
    assert answer["error"] == "SourceError"


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"pip install 'gradus-lm\[hub\]'"):
        locate_weights("m", {"hub": "org/model"}, tmp_path)
