"""The image, as far as can be told without a Docker daemon.

The instructions are parsed; what the build copies is copied, and its wheel built from that alone;
what the image runs is run, with the image's environment, on a root file system that is read-only,
and asked by the image's own health check. That the base image exists and has room for the rest is
only known where it is built.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest

from gradus.cli.serve import PORT
from gradus.predict.linear import save_majority
from gradus.serve import keys

from .image import DOCKERFILE, ROOT, context, environment, instructions, last_stage


def test_the_image_is_slim_and_runs_as_nobody_in_particular() -> None:
    bases = [one.words[0] for one in instructions() if one.name == "FROM"]
    assert bases == ["python:3.12-slim"] * 2
    user = last_stage("USER")[-1].words[0]
    assert all(int(part) >= 1000 for part in user.split(":"))
    names = [one.name for one in instructions()]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert not last_stage("RUN")


def test_no_model_and_no_secret_is_in_the_image() -> None:
    copied = [one for one in instructions() if one.name in ("COPY", "ADD")]
    sources = [word for one in copied if "from" not in one.flags() for word in one.words[:-1]]
    assert sorted(sources) == sorted(context())
    assert all((ROOT / source).exists() for source in sources)
    assert [one.text for one in copied if "from" in one.flags()] == [
        "--from=build /opt/gradus /opt/gradus"
    ]
    told = DOCKERFILE.read_text("utf-8")
    assert not re.search(r"(?i)(password|token|secret)\s*=", told)
    assert "/run/secrets/gradus-keys" in last_stage("CMD")[0].words


def test_torch_comes_without_cuda_and_versions_are_those_of_the_tests() -> None:
    installs = [one.text for one in instructions() if one.name == "RUN" and " install " in one.text]
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in text for text in installs)
    assert "--index-url https://download.pytorch.org/whl/cpu torch" in installs[0]
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)


def test_the_health_check_asks_the_port_that_is_served() -> None:
    served = last_stage("ENTRYPOINT")[0].words
    assert served[served.index("--port") + 1] == str(PORT) == last_stage("EXPOSE")[0].words[0]
    assert f"127.0.0.1:{PORT}/healthz" in last_stage("HEALTHCHECK")[0].words[-1]
    assert last_stage("STOPSIGNAL")[0].words == ["SIGTERM"]


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
        return number


def _readonly() -> list[str]:
    """A prefix that makes the root file system read-only for a command; none where that's barred.

    Only $WRITABLE stays writable, as /tmp does in the container.
    """
    inner = 'mount -o remount,bind,ro / && mount -t tmpfs tmpfs "$WRITABLE" && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", inner, "sh"]
    if shutil.which("unshare") is None or os.geteuid() != 0:
        return []
    with contextlib.suppress(OSError):
        tried = subprocess.run(
            [*prefix, "sh", "-c", f"! touch {Path(__file__).parent}/.written"],
            env={**os.environ, "WRITABLE": "/tmp"},
            capture_output=True,
            check=False,
        )
        (Path(__file__).parent / ".written").unlink(missing_ok=True)
        if tried.returncode == 0:
            return prefix
    return []


@contextlib.contextmanager
def _container(tmp_path: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The image's entry point with its own environment, and a key that it takes."""
    save_majority(tmp_path / "model", labels=["spam", "ham"], counts=[1, 3])
    token = keys.add(tmp_path / "gradus-keys", "somebody", "use")
    writable = tmp_path / "tmp"
    writable.mkdir()
    placed = {
        "/model": str(tmp_path / "model"),
        "/run/secrets/gradus-keys": str(tmp_path / "gradus-keys"),
        str(PORT): str(port),
    }
    words = [*last_stage("ENTRYPOINT")[0].words, *last_stage("CMD")[0].words]
    assert words[0] == "gradus"
    command = [sys.executable, "-m", "gradus", *(placed.get(word, word) for word in words[1:])]
    # Whatever of /tmp the image writes to is the one writable place here.
    own = {k: v.replace("/tmp", str(writable)) for k, v in environment().items() if k != "PATH"}
    own |= {"PATH": os.environ["PATH"], "TMPDIR": str(writable), "WRITABLE": str(writable)}
    if "PYTHONPATH" in os.environ:
        own["PYTHONPATH"] = os.environ["PYTHONPATH"]
    prefix = _readonly()
    process = subprocess.Popen(
        [*prefix, *command], env=own, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        yield process, token, prefix
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _healthy(port: int) -> bool:
    """What the image's HEALTHCHECK says."""
    words = [word.replace(f":{PORT}/", f":{port}/") for word in last_stage("HEALTHCHECK")[0].words]
    assert words[0] == "python"
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.slow
def test_what_the_image_runs_serves_and_ends(tmp_path: Path, port: int) -> None:
    assert not _healthy(port)
    with _container(tmp_path, port) as (process, token, prefix):
        until = time.monotonic() + 120
        while not _healthy(port):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.2)
        status, said = 0, b""
        while time.monotonic() < until:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/classify",
                b'{"texts": ["Hello"]}',
                {"content-type": "application/json", "authorization": f"Bearer {token}"},
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    status, said = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status = error.code
            if status == 503:  # the checkpoint is still being loaded
                time.sleep(0.2)
                continue
            break
        assert status == 200
        assert b'"ham"' in said
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(
                urllib.request.Request(
                    f"http://127.0.0.1:{port}/v1/classify",
                    b'{"texts": ["Hello"]}',
                    {"content-type": "application/json"},
                ),
                timeout=30,
            )
        process.send_signal(getattr(signal, last_stage("STOPSIGNAL")[0].words[0]))
        assert process.wait(60) == 0
        print("root file system:", "read-only" if prefix else "writable, since unshare is barred")


@pytest.mark.slow
def test_a_wheel_is_built_from_what_the_build_copies(tmp_path: Path) -> None:
    for name in context():
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, tmp_path / "build" / name, ignore=ignored)
        else:
            (tmp_path / "build").mkdir(exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / "build" / name)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path), "."],
        cwd=tmp_path / "build",
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    if done.returncode and "hatchling" in done.stdout + done.stderr:
        pytest.skip("hatchling can't be had: no network")
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        [metadata] = [name for name in names if name.endswith("/METADATA")]
        head = Parser().parsestr(file.read(metadata).decode())
    extras = [one.text.partition("=")[2] for one in instructions() if one.name == "ARG"]
    assert extras
    assert set(extras) <= set(head.get_all("Provides-Extra") or ())
    assert "gradus/serve/static/page.css" in names
