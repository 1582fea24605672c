"""The files of a language model whose weights are integers.

``quantised.safetensors`` holds for each matrix its integers (two of 4 bits a byte) under its
parameter's name and its scales under that name with ``.scales``; everything else as bfloat16 or
float32, as it was. ``quantised.json``, written after it, says which matrices are integers. The rest
of the folder is Hugging Face's: ``config.json``, the tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from gradus.compress.language.rounding import Bits, Rounded, matrices, rounded, weight_of
from gradus.errors import CheckpointError

WEIGHTS: Final = "quantised.safetensors"
NOTE: Final = "quantised.json"
FORMAT: Final = 1
_SCALES: Final = ".scales"


def is_quantised(folder: Path) -> bool:
    """Whether the folder holds such weights."""
    return (folder / NOTE).is_file()


def _plainly(name: str, weight: torch.Tensor, bits: Bits) -> Rounded:
    return rounded(weight, bits)


def write(
    model: Any,
    tokenizer: Any,
    folder: Path,
    *,
    bits: Mapping[str, Bits],
    by: Callable[[str, torch.Tensor, Bits], Rounded] = _plainly,
) -> dict[str, Any]:
    """Write a causal language model with some matrices as integers.

    Args:
        model: of transformers, float32.
        tokenizer: its own.
        folder: where the files go.
        bits: by the module's name (`gradus.compress.language.rounding.matrices`), of its weights.
        by: from a module's name, its weights [O, I] and bits to integers.

    Returns:
        Facts: how many parameters are integers, and the greatest error relative to the largest
        weight of a matrix.
    """
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    note: dict[str, Any] = {}
    worst, count = 0.0, 0
    state = _own_tensors(model)
    modules = matrices(model)
    for name, tensor in state.items():
        module = name.removesuffix(".weight")
        if module not in bits or not name.endswith(".weight"):
            tensors[name] = tensor.detach().clone().contiguous()
            continue
        weight = weight_of(modules[module]).detach()
        found = by(module, weight, bits[module])
        tensors[name] = _packed(found)
        tensors[name + _SCALES] = found.scales.to(torch.bfloat16)
        turned = weight.stride() != modules[module].weight.stride()
        note[name] = {"bits": found.bits, "turned": turned}
        count += weight.numel()
        largest = float(weight.abs().max())
        if largest:
            worst = max(worst, float((found.weights() - weight).abs().max()) / largest)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file(tensors, folder / WEIGHTS)
    said = {"format": FORMAT, "matrices": note}
    (folder / NOTE).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return {"integer_parameters": count, "greatest_relative_error": worst}


def read(folder: Path) -> tuple[dict[str, Rounded], dict[str, torch.Tensor]]:
    """The matrices of integers and the other tensors, by their parameters' names.

    The first are [O, I] however the model keeps them; see `state`.

    Raises:
        CheckpointError: a file is missing or broken, or of a later format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        said = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        if said["format"] > FORMAT:
            raise CheckpointError(
                f"{folder / NOTE}: of format {said['format']}, written by a later Gradus; update it"
            )
        tensors = load_file(folder / WEIGHTS)
        found = {
            name: _unpacked(tensors.pop(name), tensors.pop(name + _SCALES), one["bits"])
            for name, one in said["matrices"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: its quantised weights can't be read ({error}); make the checkpoint again"
        ) from error
    return found, tensors


def state(folder: Path) -> dict[str, torch.Tensor]:
    """What the weights stand for, float32, by their parameters' names: a model's state.

    Raises:
        CheckpointError: as `read`.
    """
    integers, tensors = read(folder)
    turned = {
        name
        for name, one in json.loads((folder / NOTE).read_text(encoding="utf-8"))["matrices"].items()
        if one["turned"]
    }
    found = {name: tensor.float() for name, tensor in tensors.items()}
    for name, matrix in integers.items():
        weights = matrix.weights()
        found[name] = weights.t().contiguous() if name in turned else weights
    return found


def source(auto: Any, folder: Path) -> tuple[Any, dict[str, Any]]:
    """The class of transformers for the folder's model, and what its ``from_pretrained`` takes
    in the place of a folder: config and state.

    Raises:
        CheckpointError: as `read`.
        OSError, ValueError: the config can't be read.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    with torch.device("meta"):
        kind = type(auto.from_config(config))
    return kind, {"config": config, "state_dict": state(folder)}


def say_how_it_writes(model: Any, folder: Path) -> None:
    """Give a model that was made of config and state what the folder says of writing with it."""
    from transformers import GenerationConfig

    if (folder / "generation_config.json").is_file() and hasattr(model, "generation_config"):
        model.generation_config = GenerationConfig.from_pretrained(str(folder))


def _own_tensors(model: Any) -> dict[str, torch.Tensor]:
    """The model's state with what is tied to something else left out."""
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    state: dict[str, torch.Tensor] = model.state_dict()
    own = {tensor.data_ptr() for name, tensor in state.items() if name not in tied}
    # A head that was untied has its own memory.
    return {n: t for n, t in state.items() if n not in tied or t.data_ptr() not in own}


def untie(model: Any) -> None:
    """Give a model's head a matrix of its own, equal to that of the words, if it has none."""
    words, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is not None and head.weight is words.weight:
        head.weight = torch.nn.Parameter(words.weight.detach().clone())
        model.config.tie_word_embeddings = False


def _packed(matrix: Rounded) -> torch.Tensor:
    """int8 [O, I], or uint8 [O, I / 2] with the even column in the lower half of a byte."""
    if matrix.bits == 8 or matrix.values.shape[1] % 2:
        return matrix.values.contiguous()
    pairs = (matrix.values + 8).to(torch.uint8)
    return (pairs[:, 0::2] | pairs[:, 1::2] << 4).contiguous()


def _unpacked(values: torch.Tensor, scales: torch.Tensor, bits: Bits) -> Rounded:
    if values.dtype == torch.uint8:
        both = torch.stack([values & 15, values >> 4], dim=-1)
        values = both.view(len(values), -1).to(torch.int8) - 8
    if values.dtype != torch.int8 or len(values) != len(scales):
        raise ValueError(f"integers {values.dtype} {tuple(values.shape)} beside {len(scales)} rows")
    return Rounded(values, scales.float(), bits)
