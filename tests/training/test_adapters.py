"""Every adapter on every family, against peft's own forward pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gradus import registry
from gradus.errors import TrainingError
from gradus.training import models
from gradus.training.adapters import attach as adapters
from gradus.training.adapters.attached import of
from gradus.training.adapters.base import parse
from gradus.training.backbone import Backbone
from gradus.training.packing import Tokens

from .conftest import LAYERS, VOCABULARY, make_model

TEXTS = [[5, 7, 9, 4, 8], [3, 6], [11, 12, 13, 14, 15, 16, 17], [9, 9, 3, 4, 5]]
OPTIONS: dict[str, dict[str, Any]] = {
    "lora": {"name": "lora", "rank": 2, "alpha": 4},
    "dora": {"name": "lora", "rank": 2, "dora": True},
    "ia3": {"name": "ia3"},
    "prompt-tuning": {"name": "prompt-tuning", "tokens": 3},
    "prefix-tuning": {"name": "prefix-tuning", "tokens": 3},
}
WEIGHTS = ("lora", "dora", "ia3")


@pytest.fixture(params=sorted(OPTIONS))
def options(request: pytest.FixtureRequest, family: str) -> dict[str, Any]:
    """Every adapter that the family takes."""
    if (request.param, family) == ("prefix-tuning", "distilbert"):
        pytest.skip("refused, which has a test of its own")
    return OPTIONS[request.param]


def adapted(family: str, options: dict[str, Any]) -> Any:
    """A tiny model whose adapter is no longer what it began as."""
    model = make_model(family)
    torch.manual_seed(3)
    attached = adapters.attach(model, parse(options))
    with torch.no_grad():
        for name in sorted(attached.parameters):
            parameter = model.get_parameter(name)
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def run(model: Any) -> dict[int, torch.Tensor]:
    """Hidden states of each text in one packed batch."""
    batch = Tokens(TEXTS).batch(range(len(TEXTS)))
    with torch.inference_mode():
        rows = Backbone(model).run(batch)
    parts = torch.split(rows, [len(TEXTS[row]) for row in batch.rows])
    return dict(zip(batch.rows.tolist(), parts, strict=True))


def pefts_own(wrapper: Any, text: list[int]) -> torch.Tensor:
    """peft's forward on one text, its virtual tokens left out."""
    with torch.inference_mode():
        output = wrapper.eval()(input_ids=torch.tensor([text])).last_hidden_state[0]
    return output[-len(text) :]


def near(found: torch.Tensor, expected: torch.Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=1e-4)


def test_every_adapter_of_the_catalog_is_tried_here() -> None:
    entries = {registry.plain(entry) for entry in registry.names("adapters")}
    assert entries == {options["name"] for options in OPTIONS.values()}


def test_packed_rows_are_what_peft_gives_text_by_text(family: str, options: dict[str, Any]) -> None:
    model = adapted(family, options)
    backbone = Backbone(model)
    assert backbone.packs
    found = run(model)
    model.set_attn_implementation("sdpa")
    attached = of(model)
    assert attached is not None
    plain = run(make_model(family))
    for row, text in enumerate(TEXTS):
        model.set_attn_implementation("sdpa")
        near(found[row], pefts_own(attached.peft, text))
        assert (found[row] - plain[row]).abs().max() > 1e-3


def test_runs_of_equal_length_give_the_same(family: str, options: dict[str, Any]) -> None:
    model = adapted(family, options)
    packed = run(model)
    backbone = Backbone(model)
    backbone.packs = False
    model.set_attn_implementation("sdpa")
    batch = Tokens(TEXTS).batch(range(len(TEXTS)))
    with torch.inference_mode():
        rows = backbone.run(batch)
        parts = [backbone.run(batch, backbone.run(batch, high=k), k) for k in range(LAYERS)]
    near(rows, torch.cat([packed[row] for row in batch.rows]))
    for part in parts:
        near(part, rows)


def test_long_texts_and_bfloat16_take_the_other_attention(
    family: str, options: dict[str, Any]
) -> None:
    from gradus.training import packing

    model = adapted(family, options)
    short = run(model)
    limit, packing.SHORT = packing.SHORT, 0
    try:
        fused = run(model)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = run(model)
    finally:
        packing.SHORT = limit
    for row in range(len(TEXTS)):
        near(fused[row], short[row])
        assert (rounded[row].float() - short[row]).norm() < 0.1 * short[row].norm()


def test_saved_it_is_pefts_and_loads_in_either(
    family: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """The weights beside the adapter are the untouched ones, and peft puts the two together."""
    import peft
    from transformers import AutoModel

    from gradus.records import CheckpointRef

    model = adapted(family, options)
    expected = run(model)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with models._quietly():
            model.save_pretrained(tmp_path / name, state_dict=adapters.base_weights(model))
        adapters.write(model, tmp_path / name)
    files = sorted(p.name for p in (tmp_path / "one" / "adapter").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors", "options.json"]
    for name in files:
        one, two = (tmp_path / n / "adapter" / name for n in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    config = (tmp_path / "one" / "adapter" / "adapter_config.json").read_text()
    assert json.loads(config)["base_model_name_or_path"] == ".."
    assert str(tmp_path) not in config

    with models._quietly():
        base = AutoModel.from_pretrained(tmp_path / "one").eval()
    original = make_model(family).state_dict()
    for name, tensor in base.state_dict().items():
        if name in original:
            assert torch.equal(tensor, original[name]), name
    theirs = peft.PeftModel.from_pretrained(base, str(tmp_path / "one" / "adapter"))
    for row, text in enumerate(TEXTS):
        near(pefts_own(theirs, text), expected[row])

    ref = CheckpointRef(name="x", kind="transformer", path=str(tmp_path / "one"))
    drawn = torch.get_rng_state()
    ours = models.load_model(ref)
    found = run(ours)
    assert torch.equal(torch.get_rng_state(), drawn)
    for row in range(len(TEXTS)):
        near(found[row], expected[row])
    loaded = of(ours)
    assert loaded is not None
    assert loaded.identity() == parse(options).to_json()
    assert loaded.parameters == of(model).parameters


@pytest.mark.parametrize("kind", WEIGHTS)
def test_merged_weights_say_the_same(family: str, kind: str) -> None:
    model = adapted(family, OPTIONS[kind])
    expected = run(model)
    adapters.merge(model)
    assert of(model) is None
    assert model.state_dict().keys() == make_model(family).state_dict().keys()
    found = run(model)
    for row in range(len(TEXTS)):
        near(found[row], expected[row])
    adapters.attach(model, parse(OPTIONS["lora"]))
    assert len(Backbone(model).groups.adapter) > 0


def test_lora_by_hand() -> None:
    """A merged weight is ``W + alpha / r * B A`` in float64."""
    model = adapted("bert", OPTIONS["lora"])
    name = "encoder.layer.1.output.dense"
    module = model.get_submodule(name)
    a, b = (getattr(module, n)["default"].weight.double() for n in ("lora_A", "lora_B"))
    expected = module.base_layer.weight.double() + 4 / 2 * (b @ a)
    adapters.merge(model)
    near(model.get_submodule(name).weight.double(), expected, atol=1e-6)


def test_ia3_by_hand() -> None:
    """Keys and values are scaled, and what the feed-forward layer's second matrix takes in; the
    output of attention, which has the same name, is left alone."""
    model = adapted("bert", OPTIONS["ia3"])
    layer = model.encoder.layer[1]
    scale = layer.output.dense.ia3_l["default"].double()
    expected = layer.output.dense.base_layer.weight.double() * scale.view(1, -1)
    keys = layer.attention.self.key
    expected_keys = keys.base_layer.weight.double() * keys.ia3_l["default"].double().view(-1, 1)
    assert not hasattr(layer.attention.output.dense, "ia3_l")
    adapters.merge(model)
    near(layer.output.dense.weight.double(), expected, atol=1e-6)
    near(layer.attention.self.key.weight.double(), expected_keys, atol=1e-6)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_a_new_adapter_of_weights_changes_nothing(family: str, kind: str) -> None:
    model = make_model(family)
    expected = run(model)
    adapters.attach(model, parse(OPTIONS[kind]))
    found = run(model)
    for row in range(len(TEXTS)):
        near(found[row], expected[row])


@pytest.mark.parametrize("causal", ["gpt2", "llama", "qwen"])
def test_a_prefix_begins_with_keys_and_values_of_tokens(causal: str) -> None:
    """Behind it, a text gets what it gets behind those tokens themselves."""
    from gradus.training.adapters.prefixes import sampled

    model, plain = make_model(causal), make_model(causal)
    attached = adapters.attach(model, parse({"name": "prefix-tuning", "tokens": 3}))
    torch.manual_seed(5)
    drawn = torch.randint(0, VOCABULARY, (1, 3))[0].tolist()
    torch.manual_seed(5)
    attached.set_virtual(sampled(plain, 3))
    found = run(model)
    for row, text in enumerate(TEXTS):
        with torch.inference_mode():
            both = plain(input_ids=torch.tensor([drawn + text])).last_hidden_state[0]
        near(found[row], both[3:])


def test_virtual_tokens_start_as_asked() -> None:
    words = make_model("bert").get_input_embeddings().weight
    model = make_model("bert")
    attached = adapters.attach(model, parse({"name": "prompt-tuning", "tokens": 5}))
    prompt = attached.input()
    assert prompt is not None
    assert all((words == row).all(1).any() for row in prompt)
    noise = adapters.attach(
        make_model("bert"), parse({"name": "prompt-tuning", "tokens": 200, "start": "random"})
    ).input()
    assert noise is not None
    assert 0.9 < float(noise.detach().std()) < 1.1


def test_each_adapter_parameter_has_its_layer(family: str, options: dict[str, Any]) -> None:
    model = adapted(family, options)
    groups = Backbone(model).groups
    assert set(groups.group_of) == {name for name, _ in model.named_parameters()}
    assert groups.adapter
    for name in groups.adapter:
        inside = name.removeprefix(f"{groups.path}.").partition(".")[0]
        expected = f"layer.{inside}" if options["name"] in ("lora", "ia3") else "layer.0"
        assert groups.group_of[name] == expected
    plain = {n for n, _ in make_model(family).named_parameters()}
    assert {n.replace(".base_layer", "") for n in groups.group_of.keys() - groups.adapter} == plain


def stage(**given: Any) -> Any:
    from gradus.training.config import StageConfig

    return StageConfig.model_validate(given)


@pytest.mark.parametrize(
    ("train", "layers", "low"),
    [
        ("head", set(), 3),
        ("adapter", {"layer.0", "layer.1", "layer.2"}, 0),
        ("all", {"layer.0", "layer.1", "layer.2"}, 0),
        ("top-1", {"layer.2"}, 2),
        (["layer.1"], {"layer.1"}, 1),
        (["/lora_B/", "head"], {"layer.0", "layer.1", "layer.2"}, 0),
    ],
)
def test_selections_take_the_adapters_part(train: Any, layers: set[str], low: int) -> None:
    from gradus.training.groups import select

    groups = Backbone(adapted("bert", OPTIONS["lora"])).groups
    chosen, lowest = select(stage(train=train), groups, ["weight", "bias"])
    assert lowest == low
    assert set(chosen.values()) - {"head"} == layers
    assert all(name in groups.adapter for name, group in chosen.items() if group != "head")
    wholes = {n for n in groups.adapter if groups.group_of[n] in layers}
    if "/lora_B/" in train:
        wholes = {n for n in wholes if "lora_B" in n}
    assert {n for n, group in chosen.items() if group != "head"} == wholes


def test_selections_that_miss_the_adapter_say_so() -> None:
    from gradus.training.groups import select

    with pytest.raises(TrainingError, match="has none; add adapter: lora"):
        select(stage(train="adapter"), Backbone(make_model("bert")).groups, ["weight"])
    prompted = Backbone(adapted("bert", OPTIONS["prompt-tuning"])).groups
    with pytest.raises(TrainingError, match=r"top-2: the adapter has no parameters.*layer\.0"):
        select(stage(train="top-2"), prompted, ["weight"])
    assert select(stage(train="top-3"), prompted, ["weight"])[1] == 0
    with pytest.raises(TrainingError, match="no parameter of the adapter or the head"):
        select(stage(train=["/word_embeddings/"]), prompted, ["weight"])


def test_layer_wise_decay_holds_for_adapters() -> None:
    from gradus.training.groups import select
    from gradus.training.optimiser import rate_of

    groups = Backbone(adapted("bert", OPTIONS["lora"])).groups
    decayed = stage(train="adapter", lr=1e-3, layer_lr_decay=0.5)
    chosen, _ = select(decayed, groups, ["weight"])
    rates = {group: rate_of(group, decayed, groups) for group in chosen.values()}
    assert rates == {"head": 1e-3, "layer.2": 1e-3, "layer.1": 5e-4, "layer.0": 2.5e-4}


def test_its_own_dropout_is_the_adapters_alone() -> None:
    """A stage's dropout leaves it; evaluation has none."""
    model = make_model("bert")
    adapters.attach(model, parse({"name": "lora", "rank": 2, "dropout": 0.5}))
    drops = [m for n, m in model.named_modules() if n.endswith("lora_dropout.default")]
    assert len(drops) == 6 * LAYERS
    assert not any(isinstance(drop, torch.nn.Dropout) for drop in drops)
    ones = torch.ones(1000)
    assert torch.equal(drops[0].eval()(ones), ones)
    assert 400 < int((drops[0].train()(ones) == 0).sum()) < 600
