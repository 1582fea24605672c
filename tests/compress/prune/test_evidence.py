"""Importances against what transformers' own forward pass says, a text at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gradus.compress.prune import structure
from gradus.compress.prune.evidence import Evidence, contributions, influences, without_each
from gradus.objectives.classification import ClassifyTask
from gradus.training import shapes

from .tasks import alone, make_task

STEP = 0.05


def loss_of(evidence: Evidence, row: int) -> float:
    task = evidence.task
    batch = task.train.batch([row])
    with torch.inference_mode():
        features = task.features(task.backbone.run(batch), batch.layout)
        return float(task.loss(features, batch, evidence.loss))


def slope(evidence: Evidence, row: int, columns: torch.Tensor) -> float:
    """Central difference of a text's loss by a factor on some inputs of a matrix [C, R]."""
    before = columns.detach().clone()
    found = []
    for factor in (1 + STEP, 1 - STEP):
        with torch.no_grad():
            columns.copy_(before * factor)
        found.append(loss_of(evidence, row))
    with torch.no_grad():
        columns.copy_(before)
    return (found[0] - found[1]) / (2 * STEP)


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_contributions_are_the_slopes_of_each_text_s_loss(family: str) -> None:
    task = make_task(family, texts=8)
    evidence = Evidence.of(task, 6)
    layers = structure.parts(task)
    found = contributions(evidence, layers)
    assert [tuple(len(x) for x in pair) for pair in found] == [
        (layer.groups, layer.units) for layer in layers
    ]
    for number, layer in enumerate(layers):
        width = layer.head * layer.shared
        for module, size, place, values in (
            (layer.out, width, 1, found[number][0]),
            (layer.fall, 1, 5, found[number][1]),
        ):
            weight = module.weight
            assert isinstance(weight, torch.Tensor)
            inputs = weight.data if shapes.turned(module) else weight.data.T
            columns = inputs[place * size : (place + 1) * size]
            slopes = [slope(evidence, int(row), columns) for row in evidence.rows]
            assert np.abs(slopes).max() > 1e-4
            assert values[place] == pytest.approx(np.mean(np.abs(slopes)), rel=0.02, abs=1e-4)


def test_the_loss_without_a_layer_is_that_of_the_model_without_it() -> None:
    task = make_task("bert")
    found = without_each(Evidence.of(task, 20))
    for number in (0, 1):
        smaller = make_task("bert")
        structure.cut_layers(smaller, [1 - number])
        assert smaller.backbone.layers == 1
        assert found[number] == pytest.approx(Evidence.of(smaller, 20).mean_loss(), rel=1e-5)


def test_the_layer_without_which_the_loss_is_least_goes() -> None:
    evidence = Evidence.of(make_task("llama"), 20)
    losses = without_each(evidence)
    assert structure.layers_to_keep(evidence, 1, "removal") == [1 - int(np.argmin(losses))]
    turned = influences(evidence)
    assert structure.layers_to_keep(evidence, 1, "influence") == [int(np.argmax(turned))]
    assert structure.layers_to_keep(evidence, 1, "top") == [0]
    assert structure.layers_to_keep(evidence, 2, "removal") == [0, 1]


def around(task: ClassifyTask, row: int) -> list[torch.Tensor]:
    """Input and output of each layer for a text alone, under transformers' own attention."""
    states: list[torch.Tensor] = []

    def keep(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        states.append((args[0] if args else kwargs["hidden_states"])[0].double())
        states.append((out[0] if isinstance(out, tuple) else out).double().view_as(states[-1]))

    layers = task.backbone.groups.layers
    hooks = [layer.register_forward_hook(keep, with_kwargs=True) for layer in layers]
    with torch.inference_mode():
        task.backbone.model(input_ids=alone(task, row))
    for hook in hooks:
        hook.remove()
    return states


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_influence_is_what_the_hidden_states_say(family: str) -> None:
    task = make_task(family)
    evidence = Evidence.of(task, 10)
    found = influences(evidence)
    model: Any = task.backbone.model
    model.set_attn_implementation("sdpa")
    cosines: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for row in evidence.rows:
        states = around(task, int(row))
        for number, seen in enumerate(cosines):
            before, after = states[2 * number : 2 * number + 2]
            norms = before.norm(dim=-1) * after.norm(dim=-1)
            seen.append((before * after).sum(-1) / norms)
    expected = [1 - float(torch.cat(seen).mean()) for seen in cosines]
    assert found == pytest.approx(expected, abs=1e-5)


def test_texts_are_chosen_by_content_from_train_alone() -> None:
    task = make_task("bert")
    chosen = [task.train.keys[row] for row in Evidence.of(task, 5).rows]
    assert sorted(chosen) == sorted(task.train.keys)[:5]
    assert len(Evidence.of(task, 999).rows) == len(task.train)


def test_magnitude_is_the_norm_of_all_weights_of_a_unit_or_group() -> None:
    for family in ("bert", "gpt2", "llama"):
        task = make_task(family, texts=4)
        evidence = Evidence.of(task, 2)
        units = structure.importance(evidence, "units", "magnitude")[0]
        layer = structure.parts(task)[0]
        own = [m.weight.detach().double() for m in layer.rise]  # type: ignore[operator]
        total = sum(
            ((w[:, 7] if shapes.turned(m) else w[7]) ** 2).sum()
            for w, m in zip(own, layer.rise, strict=True)
        )
        fall = layer.fall.weight.detach().double()  # type: ignore[operator]
        total = total + ((fall[7] if shapes.turned(layer.fall) else fall[:, 7]) ** 2).sum()
        assert units[7] == pytest.approx(float(total.sqrt()))
        heads = structure.importance(evidence, "heads", "magnitude")[0]
        assert len(heads) == layer.groups
        # All groups together hold all weights of the attention.
        every = [*layer.inputs, layer.out]
        squares = sum(float((m.weight.detach().double() ** 2).sum()) for m in every)  # type: ignore[operator]
        assert float((heads**2).sum()) == pytest.approx(squares)
