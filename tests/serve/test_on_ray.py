"""The deployment on a local Ray: started, asked, hurt, and shut down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from gradus.errors import MissingExtra, UsageError
from gradus.predict import load
from gradus.serve.on_ray import app

from .test_living import TEXT

SCRIPT = """
import json, os, signal, socket, sys, time, urllib.error, urllib.request
import psutil, ray
from ray import serve
from gradus.serve.on_ray import app

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
for again in (True, True, False):
    try:
        ray.init(num_cpus=2, object_store_memory=80 << 20, include_dashboard=False,
                 log_to_driver=False, _temp_dir=sys.argv[2])
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        break
    except Exception:  # Ray gives its processes 30 s to start, which a busy machine may need
        ray.shutdown()
        if not again:
            raise
serve.run(app({"checkpoint": sys.argv[1], "threads": "1"}), route_prefix="/")

def ask(path, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    sent = {"content-type": "application/json", **headers}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, sent)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return [answer.status, json.load(answer)]
    except urllib.error.HTTPError as error:
        return [error.code, json.load(error)]

def workers():
    every = psutil.Process().children(recursive=True)
    return [p for p in every if "gradus.serve.worker" in " ".join(p.cmdline())]

text = {"texts": [sys.argv[3]]}
told = {
    "ready": ask("/readyz"),
    "classified": ask("/v1/classify", text),
    "malformed": ask("/v1/classify", {"texts": 5}),
    "foreign": ask("/v1/classify", text, host="evil.example"),
    "swap": ask("/admin/swap", {"checkpoint": sys.argv[1]}),
}
[worker] = workers()
worker.send_signal(signal.SIGKILL)
told["after"] = ask("/v1/classify", text)
told["another"] = [w.pid for w in workers()] != [worker.pid]
serve.shutdown()
ray.shutdown()
time.sleep(2)
told["left"] = len(workers())
print(json.dumps(told))
"""


@pytest.mark.slow
def test_a_local_ray_serves_and_ends(floor: Path) -> None:
    # Right below /tmp: the name of a socket has 107 bytes at most, and Ray adds 70 of its own.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as place:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(floor), place, TEXT],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"},
        )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ready"] == [200, {"status": "ready"}]
    assert told["classified"][0] == told["after"][0] == 200
    assert told["classified"][1]["results"] == told["after"][1]["results"]
    assert told["classified"][1]["results"][0]["label"] == load(floor).predict([TEXT])[0].label
    assert [told[name][0] for name in ("malformed", "foreign", "swap")] == [422, 421, 403]
    assert told["another"]
    assert told["left"] == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "checkpoint: Field required"),
        ({"checkpoint": "x", "worker": 1}, "worker: Extra inputs"),
        ({"checkpoint": "x", "replicas": "0"}, "replicas: Input should be greater"),
    ],
)
def test_arguments_are_checked(args: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        app(args)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"gradus-lm\[ray\]"):
        app({"checkpoint": "x"})
