"""The contract of the server's engines."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from gradus.testing.base import Contract
from gradus.testing.world import World

TEXTS = ["The first text.", "第二个文本。", "x"]
BODIES: dict[str, Mapping[str, Any]] = {
    "classify": {"texts": TEXTS},
    "tag": {"texts": TEXTS},
    "embed": {"texts": TEXTS, "normalise": True},
}


class EngineContract(Contract):
    """An engine says what it serves, and does each of its tasks."""

    section: ClassVar[str] = "engines"

    def served(self, world: World) -> str:
        """A checkpoint that this engine opens."""
        raise NotImplementedError(f"the contract of engine '{self.entry}' must name a checkpoint")

    def test_it_takes_no_empty_folder(self, tmp_path: Path) -> None:
        """Choosing an engine raises nothing, and finds nothing where nothing is."""
        assert self.made.takes(str(tmp_path)) is False
        assert self.made.takes("package:there-is-none") is False
        assert self.made.name == self.plain

    def test_it_does_its_tasks(self, tmp_path: Path) -> None:
        """It opens, answers a probe, and gives JSON; without its package it names the extra."""
        from gradus.errors import MissingExtra

        served = self.served(self.world(tmp_path))
        try:
            engine = self.made.open(served, {"threads": 1})
        except MissingExtra as missing:
            said = str(missing)
            assert "gradus-lm[" in said
            return
        engine.probe()
        facts = engine.facts
        json.dumps(facts, allow_nan=False)
        assert {"name", "kind", "digest", "target", "labels", "max_tokens"} <= facts.keys()
        assert engine.tasks
        for task in engine.tasks:
            if engine.slots:
                self._writes(engine, task)
            else:
                self._answers(engine, task)

    def _answers(self, engine: Any, task: str) -> None:
        """Each job of a batch gets one answer a text, the same as alone."""
        from gradus.serve.engine import Asked

        jobs = [Asked(number, task, BODIES[task]) for number in range(2)]
        both = engine.run(jobs)
        json.dumps(both, allow_nan=False)
        assert [len(one) for one in both] == [len(TEXTS)] * 2

    def _writes(self, engine: Any, task: str) -> None:
        """A job's parts come, and its end; one that is cancelled leaves room."""
        from gradus.serve.engine import Asked
        from gradus.serve.engines.order import Order

        order = Order(prompts=("a b",), max_tokens=3, settings={"temperature": 0.0})
        heard = _Heard()
        engine.start(Asked(1, task, order.to_json()), heard)
        engine.cancel(2)
        assert heard.ended.wait(120)
        json.dumps(heard.parts, allow_nan=False)
        first, *pieces = heard.parts
        assert first["prompt_tokens"] >= 1
        assert pieces[-1]["f"] in ("stop", "length")
        assert pieces[-1]["n"] <= 3


class _Heard:
    """Takes what is said of a job."""

    cancelled = False

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.ended = threading.Event()

    def part(self, value: Any) -> None:
        self.parts.append(value)

    def done(self, value: Any = None) -> None:
        self.ended.set()

    def fault(self, status: int, message: str) -> None:
        raise AssertionError(f"{status}: {message}")
