"""Engines in this process, and what takes their parts."""

from __future__ import annotations

import threading
from typing import Any

from tests.serve.openai.conftest import language, model, tokenizer

from gradus.serve.engine import Asked, Say
from gradus.serve.engines.base import Writing
from gradus.serve.engines.order import Order

__all__ = ["language", "model", "tokenizer"]


class Heard(Say):
    """Keeps what is said of a job."""

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.fault_: tuple[int, str] | None = None
        self.stopped = False
        self.ended = threading.Event()

    def part(self, value: Any) -> None:
        self.parts.append(value)

    def done(self, value: Any = None) -> None:
        self.ended.set()

    def fault(self, status: int, message: str) -> None:
        self.fault_ = (status, message)
        self.ended.set()

    @property
    def cancelled(self) -> bool:
        return self.stopped

    @property
    def refused(self) -> dict[str, Any]:
        return dict(self.parts[0]["refused"])

    @property
    def texts(self) -> list[str]:
        """By their numbers."""
        pieces = self.parts[1:]
        count = 1 + max(piece["i"] for piece in pieces)
        return ["".join(p["t"] for p in pieces if p["i"] == n) for n in range(count)]

    @property
    def finishes(self) -> list[str]:
        return [piece["f"] for piece in self.parts[1:] if piece["f"]]


def begin(engine: Writing, number: int = 1, **order: Any) -> Heard:
    """Begin a job; greedy unless the settings say otherwise."""
    settings = {"temperature": 0.0, **order.pop("settings", {})}
    heard = Heard()
    engine.start(Asked(number, "complete", Order(settings=settings, **order).to_json()), heard)
    return heard


def answered(engine: Writing, number: int = 1, **order: Any) -> Heard:
    """A job, when it is over."""
    heard = begin(engine, number, **order)
    assert heard.ended.wait(60)
    assert heard.fault_ is None, heard.fault_
    return heard
