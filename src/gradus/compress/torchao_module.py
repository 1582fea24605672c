"""Classifiers whose weights torchao holds as integers; the one file that imports torchao.

Files of a checkpoint of kind ``torchao``: ``model.safetensors`` in torchao's own layout (integers
and scales under their module's name), ``config.json``, ``pruned.json`` where layers were cut, and
``tokenizer.json``, see `gradus.predict.graph`.

Legend: n texts of L tokens each, K labels.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gradus.errors import CheckpointError, MissingExtra
from gradus.predict.graph import Call, GraphPredictor
from gradus.predict.outputs import head_outputs, target_of

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

WEIGHTS: Final = "model.safetensors"
# torchao's layout tells a module from its tensor by the last dot, which every name must have.
_PREFIX: Final = "model."
_LAYOUT: Final = "torchao.prototype.safetensors.safetensors_support"


def library(name: str = "torchao.quantization") -> Any:
    """A module of torchao.

    Raises:
        MissingExtra: it isn't installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(
            error.name or "torchao", "torchao", "working with weights held by torchao"
        ) from error


def quantise(backbone: nn.Module) -> int:
    """Turn the linear products of `backbone` to int8, in place; activations are scaled by token.

    Returns:
        How many were turned.
    """
    from torch import nn

    ao = library()
    products = [m for m in backbone.modules() if isinstance(m, nn.Linear)]
    # Any other kind of matrix (GPT-2's Conv1D) is left alone by torchao.
    ao.quantize_(backbone, ao.Int8DynamicActivationInt8WeightConfig())
    return len(products)


def write(module: nn.Module, folder: Path) -> None:
    """Write the weights of a quantised classifier and what its backbone is built from."""
    from safetensors.torch import save_file

    from gradus.training import shapes

    state = {_PREFIX + name: tensor for name, tensor in module.state_dict().items()}
    tensors, layout = library(_LAYOUT).flatten_tensor_state_dict(state)
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(plain, folder / WEIGHTS, metadata=dict(layout))
    backbone: Any = module.backbone
    backbone.config.save_pretrained(folder)
    shapes.write(backbone, folder)


def read(folder: Path, preprocessing: Mapping[str, Any], labels: Sequence[str]) -> nn.Module:
    """The module that `write` wrote: token ids int64 [n, L] to logits [n, K] (of tags [n, L, K]).

    Args:
        folder: of the checkpoint.
        preprocessing: its manifest's.
        labels: its labels.

    Raises:
        CheckpointError: the files can't be read, or don't belong together.
        MissingExtra: torchao isn't installed.
    """
    from safetensors import SafetensorError, safe_open

    unflatten = library(_LAYOUT).unflatten_tensor_state_dict
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            state, left = unflatten(tensors, file.metadata() or {})
        if left:
            raise ValueError(f"{len(left)} tensors of no module, first {next(iter(left))}")
        module = _bare(folder, preprocessing, labels)
        plain = {name.removeprefix(_PREFIX): tensor for name, tensor in state.items()}
        module.load_state_dict(plain, strict=True, assign=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: its weights can't be read ({error}); copy the checkpoint again or make it "
            "anew"
        ) from error
    return module.eval().requires_grad_(False)


def _bare(folder: Path, preprocessing: Mapping[str, Any], labels: Sequence[str]) -> nn.Module:
    """The module with weights that say nothing yet."""
    from transformers import AutoModel

    from gradus.compress.classifier import IdsToLogits
    from gradus.objectives.pooling import LinearHead
    from gradus.training import shapes

    backbone = shapes.bare(AutoModel, folder, add_pooling_layer=False)
    sizes = shapes.read(folder)
    if sizes is not None:
        shapes.resize(backbone, sizes)
    width = int(backbone.config.hidden_size)
    if target_of(preprocessing) == "spans":
        from gradus.compress.tagger import bare_tagger

        return bare_tagger(backbone, preprocessing, labels)
    head = LinearHead(width, head_outputs(preprocessing, len(labels)), 1.0)
    pooling, normalise = str(preprocessing["pooling"]), bool(preprocessing["normalise"])
    return IdsToLogits(backbone, head, pooling, normalise)


class TorchaoPredictor(GraphPredictor):
    """A classifier in torch, its linear products in integers; see `GraphPredictor`.

    One call runs at a time with all threads inside, since torch's threads are the process's.
    """

    kind: ClassVar[str] = "torchao"
    summary: ClassVar[str] = "a classifier with weights in integers, in torch through torchao"
    backend: ClassVar[str] = "torchao"

    def _open_graph(self, folder: Path, threads: int) -> Call:
        import torch

        held = self.__dict__.setdefault(
            "_held",
            (read(folder, self._preprocessing, self.labels), threading.Lock()),
        )
        module, lock = held

        def call(ids: np.ndarray) -> np.ndarray:
            with lock, torch.inference_mode():
                logits: np.ndarray = module(torch.from_numpy(ids)).float().numpy()
            return logits

        return call
