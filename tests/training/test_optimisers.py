"""Every optimiser against a float64 reference, its rates by layer, its resuming."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradus import registry
from gradus.errors import TrainingError
from gradus.training.config import StageConfig
from gradus.training.groups import LayerGroups, find_groups
from gradus.training.optimiser import StageOptimiser

from .conftest import KeptMonitor, KilledHere, make_model
from .test_loop import bits, run, same

OPTIMISERS = [registry.plain(name) for name in registry.names("optimisers")]
RATE, DECAY, UPDATES = 3e-3, 0.1, 7

Array = np.ndarray
Update = Callable[[Array, Array, dict[str, Any], int, str], Array]


def adamw(w: Array, g: Array, state: dict[str, Any], t: int, place: str) -> Array:
    """Loshchilov & Hutter 2019, algorithm 2."""
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    state["v"] = 0.97 * state.get("v", 0) + 0.03 * g**2
    m, v = state["m"] / (1 - 0.9**t), state["v"] / (1 - 0.97**t)
    return np.asarray(m / (np.sqrt(v) + 1e-8))


def sgd(w: Array, g: Array, state: dict[str, Any], t: int, place: str) -> Array:
    state["b"] = 0.8 * state.get("b", 0) + g
    return np.asarray(g + 0.8 * state["b"])


def lion(w: Array, g: Array, state: dict[str, Any], t: int, place: str) -> Array:
    """Chen et al. 2023, algorithm 2."""
    m = state.get("m", np.zeros_like(g))
    state["m"] = 0.97 * m + 0.03 * g
    return np.asarray(np.sign(0.9 * m + 0.1 * g))


def adafactor(w: Array, g: Array, state: dict[str, Any], t: int, place: str) -> Array:
    """Shazeer & Stern 2018, algorithms 4 and 5, with the step size not relative."""
    beta = 1 - t**-0.8
    if g.ndim == 2:
        state["r"] = beta * state.get("r", 0) + (1 - beta) * (g**2).sum(1)
        state["c"] = beta * state.get("c", 0) + (1 - beta) * (g**2).sum(0)
        v = np.outer(state["r"], state["c"]) / state["r"].sum()
    else:
        v = state["v"] = beta * state.get("v", 0) + (1 - beta) * g**2
    u = g / np.sqrt(v)
    u = u / max(1.0, math.sqrt((u**2).mean()))
    relative = max(1.0, math.sqrt((w**2).mean()))
    return np.asarray(relative * min(1.0, 1 / (math.sqrt(t) * RATE)) * u)


def muon(w: Array, g: Array, state: dict[str, Any], t: int, place: str) -> Array:
    """Jordan et al. 2024 with the scale of Liu et al. 2025; AdamW where it has no place."""
    if g.ndim != 2 or not place.startswith("layer."):
        return adamw(w, g, state, t, place)
    state["b"] = 0.9 * state.get("b", 0) + 0.1 * g
    x = 0.1 * g + 0.9 * state["b"]
    x = x / np.linalg.norm(x)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return np.asarray(0.2 * math.sqrt(max(g.shape)) * x)


# Options that differ from the defaults, the reference with the same, and how far float32 (Muon:
# bfloat16) may lie from float64, as a share of the way that the weights have gone.
REFERENCES: dict[str, tuple[dict[str, Any], Update, float]] = {
    "adamw": ({"beta2": 0.97}, adamw, 1e-4),
    "sgd": ({"momentum": 0.8, "nesterov": True}, sgd, 1e-5),
    "lion": ({"beta2": 0.97}, lion, 1e-5),
    "adafactor": ({}, adafactor, 1e-4),
    "muon": ({"momentum": 0.9, "beta2": 0.97}, muon, 2e-2),
}


class Shaped(torch.nn.Module):
    """Two like layers, tables before them and a norm: every kind of parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(11, 6)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(6, 9) for _ in range(2)])


def made(stage: StageConfig) -> tuple[StageOptimiser, dict[str, torch.nn.Parameter], LayerGroups]:
    """A stage's optimiser over `Shaped` and a head, with weights of the usual size."""
    torch.manual_seed(0)
    model = Shaped()
    groups = find_groups(model)
    parameters = dict(model.named_parameters())
    parameters["head.weight"] = torch.nn.Parameter(2 * torch.randn(3, 9))
    chosen = {**groups.group_of, "head.weight": "head"}
    return StageOptimiser(parameters, chosen, stage, groups), parameters, groups


def stage_of(name: str, options: dict[str, Any] | None = None, **more: Any) -> StageConfig:
    chosen = {"name": name, **(options or {})}
    settings = {"lr": RATE, "weight_decay": DECAY, "layer_lr_decay": 0.5, "head_lr": 2 * RATE}
    return StageConfig(train="all", embeddings=True, optimiser=chosen, **{**settings, **more})


@pytest.mark.parametrize("name", OPTIMISERS)
def test_updates_are_those_of_the_reference(name: str) -> None:
    options, update, within = REFERENCES[name]
    # With a rate for each layer the reference's bound of Adafactor's rate would need it too.
    stage = stage_of(name, options, layer_lr_decay=1.0, head_lr=RATE)
    optimiser, parameters, groups = made(stage)
    start = {n: p.detach().double().numpy().copy() for n, p in parameters.items()}
    ours = {n: w.copy() for n, w in start.items()}
    states: dict[str, dict[str, Any]] = {n: {} for n in parameters}
    draw = np.random.default_rng(1)
    for t in range(1, UPDATES + 1):
        optimiser.set_rates(1.0)
        for n, p in parameters.items():
            g = draw.normal(size=p.shape) * 10.0 ** draw.integers(-3, 1)
            p.grad = torch.from_numpy(g).float()
            place = groups.group_of.get(n, "head")
            way = update(ours[n], p.grad.double().numpy(), states[n], t, place)
            decayed = ours[n] * (1 - RATE * (DECAY if p.ndim > 1 else 0.0))
            ours[n] = decayed - RATE * way
        optimiser.step()
    for n, p in parameters.items():
        gone = np.linalg.norm(ours[n] - start[n])
        # What float32 rounds of weights of this size, beside the share of the way.
        rounding = 1e-6 * np.linalg.norm(start[n])
        assert np.linalg.norm(p.detach().double().numpy() - ours[n]) < within * gone + rounding, n


def test_every_optimiser_has_a_reference() -> None:
    assert set(REFERENCES) == set(OPTIMISERS)


def test_muons_update_is_nearly_orthogonal() -> None:
    optimiser, parameters, _ = made(stage_of("muon", weight_decay=0.0, layer_lr_decay=1.0))
    weight = parameters["layers.1.weight"]
    before, gradient = weight.detach().clone(), torch.randn(9, 6)
    weight.grad = gradient.clone()
    optimiser.step()
    moved = ((before - weight.detach()) / (RATE * 0.2 * 3)).double()
    singular = torch.linalg.svdvals(moved)
    assert singular.min() > 0.4
    assert singular.max() < 1.4
    left, _, right = torch.linalg.svd(gradient.double(), full_matrices=False)
    polar = left @ right
    assert float((moved * polar).sum() / moved.norm() / polar.norm()) > 0.95


def test_a_relative_step_of_adafactor_goes_by_the_weights_size() -> None:
    stage = stage_of("adafactor", {"relative": True}, weight_decay=0.0)
    optimiser, parameters, _ = made(stage)
    head, bias = parameters["head.weight"], parameters["layers.1.bias"]
    with torch.no_grad():
        bias.zero_()
    before = head.detach().clone()
    for p in (head, bias):
        p.grad = torch.ones_like(p)
    optimiser.step()
    size = float(before.square().mean().sqrt())
    assert float((before - head).mean().detach()) == pytest.approx(2 * RATE * size, rel=1e-4)
    assert float(-bias.mean().detach()) == pytest.approx(RATE * 1e-3, rel=1e-4)


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_every_layer_moves_at_its_rate(name: str, factor: float) -> None:
    """The same weights and gradients in every layer: the way each goes is as its rate."""
    stage = stage_of(name, lr=8e-3, head_lr=2e-3, weight_decay=0.0)
    optimiser, parameters, _ = made(stage)
    with torch.no_grad():
        for kind in ("weight", "bias"):
            parameters[f"layers.0.{kind}"].copy_(parameters[f"layers.1.{kind}"])
    before = {n: p.detach().clone() for n, p in parameters.items()}
    torch.manual_seed(2)
    gradients = {"weight": torch.randn(9, 6), "bias": torch.randn(9)}
    for n, p in parameters.items():
        kind = n.rpartition(".")[2]
        p.grad = gradients[kind].clone() if n.startswith("layers.") else torch.ones_like(p)
    optimiser.set_rates(factor)
    optimiser.step()
    way = {n: (before[n] - p.detach()).norm() for n, p in parameters.items()}
    for kind in ("weight", "bias"):
        ratio = float(way[f"layers.0.{kind}"] / way[f"layers.1.{kind}"])
        assert ratio == pytest.approx(0.5, rel=1e-3)
    # Ones give head and table the same direction at every weight; muon has AdamW there.
    moved = {n: float((before[n] - parameters[n]).detach().mean()) for n in parameters}
    size = {n: max(1.0, float(before[n].square().mean().sqrt())) for n in parameters}
    relative = name == "adafactor"
    head = moved["head.weight"] / (size["head.weight"] if relative else 1.0)
    table = moved["table.weight"] / (size["table.weight"] if relative else 1.0)
    assert head == pytest.approx(2e-3 * factor, rel=1e-3)
    assert table == pytest.approx(8e-3 * 0.25 * factor, rel=1e-3)


STAGES = {
    name: (
        StageConfig(train="top-1", steps=3, lr=1e-3, batch_size=8, optimiser=name, average=0.9),
        StageConfig(train="all", epochs=1, batch_size=8, optimiser=name, embeddings=True),
    )
    for name in OPTIMISERS
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_killed_after_every_update_it_ends_with_the_same_bits(name: str, tmp_path: Path) -> None:
    whole, watched, outcome = run(tmp_path / "whole", STAGES[name])
    kills, monitor = 0, KeptMonitor(stop_after=1)
    while True:
        try:
            task, _, _ = run(tmp_path / "killed", STAGES[name], monitor=monitor)
            break
        except KilledHere:
            kills += 1
            rows, monitor = monitor.rows, KeptMonitor(stop_after=1)
            monitor.rows = rows
    assert kills >= 7
    assert same(bits(task), bits(whole))
    assert monitor.rows == watched.rows
    assert [stage["optimiser"] for stage in outcome.stages] == [name, name]


def test_another_optimiser_doesnt_go_on_from_a_state(tmp_path: Path) -> None:
    with pytest.raises(KilledHere):
        run(tmp_path / "w", STAGES["sgd"], monitor=KeptMonitor(stop_after=2))
    changed, _, _ = run(tmp_path / "w", STAGES["lion"])
    clean, _, _ = run(tmp_path / "clean", STAGES["lion"])
    assert same(bits(changed), bits(clean))


class Counting(torch.optim.Optimizer):
    """Keeps every kind of state: tensors, numbers, nothing, and a number of its groups."""

    def __init__(self, groups: Any) -> None:
        super().__init__(groups, {"seen": 0, "fixed": 0.5})

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            group["seen"] += 1
            for p in group["params"]:
                state = self.state[p]
                state["count"] = state.get("count", 0) + 1
                state["sum"] = state.get("sum", 0.0) + 0.1
                state["odd"] = bool(state["count"] % 2)
                state["nothing"] = None
                state["kept"] = state.get("kept", torch.zeros_like(p)) + p.grad


def test_any_state_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    adamw_entry = registry.load("optimisers", "adamw")
    monkeypatch.setattr(
        adamw_entry, "build", lambda self, config, members: [Counting(_settings(members))]
    )
    first, parameters, _ = made(StageConfig(layer_lr_decay=0.5))
    for p in parameters.values():
        p.grad = torch.ones_like(p)
    first.parts[0].step()
    first.parts[0].step()
    saved = {name: value.clone() for name, value in first.export().items()}
    assert not any("fixed" in name for name in saved)
    second, fresh, _ = made(StageConfig(layer_lr_decay=0.5))
    second.restore({**saved, "average/head.weight": torch.ones(1)})
    assert [g["seen"] for g in second.parts[0].param_groups] == [2] * len(
        first.parts[0].param_groups
    )
    for name, p in parameters.items():
        a, b = first.parts[0].state[p], second.parts[0].state[fresh[name]]
        assert a.keys() == b.keys()
        assert {k: v for k, v in a.items() if k != "kept"} == {
            k: v for k, v in b.items() if k != "kept"
        }
        assert type(b["odd"]) is bool
        assert torch.equal(a["kept"], b["kept"])


def test_state_that_cant_be_saved_is_said() -> None:
    optimiser, parameters, _ = made(StageConfig())
    optimiser.parts[0].state[parameters["head.weight"]]["history"] = [1, 2]
    with pytest.raises(TrainingError, match="'history' of type list"):
        optimiser.export()


def test_a_parameter_that_nothing_updates_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.load("optimisers", "adamw")
    monkeypatch.setattr(entry, "build", lambda self, c, members: [Counting(_settings(members[1:]))])
    with pytest.raises(TrainingError, match="every parameter exactly once"):
        made(StageConfig())


def test_muon_without_a_matrix_of_a_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="trains no matrix of a layer"):
        run(tmp_path / "w", (StageConfig(train=("/LayerNorm/",), steps=1, optimiser="muon"),))


def test_muon_leaves_table_and_head_to_adamw() -> None:
    model = make_model("bert")
    groups = find_groups(model)
    stage = StageConfig(optimiser="muon", embeddings=True)
    parameters = dict(model.named_parameters())
    built = StageOptimiser(parameters, groups.group_of, stage, groups)
    held = [{id(p) for g in part.param_groups for p in g["params"]} for part in built.parts]
    for name, p in parameters.items():
        orthogonal = p.ndim == 2 and groups.group_of[name].startswith("layer.")
        assert (id(p) in held[0]) is orthogonal
        assert (id(p) in held[1]) is not orthogonal


def _settings(members: Any) -> list[dict[str, Any]]:
    from gradus.training.optimisers.base import settings

    return settings(members)
