"""A judge's server in a process of its own, and samples to be judged."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gradus.writing.records import Samples, Writing

OPENINGS = (
    "The lamp went out, and",
    "Before the gate of the city",
    "My lord, the letter says",
    "At the third hour of night",
    "Nobody had told the baker",
    "When the snow came down",
)
WORDS = (
    "silver",
    "horses",
    "carried",
    "seven",
    "tired",
    "messengers",
    "over",
    "dark",
    "hills",
    "towards",
    "their",
    "king",
)


@dataclass(frozen=True)
class Server:
    """Where it is, and what it was asked."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def asked(self, model: str) -> list[dict[str, Any]]:
        """The requests to that model, in their order."""
        if not self.log.exists():
            return []
        rows = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [row for row in rows if row["model"] == model]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    log = tmp_path / "asked.jsonl"
    script = Path(__file__).parent / "server.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(log)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Server(int(process.stdout.readline()), log)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def text_of(quality: int, number: int) -> str:
    """A text of `quality` from 1 to 5 in the server's eyes: three new words for each point."""
    words = [WORDS[(number + i) % len(WORDS)] for i in range(3 * (quality - 1))]
    return " ".join([*words, *["and"] * number])


@pytest.fixture(scope="session")
def samples() -> Samples:
    """Three writers and people; people write best, ``poor`` worst, not on every prompt."""
    found = []
    for number, opening in enumerate(OPENINGS):
        for writer, quality in (("poor", 2), ("middling", 3), ("good", 4), ("human", 5)):
            better = quality - (number % 3 == 0 and writer == "good")
            text = text_of(better, number)
            found.append(Writing.of(writer=writer, prompt=opening, text=f" {text}"))
    return Samples(found)
