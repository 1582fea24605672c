from __future__ import annotations

import pytest
import torch

from gradus.errors import TrainingError
from gradus.training.backbone import Backbone
from gradus.training.config import StageConfig
from gradus.training.groups import find_groups, select
from gradus.training.optimiser import StageOptimiser, decays, rate_of
from gradus.training.packing import Tokens

from .conftest import LAYERS, VOCABULARY, WIDTH, make_model

TEXTS = [[5, 7, 9, 4, 8], [3, 6], [11, 12, 13, 14, 15, 16, 17], [9, 9, 3, 4, 5]]


def alone(family: str, text: list[int]) -> torch.Tensor:
    """The model's own forward on one text, untouched by us, [L, d]."""
    return make_model(family)(input_ids=torch.tensor([text])).last_hidden_state[0]


def test_packed_rows_give_what_each_text_gives_alone(family: str) -> None:
    backbone = Backbone(make_model(family))
    assert backbone.packs
    batch = Tokens(TEXTS).batch(range(len(TEXTS)))
    with torch.inference_mode():
        got = backbone.run(batch)
        expected = torch.cat([alone(family, TEXTS[row]) for row in batch.rows])
    torch.testing.assert_close(got, expected, atol=2e-6, rtol=1e-5)


def test_lower_and_upper_part_make_the_whole(family: str) -> None:
    backbone = Backbone(make_model(family))
    batch = Tokens(TEXTS).batch(range(len(TEXTS)))
    with torch.inference_mode():
        whole = backbone.run(batch)
        for k in range(LAYERS):
            hidden = backbone.run(batch, high=k)
            assert hidden.shape == (batch.layout.tokens, WIDTH)
            torch.testing.assert_close(backbone.run(batch, hidden, k), whole, atol=0, rtol=0)
            if k:
                middle = backbone.run(batch, backbone.run(batch, high=k - 1), k - 1, k)
                torch.testing.assert_close(middle, hidden, atol=0, rtol=0)
                assert not torch.equal(hidden, backbone.run(batch, high=k - 1))


def test_a_model_that_cannot_pack_runs_by_equal_length(family: str) -> None:
    packed, plain = Backbone(make_model(family)), Backbone(make_model(family))
    plain.packs = False
    plain.model.set_attn_implementation("sdpa")
    batch = Tokens(TEXTS).batch(range(len(TEXTS)))
    with torch.inference_mode():
        for k in range(LAYERS):
            hidden = plain.run(batch, high=k)
            got = plain.run(batch, hidden, k)
            torch.testing.assert_close(got, packed.run(batch), atol=2e-6, rtol=1e-5)


def test_gradients_reach_the_upper_part_and_only_it(family: str) -> None:
    backbone = Backbone(make_model(family))
    batch = Tokens(TEXTS).batch(range(len(TEXTS)))
    with torch.no_grad():
        hidden = backbone.run(batch, high=2)
    for name, parameter in backbone.model.named_parameters():
        parameter.requires_grad_(backbone.groups.depth(backbone.groups.group_of[name]) >= 2)
    backbone.run(batch, hidden, 2).sum().backward()
    for name, parameter in backbone.model.named_parameters():
        deep = backbone.groups.depth(backbone.groups.group_of[name]) >= 2
        assert (parameter.grad is not None) is deep, name


def test_every_parameter_has_a_group(family: str) -> None:
    model = make_model(family)
    groups = find_groups(model)
    assert len(groups.layers) == LAYERS
    assert set(groups.group_of) == {name for name, _ in model.named_parameters()}
    assert set(groups.group_of.values()) == {"embeddings", "layer.0", "layer.1", "layer.2"}
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and parameter.shape[0] == VOCABULARY:
            assert groups.group_of[name] == "embeddings"
    after = {"gpt2": "ln_f.weight", "llama": "norm.weight", "qwen": "norm.weight"}
    if family in after:
        assert groups.group_of[after[family]] == "layer.2"


def test_an_unknown_family_is_found_by_its_longest_list_of_like_blocks() -> None:
    class Unknown(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(9, 4)
            self.side = torch.nn.ModuleList([torch.nn.Linear(4, 1), torch.nn.ReLU()])
            self.blocks = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(5))
            self.last = torch.nn.LayerNorm(4)

    groups = find_groups(Unknown())
    assert groups.path == "blocks"
    assert groups.group_of["words.weight"] == "embeddings"
    assert groups.group_of["last.weight"] == "layer.4"
    with pytest.raises(TrainingError, match="no list of like blocks"):
        find_groups(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("stage", "groups", "low"),
    [
        (StageConfig(train="head"), {"head"}, 3),
        (StageConfig(train="top-1"), {"head", "layer.2"}, 2),
        (StageConfig(train="top-3"), {"head", "layer.2", "layer.1", "layer.0"}, 0),
        (StageConfig(train="all"), {"head", "layer.2", "layer.1", "layer.0"}, 0),
        (
            StageConfig(train="all", embeddings=True),
            {"head", "layer.2", "layer.1", "layer.0", "embeddings"},
            -1,
        ),
        (StageConfig(train=("layer.1", "head")), {"head", "layer.1"}, 1),
        (StageConfig(train=("embeddings",)), {"embeddings"}, -1),
    ],
)
def test_selections(stage: StageConfig, groups: set[str], low: int) -> None:
    found = find_groups(make_model("bert"))
    chosen, lowest = select(stage, found, ["weight", "bias"])
    assert set(chosen.values()) == groups
    assert lowest == low
    everything = {**found.group_of, "head.weight": "head", "head.bias": "head"}
    assert set(chosen) == {n for n, g in everything.items() if g in groups}


def test_a_selection_that_selects_nothing_says_what_there_is() -> None:
    groups = find_groups(make_model("bert"))
    with pytest.raises(TrainingError, match=r"layer\.7.*groups are embeddings, layer\.0"):
        select(StageConfig(train=("layer.7",)), groups, ["weight"])
    with pytest.raises(TrainingError, match="top-4: the model has 3 layers"):
        select(StageConfig(train="top-4"), groups, ["weight"])


def test_layer_wise_decay_by_hand() -> None:
    groups = find_groups(make_model("bert"))
    stage = StageConfig(lr=1e-3, layer_lr_decay=0.5, head_lr=7e-3, embeddings=True)
    rates = {g: rate_of(g, stage, groups) for g in ("head", "layer.2", "layer.1", "layer.0")}
    assert rates == {"head": 7e-3, "layer.2": 1e-3, "layer.1": 5e-4, "layer.0": 2.5e-4}
    assert rate_of("embeddings", stage, groups) == 1.25e-4
    assert rate_of("head", StageConfig(lr=1e-3), groups) == 1e-3


def test_weight_decay_spares_biases_and_norms() -> None:
    model = make_model("bert")
    groups = find_groups(model)
    stage = StageConfig(weight_decay=0.3)
    chosen, _ = select(stage, groups, [])
    parameters = dict(model.named_parameters())
    (made,) = StageOptimiser(parameters, chosen, stage, groups).parts
    decay_of = {
        id(p): group["weight_decay"] for group in made.param_groups for p in group["params"]
    }
    for name in chosen:
        spared = name.endswith("bias") or "LayerNorm" in name
        assert decay_of[id(parameters[name])] == (0.0 if spared else 0.3), name
        assert decays(parameters[name]) is not spared
