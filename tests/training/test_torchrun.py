"""Two and three processes against one: the same losses and weights, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gradus.testing.launching import environment, finished, torchrun

from .spread import Spread, trained

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# Llama has no dropout, whose draws would differ from process to process. Batches of 8 leave one
# of a single text at the end of an epoch of 41, which one of two processes stands in for.
ALL = {"train": "all", "embeddings": True, "epochs": 2, "batch_size": 8, "lr": 1e-3, "clip": 0.5}
STAGED = [
    {"train": "head"},
    {"train": "top-1", "epochs": 2, "lr": 3e-3, "batch_size": 8, "patience": 2, "average": 0.9},
    {**ALL, "accumulate": 2, "keep": "best"},
]


def together(
    folder: Path, *, shard: bool = False, world: int = 2, code: int = 0, **settings: Any
) -> dict[str, Any]:
    """What the leader of several processes found; nothing where they end with another code."""
    folder.mkdir(exist_ok=True)
    module = ("-m", "tests.training.spread", str(folder), json.dumps(settings))
    variables = environment(folder / "state", shard=shard)
    finished(torchrun(*module, world=world), variables, cwd=ROOT, code=code)
    if code:
        return {}
    found: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    assert found.get("error") or (found["world"], found["shards"]) == (world, shard)
    return found


def alike(one: Any, two: Any, relative: float = 1e-5) -> None:
    """The same structure, and numbers that differ by no more than rounding."""
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            alike(one[key], two[key], relative)
    elif isinstance(one, list):
        assert len(one) == len(two)
        for left, right in zip(one, two, strict=True):
            alike(left, right, relative)
    elif isinstance(one, float):
        assert two == pytest.approx(one, rel=relative, abs=1e-7)
    else:
        assert one == two


def losses(found: dict[str, Any]) -> list[float]:
    return [
        row[name] for row in found["rows"] for name in ("train_loss", "select_loss") if name in row
    ]


@pytest.mark.parametrize(
    ("shard", "stages"), [(False, STAGED), (True, [{**ALL, "accumulate": 2, "average": 0.9}])]
)
def test_two_processes_train_what_one_trains(
    tmp_path: Path, shard: bool, stages: list[dict[str, Any]]
) -> None:
    (tmp_path / "one").mkdir()
    one = trained(tmp_path / "one", Spread(stages=stages))
    two = together(tmp_path / "two", shard=shard, stages=stages)
    assert len(losses(one)) >= 4
    alike(losses(one), losses(two))
    alike(one["stages"], two["stages"])
    alike(one["rows"], two["rows"])
    alike(one["cost"], two["cost"])
    alike(one["weights"], two["weights"], 1e-4)
    # What is left of the model runs as a plain one does.
    alike(one["hidden"], two["hidden"], 1e-3)


def test_a_batch_smaller_than_the_number_of_processes_is_trained_on_once(tmp_path: Path) -> None:
    stages = [{**ALL, "batch_size": 2}]
    (tmp_path / "one").mkdir()
    one = trained(tmp_path / "one", Spread(stages=stages, n=9))
    three = together(tmp_path / "three", world=3, stages=stages, n=9)
    alike(losses(one), losses(three))
    alike(one["cost"], three["cost"])


@pytest.mark.parametrize(("shard", "kills"), [(False, (3, 4)), (True, (5,))])
def test_killed_the_processes_end_with_the_same_bits(
    tmp_path: Path, shard: bool, kills: tuple[int, ...]
) -> None:
    # BERT has dropout: what every process draws must outlive the kills too.
    settings = {"family": "bert", "stages": [{**ALL, "dropout": 0.3, "average": 0.9}]}
    whole = together(tmp_path / "whole", shard=shard, **settings)
    for stop in kills:
        together(tmp_path / "killed", shard=shard, code=1, stop=stop, **settings)
    again = together(tmp_path / "killed", shard=shard, **settings)
    assert again["bits"] == whole["bits"]
    assert again["cost"] == whole["cost"]
