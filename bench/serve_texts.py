"""Tokens a second that ``gradus serve`` writes, for one client and for eight at a time.

SmolLM2-135M, greedy, 64 tokens behind short openings, over HTTP through ``/v1/completions``. Ours
are the weights of the GGUF file rounded to int8, as step `quantize` does it, and the same in
bfloat16, under the engine `gradus`; the peer is the GGUF file (Q4_1) under the engine `llama-cpp`,
which batches too. All take turns. Then the same eight texts in eight requests one after the other:
what writing them in one batch gives. Alone and among others, greedy texts in float32 are the same.

    python bench/serve_texts.py --json              about 6 minutes
    python bench/serve_texts.py --json --quick      about 2 minutes
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

from common import Result, finish, parser, ratio, say
from generate import MODEL, OPENINGS
from serve import free_port, started

CLIENTS = 8
TARGET = 3.0
"""Times the tokens a second of one client, for eight at a time: weights are read once for all."""


def rounded(folder: Path) -> Path:
    """The int8 weights that ``quantize`` makes."""
    from gradus.compress.language.base import LanguageModel
    from gradus.compress.language.integer import LanguageInt8
    from gradus.scoring.load import find, load_causal_lm
    from gradus.training.models import load_tokenizer

    ref = find(MODEL)
    what = LanguageModel(model=load_causal_lm(ref), tokenizer=load_tokenizer(ref), name="smollm2")
    folder.mkdir()
    LanguageInt8().write(what, folder)
    return folder


def command(model: str, port: int, threads: int, *more: str) -> list[str]:
    """What starts a server."""
    where = ["--port", str(port), "--threads", str(threads), "--quiet"]
    return [sys.executable, "-m", "gradus.cli.main", "serve", model, *where, *more]


def written(port: int, prompt: str, tokens: int) -> tuple[str, int]:
    """A text, and how many tokens it has."""
    body = {"model": "default", "prompt": prompt, "max_tokens": tokens, "temperature": 0}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=600) as reply:
        found: dict[str, Any] = json.load(reply)
    return found["choices"][0]["text"], int(found["usage"]["completion_tokens"])


def rate(port: int, prompts: list[str], tokens: int, clients: int) -> tuple[float, list[str]]:
    """Tokens a second of all, and the texts."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(lambda prompt: written(port, prompt, tokens), prompts))
    seconds = time.perf_counter() - began
    return sum(count for _, count in found) / seconds, [text for text, _ in found]


def compared(rates: dict[str, dict[str, list[float]]], threads: int) -> list[Result]:
    """Medians of each side beside one another."""
    median = {
        name: {key: statistics.median(values) for key, values in found.items()}
        for name, found in rates.items()
    }
    results = []
    for name in ("int8", "bfloat16", "float32"):
        mine = median[name]
        shared: dict[str, Any] = {"dtype": name, "threads": threads, "unit": "tokens/s"}
        results.append(
            Result(
                name=f"{name}, {CLIENTS} at a time",
                peer="ours, one after the other",
                ours=mine["many"],
                theirs=mine["turns"],
                ratio=ratio(mine["many"], mine["turns"], lower_is_better=False),
                target=TARGET if name == "int8" else None,
                **shared,
            )
        )
        for key, said in (("one", "one client"), ("many", f"{CLIENTS} at a time")):
            results.append(
                Result(
                    name=f"{name}, {said}",
                    peer="llama.cpp, the same",
                    peer_version=metadata.version("xllamacpp"),
                    peer_flags="GGUF Q4_1",
                    ours=mine[key],
                    theirs=median["llama.cpp"][key],
                    ratio=ratio(mine[key], median["llama.cpp"][key], lower_is_better=False),
                    **shared,
                )
            )
    return results


def main() -> None:
    from gradus import hardware

    args = parser(__doc__).parse_args()
    tokens, rounds = (32, 2) if args.quick else (64, 5)
    threads = hardware.threads()
    sides = {
        "int8": (),
        "bfloat16": ("--engine", "gradus", "--dtype", "bfloat16"),
        "float32": ("--engine", "gradus", "--dtype", "float32"),
        "llama.cpp": ("--engine", "llama-cpp"),
    }
    rates: dict[str, dict[str, list[float]]] = {
        name: {"one": [], "turns": [], "many": []} for name in sides
    }
    prompts = list(OPENINGS[:CLIENTS])
    same = True
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        small = rounded(Path(scratch) / "int8")
        ports = {name: free_port() for name in sides}
        for name, more in sides.items():
            say(f"{name}: starting")
            model = str(small) if name == "int8" else MODEL
            call = command(model, ports[name], threads, *more)
            stack.enter_context(started(call, ports[name], "/readyz"))
            rate(ports[name], prompts[:2], 8, 2)
        for number in range(rounds):
            for name in sides:
                say(f"round {number + 1} of {rounds}: {name}")
                port, found = ports[name], rates[name]
                found["one"].append(rate(port, prompts[number : number + 1], tokens, 1)[0])
                speed, alone = rate(port, prompts, tokens, 1)
                found["turns"].append(speed)
                speed, together = rate(port, prompts, tokens, CLIENTS)
                found["many"].append(speed)
                same = same and (name != "float32" or alone == together)
    results = compared(rates, threads)
    finish(results, as_json=args.json, same_texts_in_float32=same, rates=rates)


if __name__ == "__main__":
    main()
