"""What a training shares with others of the same composite step, and who may stop it.

Outside composite steps there is nothing: each training keeps its own and runs to its end. The
loop, the tokeniser and the cache of frozen activations ask `current`; who runs steps inside a step
(`gradus.steps.inner`) sets it. Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TEXTS: Final = "texts"
"""The part of the shared folder that is kept text by text and so outlives a change of the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """Where a step stands that has just ended one of its stages, and not the last.

    Attributes:
        stage: how many stages are over, from 1.
        stages: how many it has.
        values: what the monitor said of dev.select at its end, e.g. ``{"accuracy": 0.91,
            "loss": 0.4}``; empty where it said nothing.
        tokens: trained on so far.
        seconds: of training so far.
    """

    stage: int
    stages: int
    values: Mapping[str, float]
    tokens: int = 0
    seconds: float = 0.0


class Paused(Exception):
    """Raised inside a step that is to stop at a boundary; its state is saved."""

    def __init__(self, boundary: Boundary) -> None:
        self.boundary = boundary
        super().__init__(f"stopped after stage {boundary.stage} of {boundary.stages}")


@dataclass(slots=True)
class Spent:
    """What the trainings of a step have taken, from their beginnings on, whether they end or fail.

    Attributes:
        tokens: trained on.
        seconds: of training.
    """

    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Within:
    """What holds while one step runs inside another.

    Attributes:
        shared: folder of what all of them may use: frozen activations; None for none.
        tokens: by tokenizer and greatest length, the tokens of each text.
        boundary: asked after each stage but the last whether to go on; None for always.
        spent: told what each training took; None for nobody who asks.
    """

    shared: Path | None = None
    tokens: MutableMapping[str, dict[str, Any]] | None = None
    boundary: Callable[[Boundary], bool] | None = None
    spent: Spent | None = None


_NOTHING = Within()
_current: list[Within] = []


@contextmanager
def inside(within: Within) -> Iterator[None]:
    """Trainings inside the block share what `within` holds."""
    _current.append(within)
    try:
        yield
    finally:
        _current.pop()


def current() -> Within:
    """What holds now."""
    return _current[-1] if _current else _NOTHING


__all__ = ["TEXTS", "Boundary", "Paused", "Spent", "Within", "current", "inside"]
