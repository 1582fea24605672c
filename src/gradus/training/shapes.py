"""Heads and feed-forward units of a transformer's layers: where they lie, cutting, loading.

A layer that has lost heads or units is smaller than its config says, and layers differ. The file
``pruned.json`` beside the weights holds what each layer has kept, so that a checkpoint loads again.

Legend: L layers, d hidden size, H heads of a layer, K groups of heads (H unless several queries
share keys and values), k size of a head, U feed-forward units.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from gradus.errors import CheckpointError, TrainingError

FILE: Final = "pruned.json"
_CUT: Final = "gradus_cut"
# Query, key and value by family, and what brings the heads together. GPT-2 has one for all three.
_ATTENTION: Final = (
    (
        ("attention.self.query", "attention.self.key", "attention.self.value"),
        "attention.output.dense",
    ),
    (("attention.q_lin", "attention.k_lin", "attention.v_lin"), "attention.out_lin"),
    (("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "self_attn.o_proj"),
    (("attn.c_attn",), "attn.c_proj"),
)
_UNITS: Final = (
    (("intermediate.dense",), "output.dense"),
    (("ffn.lin1",), "ffn.lin2"),
    (("mlp.gate_proj", "mlp.up_proj"), "mlp.down_proj"),
    (("mlp.c_fc",), "mlp.c_proj"),
)
_HEAD_COUNTS: Final = ("num_attention_heads", "num_heads", "n_heads")
_WIDTHS: Final = ("all_head_size", "split_size")


@dataclass(frozen=True, slots=True)
class Size:
    """What a layer holds: K groups of H / K heads each, and U units."""

    groups: int
    units: int


@dataclass(frozen=True, slots=True)
class Layer:
    """The parts of a layer that can lose heads or units.

    Attributes:
        inputs: queries, keys and values, or the one module that gives all three.
        out: what takes the heads' values [T, H k].
        rise: what gives the units [T, U]; two where one gates the other.
        fall: what takes them.
        head: k.
        shared: H / K.
    """

    inputs: tuple[nn.Module, ...]
    out: nn.Module
    rise: tuple[nn.Module, ...]
    fall: nn.Module
    owner: nn.Module
    head: int
    shared: int

    @property
    def groups(self) -> int:
        """K."""
        return _inputs(self.out) // (self.head * self.shared)

    @property
    def units(self) -> int:
        """U."""
        return _inputs(self.fall)

    @property
    def size(self) -> Size:
        """Both."""
        return Size(self.groups, self.units)


def layers_of(blocks: Sequence[nn.Module], config: Any) -> list[Layer]:
    """The parts of each of L layers of a model with this config.

    Raises:
        TrainingError: the family's heads and units aren't known.
    """
    return [_layer(block, config) for block in blocks]


def _layer(block: nn.Module, config: Any) -> Layer:
    attention, units = _found(block, _ATTENTION), _found(block, _UNITS)
    if attention is None or units is None:
        raise TrainingError(
            f"layers of type '{config.model_type}' aren't built like those of BERT, DistilBERT, "
            "GPT-2 or Llama, so heads and units can't be told apart: prune layers or weights"
        )
    inputs, out = attention
    heads, hidden = int(config.num_attention_heads), int(config.hidden_size)
    size = int(getattr(config, "head_dim", None) or hidden // heads)
    shared = heads // int(getattr(config, "num_key_value_heads", None) or heads)
    names = next(names for names, last in _ATTENTION if _has(block, (*names, last)))
    owner = block.get_submodule(names[0].rpartition(".")[0])
    return Layer(inputs, out, *units, owner, size, shared)


def _found(
    block: nn.Module, families: Sequence[tuple[tuple[str, ...], str]]
) -> tuple[tuple[nn.Module, ...], nn.Module] | None:
    for names, last in families:
        if _has(block, (*names, last)):
            return tuple(block.get_submodule(n) for n in names), block.get_submodule(last)
    return None


def _has(block: nn.Module, names: Sequence[str]) -> bool:
    known = {name for name, _ in block.named_modules()}
    return known.issuperset(names)


def turned(module: nn.Module) -> bool:
    """Whether a matrix is kept as [in, out], as GPT-2's are, and not as [out, in]."""
    return hasattr(module, "nf")


def _inputs(module: nn.Module) -> int:
    return int(_weight(module).shape[0 if turned(module) else 1])


def _weight(module: nn.Module) -> torch.Tensor:
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return weight


def cut_groups(layer: Layer, keep: torch.Tensor) -> None:
    """Leave a layer the groups `keep` (int64, ascending) of its K; a group takes its heads along.

    The layer then computes what it did with the values of all other heads at zero.
    """
    own, width = layer.head, layer.head * layer.shared
    queries, values = _stretch(keep, width), _stretch(keep, own)
    heads = len(keep) * layer.shared
    if len(layer.inputs) == 1:
        third = _inputs(layer.out)
        _take(layer.inputs[0], torch.cat([queries + i * third for i in range(3)]), outputs=True)
    else:
        query, *others = layer.inputs
        _take(query, queries, outputs=True)
        for module in others:
            _take(module, values, outputs=True)
    _take(layer.out, queries, outputs=False)
    for name in _HEAD_COUNTS:
        if hasattr(layer.owner, name):
            setattr(layer.owner, name, heads)
    for name in _WIDTHS:
        if hasattr(layer.owner, name):
            setattr(layer.owner, name, heads * own)


def cut_units(layer: Layer, keep: torch.Tensor) -> None:
    """Leave a layer the units `keep` (int64, ascending) of its U."""
    for module in layer.rise:
        _take(module, keep, outputs=True)
    _take(layer.fall, keep, outputs=False)


def cut_layers(model: Any, path: str, keep: Sequence[int]) -> None:
    """Leave a model the layers `keep` (ascending) of those under the name `path`."""
    blocks = model.get_submodule(path)
    kept = [blocks[number] for number in keep]
    for number, block in enumerate(kept):
        for module in block.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, nn.ModuleList(kept))
    kinds = getattr(model.config, "layer_types", None)
    if kinds is not None:
        model.config.layer_types = [kinds[number] for number in keep]
    model.config.num_hidden_layers = len(kept)


def _stretch(groups: torch.Tensor, width: int) -> torch.Tensor:
    """The places of groups of `width` neighbours each."""
    return (groups[:, None] * width + torch.arange(width)).flatten()


def _take(module: nn.Module, keep: torch.Tensor, *, outputs: bool) -> None:
    """Leave a matrix the outputs (with their biases) or the inputs `keep`."""
    weight, bias = _weight(module), getattr(module, "bias", None)
    axis = int(not outputs) ^ int(turned(module))
    trains = weight.requires_grad
    module.weight = nn.Parameter(weight.detach().index_select(axis, keep), requires_grad=trains)
    if outputs and bias is not None:
        module.bias = nn.Parameter(bias.detach().index_select(0, keep), requires_grad=trains)
    for name in ("out_features", "nf") if outputs else ("in_features", "nx"):
        if hasattr(module, name):
            setattr(module, name, len(keep))


def mark(model: nn.Module) -> None:
    """Remember that layers of `model` (without its head) are smaller than its config says."""
    model.__dict__[_CUT] = True


def is_cut(model: nn.Module) -> bool:
    """Whether `mark` was called for the model or for what lies under its head."""
    return bool(getattr(model, "base_model", model).__dict__.get(_CUT))


def heads_differ(model: Any) -> bool:
    """Whether some layer has other heads than the model's config says."""
    if not is_cut(model):
        return False
    config = model.config
    groups = int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
    return any(layer.groups != groups for layer in _layers(model))


def resize(model: nn.Module, sizes: Sequence[Size]) -> None:
    """Bring each layer to its size; which heads and units remain says nothing of their weights.

    Raises:
        TrainingError: the layers aren't that many or hold less.
    """
    layers = _layers(model)
    if len(layers) != len(sizes):
        raise TrainingError(f"{len(sizes)} sizes for {len(layers)} layers")
    for number, (layer, size) in enumerate(zip(layers, sizes, strict=True)):
        if not (1 <= size.groups <= layer.groups and 1 <= size.units <= layer.units):
            raise TrainingError(
                f"layer {number} has {layer.groups} groups of heads and {layer.units} units, so "
                f"it can't be left {size.groups} and {size.units}"
            )
        if size.groups < layer.groups:
            cut_groups(layer, torch.arange(size.groups))
        if size.units < layer.units:
            cut_units(layer, torch.arange(size.units))
    mark(getattr(model, "base_model", model))


def _layers(model: Any) -> list[Layer]:
    from gradus.training.groups import find_groups

    base = getattr(model, "base_model", model)
    return layers_of(find_groups(base).layers, base.config)


def write(model: nn.Module, folder: Path) -> None:
    """Write ``pruned.json`` for a model that was cut; nothing for any other."""
    if not is_cut(model):
        return
    sizes = [asdict(layer.size) for layer in _layers(model)]
    text = json.dumps({"layers": sizes}, indent=2)
    (folder / FILE).write_text(f"{text}\n", encoding="utf-8")


def read(folder: Path) -> tuple[Size, ...] | None:
    """What ``pruned.json`` in `folder` says of each layer; None where there is no such file.

    Raises:
        CheckpointError: it can't be read.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Size(int(row["groups"]), int(row["units"])) for row in raw["layers"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: doesn't say what each layer has kept ({error}); run the step that made it "
            "again"
        ) from error


def load(auto: Any, folder: Path, sizes: Sequence[Size], **options: Any) -> tuple[Any, list[str]]:
    """A cut model of the class that `auto` picks, and the names of weights that its files lack.

    Args:
        auto: ``AutoModel`` or one of its kind.
        folder: config and ``*.safetensors``.
        sizes: as `read` gave them.
        options: of the model's class.

    Raises:
        CheckpointError: weights and sizes don't belong together.
    """
    from transformers import GenerationConfig

    model = bare(auto, folder, **options)
    try:
        resize(model, sizes)
        missing = _fill(model, _weights(folder))
    except (TrainingError, RuntimeError, OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: weights and {FILE} don't belong together ({error}); run the step that "
            "made them again"
        ) from error
    if (folder / "generation_config.json").is_file() and hasattr(model, "generation_config"):
        model.generation_config = GenerationConfig.from_pretrained(folder)
    return model.eval(), missing


def bare(auto: Any, folder: Path, **options: Any) -> Any:
    """A model as the folder's config says, with weights that say nothing.

    Options that its class doesn't know, as a pooling layer, are left out.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    # What is drawn here and then overwritten must not move the generator of whoever loads.
    with torch.random.fork_rng(devices=[]):
        try:
            return auto.from_config(config, **options)
        except TypeError:
            return auto.from_config(config)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        found.update(load_file(path))
    return found


def _fill(model: Any, weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Copy weights into a model with or without its head; returns what they lack."""
    prefix = f"{model.base_model_prefix}."
    own = set(model.state_dict())
    bare = not any(name.startswith(prefix) for name in own)
    headed = any(name.startswith(prefix) for name in weights)
    if bare and headed:
        named = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
    elif headed or bare:
        named = dict(weights)
    else:
        named = {prefix + name: tensor for name, tensor in weights.items()}
    report = model.load_state_dict({n: t for n, t in named.items() if n in own}, strict=False)
    model.tie_weights()
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    return sorted(set(report.missing_keys) - tied)
