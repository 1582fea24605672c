"""A benchmark of the last word, on lines of JSON, and two tiny language models to ask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from gradus import catalog, registry
from gradus.benchmarks.texts import Document, TextBenchmark, TextBenchmarkConfig
from gradus.errors import DataError
from gradus.metrics.base import Items
from gradus.metrics.texts import Texts
from gradus.records import Target
from gradus.scoring.records import Engine, Progress
from scoring.causal import save_source

SENTENCE = "rain came down hard and the river rose over both banks before the night was out"
WORDS = SENTENCE.split()


class ToyConfig(TextBenchmarkConfig):
    case: Literal["as it is", "lower"] = "as it is"


class Toy(TextBenchmark):
    """The last word of each text."""

    Config: ClassVar[type[TextBenchmarkConfig]] = ToyConfig
    name: ClassVar[str] = "toy.v1"
    summary: ClassVar[str] = "the last word of each text"
    protocol: ClassVar[str] = "The last word after all others."
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "target_perplexity")
    compared: ClassVar[tuple[str, ...]] = ("accuracy", "target_perplexity")
    kind: ClassVar[Target] = "text"
    origin: ClassVar[str] = "made for tests"
    licence: ClassVar[str] = "none"
    chance: ClassVar[float | None] = 0.0
    published: ClassVar[dict[str, str]] = {"accuracy": "lambada-accuracy"}

    @classmethod
    def read(cls, config: Any, path: Path) -> Sequence[Document]:
        found = []
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines[: config.limit], start=1):
            try:
                text = json.loads(line)["text"]
            except ValueError as error:
                raise DataError("ends early", file=path, line=number) from error
            text = text.lower() if config.case == "lower" else text
            mark = hashlib.sha256(text.encode()).hexdigest()
            context, _, last = text.rpartition(" ")
            found.append(Document(mark, text, {"context": context, "last": f" {last}"}))
        return found

    @classmethod
    def ask(
        cls,
        config: Any,
        documents: Sequence[Document],
        engine: Engine,
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> Items:
        pairs = [(d.fields["context"], d.fields["last"]) for d in documents]
        found = engine.score_all(pairs, journal=journal, progress=progress)
        sizes = np.array([len(last) for _, last in pairs])
        return Texts(
            nats=np.array([one.nats for one in found]),
            tokens=np.array([one.tokens for one in found]),
            words=np.ones(len(pairs), dtype=np.int64),
            characters=sizes,
            bytes=sizes,
            greedy=np.array([one.greedy for one in found]),
            ids=tuple(document.id for document in documents),
        )

    @classmethod
    def terms(cls, config: Any, engine: Engine) -> dict[str, str]:
        return {"format": "lines", "case": config.case}


def texts(count: int) -> list[str]:
    """Sentences of three to nine words, no two alike."""
    draw = np.random.default_rng(5)
    found: dict[str, None] = {}
    while len(found) < count:
        found[" ".join(draw.choice(WORDS, int(draw.integers(3, 10))))] = None
    return [text.capitalize() for text in found]


def write(path: Path, count: int = 24) -> Path:
    """The benchmark's file."""
    lines = (json.dumps({"text": text}) for text in texts(count))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def make_models(folder: Path) -> None:
    """Folders ``base`` and ``other`` with a tiny Llama each, of different vocabularies."""
    save_source(folder / "base", texts(24))
    save_source(folder / "other", [*texts(24), "And something else altogether " * 9])


def plan(world: Path, *steps: dict[str, Any], **top: Any) -> dict[str, Any]:
    """A plan on those models."""
    return {
        "name": "toys",
        "models": {name: {"folder": str(world / name)} for name in ("base", "other")},
        "measure": {"bootstrap": 100},
        "steps": list(steps),
        **top,
    }


def suite(world: Path, *gates: str, **more: Any) -> dict[str, Any]:
    """A step that asks both models."""
    return {
        "id": "suite",
        "step": "evaluate",
        "models": ["base", "other"],
        "benchmarks": [{"toy": str(world / "toy.jsonl")}],
        "gates": list(gates),
        **more,
    }


@pytest.fixture
def toys() -> Iterator[None]:
    """The catalog holds the benchmark."""
    held = catalog.CATALOG["benchmarks"]
    catalog.CATALOG["benchmarks"] = {**held, "toy.v1": f"{Toy.__module__}:Toy"}
    registry.entries.cache_clear()
    yield
    catalog.CATALOG["benchmarks"] = held
    registry.entries.cache_clear()
