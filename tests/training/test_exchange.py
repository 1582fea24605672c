"""The exchange of one process, and of a group of one; several processes: test_torchrun.py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gradus.errors import TrainingError, UsageError
from gradus.runner import ranks
from gradus.training import distributed
from gradus.training.config import StageConfig
from gradus.training.distributed import Replicated, Sharded
from gradus.training.exchange import Exchange, current, taking_part
from gradus.training.loop import train

from .conftest import KeptMonitor, make_task


@pytest.fixture(scope="module")
def group() -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group(
        "gloo", store=dist.HashStore(), rank=0, world_size=1, timeout=timedelta(seconds=60)
    )
    yield
    dist.destroy_process_group()


def test_alone_nothing_is_exchanged() -> None:
    alone = current()
    assert (alone.rank, alone.world, alone.leads, alone.shards) == (0, 1, True, False)
    rows = np.arange(5)
    dealt, share = alone.deal(rows)
    assert dealt is rows
    assert share == 1.0
    assert alone.sum(1.5, 2.5) == (1.5, 2.5)
    assert alone.any(False, True) == (False, True)
    assert alone.share(lambda: "made") == "made"
    state = torch.get_rng_state()
    alone.seed(7, 3)
    assert torch.equal(torch.get_rng_state(), state)
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    weight.grad = torch.tensor([3.0, 4.0])
    alone.reduce_gradients([weight])
    assert float(alone.clip([weight], None)) == 5.0
    assert weight.grad.tolist() == [3.0, 4.0]
    assert float(alone.clip([weight], 1.0)) == 5.0
    assert weight.grad.tolist() == pytest.approx([0.6, 0.8])


def ranked(rank: int, world: int) -> Replicated:
    """A member of a group, as far as it needs no other."""
    made = Replicated.__new__(Replicated)
    made.rank, made.world = rank, world
    return made


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40), st.integers(1, 9))
def test_every_row_is_dealt_to_one_process_and_all_run_equally_often(
    rows: list[int], world: int
) -> None:
    dealt = [ranked(rank, world).deal(np.array(rows)) for rank in range(world)]
    own = [row for part, share in dealt if share for row in part.tolist()]
    assert sorted(own) == sorted(rows)
    assert all(len(part) and share in (0.0, 1.0) for part, share in dealt)
    sizes = [len(part) for part, share in dealt if share]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**9), st.integers(1, 64))
def test_followers_draw_what_stage_update_and_rank_say(seed: int, update: int, rank: int) -> None:
    before = torch.get_rng_state()
    drawn = []
    for which in (rank, rank, rank + 1):
        ranked(which, 99).seed(seed, update)
        drawn.append(torch.rand(4))
    ranked(rank, 99).seed(seed, update + 1)
    drawn.append(torch.rand(4))
    torch.set_rng_state(before)
    ranked(0, 99).seed(seed, update)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[3])


def test_gradients_are_sent_in_messages_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "BUCKET", 10)
    shapes = [(4,), (5,), (2,), (30,), (1, 3), (3, 3)]
    tensors = [torch.rand(shape) for shape in shapes] + [torch.rand(2, dtype=torch.float64)]
    buckets = list(distributed._buckets(tensors))
    assert [t for bucket in buckets for t in bucket] == tensors
    for bucket in buckets:
        assert len({t.dtype for t in bucket}) == 1
        assert len(bucket) == 1 or sum(t.numel() for t in bucket) <= 10
    assert len(buckets) == 6


@pytest.mark.parametrize("kind", [Replicated, Sharded])
def test_a_group_of_one_trains_what_one_process_trains(
    group: None, tmp_path: Path, kind: type[Replicated]
) -> None:
    stages = [
        StageConfig(
            train="all",
            embeddings=True,
            epochs=2,
            batch_size=8,
            accumulate=2,
            keep="best",
            clip=0.5,
        )
    ]

    def outcome(name: str) -> tuple[Any, list[dict[str, Any]], Any]:
        (tmp_path / name).mkdir()
        monitor = KeptMonitor()
        task = make_task("llama", monitor=monitor)
        done = train(task, stages, seed=3, work=tmp_path / name, monitor=monitor, save_seconds=0.0)
        return task, monitor.rows, done

    alone, rows, one = outcome("alone")
    with taking_part(kind()):
        task, grouped, other = outcome("group")
    assert not isinstance(current(), Replicated)
    assert [row.keys() for row in grouped] == [row.keys() for row in rows]
    for left, right in zip(rows, grouped, strict=True):
        assert right["train_loss"] == pytest.approx(left["train_loss"], rel=1e-5)
    assert other.cost["flops"] == one.cost["flops"]
    before, after = alone.parameters(), task.parameters()
    assert before.keys() == after.keys()
    for name, parameter in before.items():
        assert type(after[name]) is nn.Parameter
        assert torch.allclose(after[name], parameter, rtol=1e-4, atol=1e-6), name
    assert type(task.backbone.model) is type(alone.backbone.model)
    batch = task.train.batch(range(5))
    with torch.inference_mode():
        assert torch.allclose(task.backbone.run(batch), alone.backbone.run(batch), atol=1e-4)


def test_a_gradient_that_no_loss_reaches_stays_away(group: None) -> None:
    reached, unreached = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))
    reached.grad = torch.tensor([1.0, 2.0, 3.0])
    Replicated().reduce_gradients([reached, unreached])
    assert reached.grad.tolist() == [1.0, 2.0, 3.0]
    assert unreached.grad is None


def test_an_error_of_the_leader_is_one_everywhere(group: None) -> None:
    def fail() -> None:
        raise TrainingError("no state")

    with pytest.raises(TrainingError, match="no state"):
        Replicated().share(fail)


@pytest.mark.parametrize(
    ("kind", "stages", "told"),
    [
        (Replicated, [{"train": "all", "loss": {"name": "supcon"}}], "compares the rows"),
        (Sharded, [{"train": "head"}, {"train": "all"}], "stage 1 .* take one stage"),
        (Sharded, [{"train": "top-1"}], "take one stage that trains all layers"),
        (Sharded, [{"train": "all", "optimiser": "muon"}], "muon needs whole matrices"),
    ],
)
def test_what_several_processes_cannot_train_is_refused(
    group: None, tmp_path: Path, kind: type[Replicated], stages: list[dict[str, Any]], told: str
) -> None:
    parsed = [StageConfig.model_validate(stage) for stage in stages]
    with taking_part(kind()), pytest.raises(TrainingError, match=told):
        train(make_task(), parsed, seed=1, work=tmp_path, monitor=KeptMonitor())


def test_several_processes_are_known_by_the_launchers_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert not ranks.several()
    with ranks.joined() as leads:
        assert leads
        assert type(current()) is Exchange
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "x")):
        monkeypatch.setenv(name, value)
    assert not ranks.several()
    monkeypatch.setenv("MASTER_PORT", "1")
    assert ranks.several()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not ranks.several()


def test_a_choice_of_sharding_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ranks.SHARD, "yes")
    with pytest.raises(UsageError, match="GRADUS_SHARD=yes"):
        ranks._sharded()
    assert math.isfinite(ranks.PATIENCE.total_seconds())
