from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.classifiers import make_backbone, make_tokenizer
from gradus.errors import CheckpointError, TrainingError
from gradus.records import CheckpointRef
from gradus.training import models, shapes
from gradus.training.backbone import Backbone
from gradus.training.groups import find_groups
from gradus.training.packing import Tokens
from gradus.training.shapes import Layer, Size

FAMILIES = ("bert", "roberta", "distilbert", "gpt2", "llama")
IDS = torch.tensor([[2, 5, 9, 14, 7, 3], [2, 8, 8, 21, 30, 3]])
# Other heads and units in each of the two layers; Llama has two groups of two heads.
GROUPS = {"llama": ([1], [0, 1])}
UNITS = ([0, 3, 4, 50], list(range(0, 64, 3)))


def parts(model: Any) -> list[Layer]:
    return shapes.layers_of(find_groups(model).layers, model.config)


def hidden(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=IDS).last_hidden_state
    return found


def silenced(layer: Layer, groups: list[int], units: list[int]) -> None:
    """What reads the other heads and units gets nothing from them: the definition of pruning."""
    width = layer.head * layer.shared
    with torch.no_grad():
        for module, kept, size in ((layer.out, groups, width), (layer.fall, units, 1)):
            weight = module.weight
            assert isinstance(weight, torch.Tensor)
            columns = weight.T if not shapes.turned(module) else weight
            for place in range(len(columns)):
                if place // size not in kept:
                    columns[place] = 0.0


def cut(model: Any, family: str) -> None:
    groups = GROUPS.get(family, ([0, 2, 3], [1]))
    for layer, g, u in zip(parts(model), groups, UNITS, strict=True):
        shapes.cut_groups(layer, torch.tensor(g))
        shapes.cut_units(layer, torch.tensor(u))
    shapes.mark(model)


def ref(folder: Path) -> CheckpointRef:
    return CheckpointRef(name="cut", kind="transformer", path=str(folder))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cut_model_is_the_whole_one_with_the_others_silenced(family: str) -> None:
    whole, small = make_backbone(family), make_backbone(family)
    groups = GROUPS.get(family, ([0, 2, 3], [1]))
    for layer, g, u in zip(parts(whole), groups, UNITS, strict=True):
        silenced(layer, g, u)
    before = sum(p.numel() for p in small.parameters())
    cut(small, family)
    torch.testing.assert_close(hidden(small), hidden(whole), rtol=1e-4, atol=1e-5)
    assert sum(p.numel() for p in small.parameters()) < 0.8 * before
    found = [layer.size for layer in parts(small)]
    assert found == [Size(len(g), len(u)) for g, u in zip(groups, UNITS, strict=True)]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_saved_loads_to_the_same_bits(family: str, tmp_path: Path) -> None:
    model = make_backbone(family)
    cut(model, family)
    models.save_model(model, make_tokenizer(family), tmp_path)
    state = torch.random.get_rng_state()
    again = models.load_model(ref(tmp_path))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(hidden(again), hidden(model))
    # And once more, so that a step that trains it further keeps it cut.
    (tmp_path / "again").mkdir()
    models.save_model(again, make_tokenizer(family), tmp_path / "again")
    assert torch.equal(hidden(models.load_model(ref(tmp_path / "again"))), hidden(model))


def test_whole_models_have_no_such_file(tmp_path: Path) -> None:
    models.save_model(make_backbone("bert"), make_tokenizer("bert"), tmp_path)
    assert not (tmp_path / shapes.FILE).exists()
    assert shapes.read(tmp_path) is None


def test_weights_and_file_must_belong_together(tmp_path: Path) -> None:
    model = make_backbone("bert")
    cut(model, "bert")
    models.save_model(model, make_tokenizer("bert"), tmp_path)
    said = tmp_path / shapes.FILE
    whole = json.loads(said.read_text())
    for wrong, match in (
        ({"layers": whole["layers"][:1]}, "1 sizes for 2 layers"),
        ({"layers": [{"groups": 9, "units": 4}, *whole["layers"][1:]]}, "has 4 groups"),
        ({"layers": [{"groups": 2, "units": 4}, *whole["layers"][1:]]}, "size mismatch"),
        ({"layers": [{"groups": 2}]}, "doesn't say"),
    ):
        said.write_text(json.dumps(wrong))
        with pytest.raises(CheckpointError, match=match):
            models.load_model(ref(tmp_path))
    said.write_text("{")
    with pytest.raises(CheckpointError, match="doesn't say what each layer has kept"):
        models.load_model(ref(tmp_path))


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_cut_out_and_counted_anew(family: str) -> None:
    model, other = make_backbone(family), Backbone(make_backbone(family))
    shapes.cut_layers(model, find_groups(model).path, [1])
    batch = Tokens(IDS.tolist()).batch([0, 1])
    with torch.inference_mode(), other.without([0]):
        expected = other.run(batch)
        torch.testing.assert_close(Backbone(model).run(batch), expected)
    assert model.config.num_hidden_layers == 1
    assert {m.layer_idx for m in model.modules() if getattr(m, "layer_idx", None) is not None} <= {
        0
    }


def test_a_language_model_keeps_its_head_and_is_loaded_with_and_without(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    from gradus.scoring.load import load_causal_lm

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        tie_word_embeddings=True,
    )
    full = LlamaForCausalLM(config).eval()
    cut(full.base_model, "llama")
    assert shapes.heads_differ(full.base_model)
    models.save_model(full, make_tokenizer("llama"), tmp_path)
    again = load_causal_lm(ref(tmp_path))
    with torch.inference_mode():
        assert torch.equal(again(input_ids=IDS).logits, full(input_ids=IDS).logits)
        written = again.generate(IDS[:1], max_new_tokens=4, do_sample=False)
        plain = full.generate(IDS[:1], max_new_tokens=4, do_sample=False, use_cache=False)
    assert torch.equal(written, plain)
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert torch.equal(hidden(models.load_model(ref(tmp_path))), hidden(full.base_model))


def test_an_unknown_family_is_refused_by_name() -> None:
    from transformers import AlbertConfig, AlbertModel

    config = AlbertConfig(
        vocab_size=40,
        embedding_size=16,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    model = AlbertModel(config)
    with pytest.raises(TrainingError, match="type 'albert' aren't built like"):
        parts(model)
