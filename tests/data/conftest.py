"""Data files written for one test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

WriteJsonl = Callable[[str, Iterable[Mapping[str, Any]]], Path]


@pytest.fixture
def write_jsonl(tmp_path: Path) -> WriteJsonl:
    def write(name: str, records: Iterable[Mapping[str, Any]]) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return write


def texts(n: int, labels: int = 2, start: int = 0) -> list[dict[str, str]]:
    """n distinct texts, their labels in turn."""
    return [{"text": f"text {i}", "label": "abcdefgh"[i % labels]} for i in range(start, start + n)]
