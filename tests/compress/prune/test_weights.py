from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.classifiers import Silent
from gradus.compress.prune import weights
from gradus.compress.prune.evidence import Evidence
from gradus.errors import TrainingError
from gradus.training.config import StageConfig
from gradus.training.loop import train

from .tasks import alone, make_task


@given(st.integers(1, 6), st.integers(1, 12), st.floats(0, 1), st.integers(0, 999))
def test_each_row_loses_its_share_of_the_least(
    rows: int, columns: int, amount: float, seed: int
) -> None:
    scores = torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed))
    mask = weights.row_masks(scores, amount)
    for values, kept in zip(scores.numpy(), mask.numpy(), strict=True):
        assert (~kept).sum() == round(amount * columns)
        assert set(np.flatnonzero(~kept)) == set(np.argsort(values)[: round(amount * columns)])


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 999))
def test_two_of_every_four_stay(rows: int, fours: int, seed: int) -> None:
    scores = torch.rand(rows, 4 * fours, generator=torch.Generator().manual_seed(seed)).numpy()
    mask = weights.two_of_four(torch.from_numpy(scores)).numpy()
    for row, kept in zip(scores, mask, strict=True):
        for start in range(0, 4 * fours, 4):
            part, stays = row[start : start + 4], kept[start : start + 4]
            assert set(np.flatnonzero(stays)) == set(np.argsort(part)[2:])


def test_two_of_four_needs_fours() -> None:
    with pytest.raises(TrainingError, match="has 6: take unstructured"):
        weights.two_of_four(torch.ones(2, 6))


def test_of_equal_weights_the_first_go() -> None:
    assert weights.lowest(torch.zeros(4), 3).tolist() == [False, False, False, True]


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize("scope", ["layer", "model"])
def test_the_smallest_weights_of_the_layers_go(family: str, scope: str) -> None:
    task = make_task(family, texts=4)
    before = {n: p.detach().clone() for n, p in task.parameters().items()}
    masks = weights.magnitude(task, 0.3, pattern="unstructured", scope=scope)
    path = task.backbone.groups.path
    assert set(masks) == {n for n, p in before.items() if n.startswith(f"{path}.") and p.ndim == 2}
    weights.apply(task, masks)
    after = task.parameters()
    assert all(torch.equal(after[n], p) for n, p in before.items() if n not in masks)
    groups = [list(masks)] if scope == "model" else [[name] for name in masks]
    for names in groups:
        own = torch.cat([before[n].abs().flatten() for n in names])
        gone = torch.cat([(after[n] == 0).flatten() for n in names])
        assert int(gone.sum()) == round(0.3 * len(own))
        assert own[gone].max() <= own[~gone].min()


def squared(task: Any, modules: dict[str, Any], rows: np.ndarray) -> dict[str, torch.Tensor]:
    """Sums of squares of what the modules are given, by transformers' own forward pass."""
    found = {name: torch.zeros(1, dtype=torch.float64) for name in modules}

    def add(name: str) -> Any:
        def hook(_: Any, args: tuple[torch.Tensor, ...]) -> None:
            found[name] = found[name] + args[0].square().flatten(0, -2).sum(0)

        return hook

    hooks = [module.register_forward_pre_hook(add(name)) for name, module in modules.items()]
    with torch.inference_mode():
        for row in rows:
            task.backbone.model(input_ids=alone(task, int(row)))
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_wanda_is_magnitude_times_the_norm_of_the_input(family: str) -> None:
    """By transformers' own forward pass, a text at a time, in float64, layer after layer."""
    ours, theirs = make_task(family), make_task(family)
    evidence = Evidence.of(ours, 12)
    masks = weights.wanda(ours, evidence, 0.5, pattern="unstructured")
    model: Any = theirs.backbone.model.double()
    model.set_attn_implementation("sdpa")
    differing = total = 0
    for number, layer in enumerate(theirs.backbone.groups.layers):
        modules = weights.matrices(layer)
        squares = squared(theirs, modules, evidence.rows)
        for name, module in modules.items():
            scores = weights.by_rows(module).abs() * squares[name].sqrt()
            order = scores.argsort(dim=1)[:, : round(0.5 * scores.shape[1])]
            expected = torch.ones_like(scores, dtype=torch.bool).scatter_(1, order, False)
            path = f"{theirs.backbone.groups.path}.{number}.{name}.weight"
            kept = masks[path].T if weights.turned(module) else masks[path]
            differing += int((kept != expected).sum())
            total += kept.numel()
            with torch.no_grad():
                weights.by_rows(module).mul_(expected)
    # Sums in float32 may turn the order of two all but equal scores.
    assert differing <= 1e-3 * total


@pytest.mark.parametrize(
    "optimiser", ["adamw", "lion", "muon", {"name": "sgd", "momentum": 0.9}, "adafactor"]
)
def test_zeros_stay_zero_whatever_trains(optimiser: Any, tmp_path: Path) -> None:
    task = make_task("bert")
    masks = weights.magnitude(task, 0.5, pattern="2:4", scope="layer")
    weights.apply(task, masks)
    before = {n: p.detach().clone() for n, p in task.parameters().items()}
    # The second stage trains what was frozen in the first, and an average takes its place.
    stages = [
        StageConfig(train="top-1", steps=2, lr=1e-2, optimiser=optimiser),
        StageConfig(train="all", steps=4, lr=1e-2, optimiser=optimiser, average=0.5),
    ]
    with weights.held(task, masks):
        train(task, stages, seed=1, work=tmp_path, monitor=Silent())
    after = task.parameters()
    for name, mask in masks.items():
        assert not after[name][~mask].any()
        assert not torch.equal(after[name], before[name])
    # Outside of it nothing is held.
    assert not task.parameters()[name]._backward_hooks


def test_a_mask_costs_the_gradient_s_norm_nothing(tmp_path: Path) -> None:
    """A weight that is held has no gradient, so clipping is by the others' alone."""
    task = make_task("bert", texts=4)
    masks = weights.magnitude(task, 0.5, pattern="unstructured", scope="layer")
    with weights.held(task, masks):
        batch = task.train.batch(range(4))
        features = task.features(task.backbone.run(batch), batch.layout)
        task.loss(features, batch, Evidence.of(task, 1).loss).backward()  # type: ignore[no-untyped-call]
    for name, mask in masks.items():
        slope = task.parameters()[name].grad
        assert slope is not None
        assert not slope[~mask].any()
        assert slope[mask].any()
