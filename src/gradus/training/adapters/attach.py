"""Putting adapters on models, merging them, and peft's layout on disk. The only import of peft."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from gradus.errors import CheckpointError, GradusError, MissingExtra, TrainingError
from gradus.training.adapters.attached import ENCODER, Attached, of, put
from gradus.training.adapters.base import Wanted, parse

FOLDER = "adapter"
WEIGHTS, CONFIG, OPTIONS = "adapter_model.safetensors", "adapter_config.json", "options.json"
_OURS = (GradusError, SafetensorError)
_BASE = ".base_layer"


def library() -> Any:
    """The package peft.

    Raises:
        MissingExtra: it isn't installed.
    """
    try:
        import peft
    except ImportError as error:
        raise MissingExtra("peft", "adapters", "an adapter") from error
    return peft


def attach(model: nn.Module, wanted: Wanted) -> Attached:
    """Put a new adapter on a model that has none; what is drawn comes from torch's generator.

    Raises:
        MissingExtra: peft isn't installed.
        TrainingError: the model has no place for it.
    """
    peft, kind = library(), wanted.kind()
    config = kind.peft_config(wanted.config, peft, model)
    with _quietly():
        try:
            wrapper = peft.get_peft_model(model, config)
        except (ValueError, TypeError, AttributeError) as error:
            family = getattr(model.config, "model_type", type(model).__name__)
            raise TrainingError(
                f"adapter {wanted.entry}: peft can't put it on a '{family}' model ({error})"
            ) from error
    attached = _settle(model, wrapper, wanted)
    kind.start(wanted.config, attached)
    return attached


def _settle(model: nn.Module, wrapper: Any, wanted: Wanted) -> Attached:
    kind = wanted.kind()
    if kind.place == "weights":
        prefix = wrapper.base_model.prefix
        names = [
            name
            for name, _ in model.named_parameters()
            if any(part.startswith(prefix) for part in name.split("."))
        ]
        for module in model.modules():
            _own_dropout(module)
            if hasattr(module, "cast_input_dtype_enabled"):
                # Autocast casts what a product takes; a copy in float32 before it is for nothing.
                setattr(module, "cast_input_dtype_enabled", False)  # noqa: B010  # nn.Module types attributes as tensors
    else:
        model.add_module(ENCODER, wrapper.prompt_encoder)
        names = [n for n, _ in model.named_parameters() if n.startswith(f"{ENCODER}.")]
    attached = Attached(wanted, kind, model, wrapper, frozenset(names))
    put(model, attached)
    return attached


class _AdapterDropout(nn.Module):
    """Dropout at the adapter's own rate: a stage's `dropout` sets `nn.Dropout` modules alone."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, self.rate, self.training)


def _own_dropout(module: nn.Module) -> None:
    drops = getattr(module, "lora_dropout", None)
    if isinstance(drops, nn.ModuleDict):
        for name, drop in list(drops.items()):
            if isinstance(drop, nn.Dropout):
                drops[name] = _AdapterDropout(drop.p)


def merge(model: nn.Module) -> None:
    """Take the adapter up into the weights; the model then is as if it never had one.

    Raises:
        TrainingError: virtual tokens, which no weights can take up.
    """
    attached = of(model)
    if attached is None:
        return
    if not attached.merges:
        raise TrainingError(f"adapter {attached.wanted.entry}: virtual tokens can't be merged")
    with _quietly():
        attached.peft.merge_and_unload()
    model.__dict__.pop("peft_config", None)
    put(model, None)


def base_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The frozen weights under the names they have without the adapter."""
    attached = of(model)
    own = attached.parameters if attached else frozenset()
    return {
        name.replace(_BASE, ""): tensor
        for name, tensor in model.state_dict().items()
        if name not in own
    }


def write(model: nn.Module, folder: Path) -> None:
    """Write the model's adapter in peft's layout into ``folder / "adapter"``.

    The config says nothing of the machine, and its sets are sorted: equal adapters give equal
    bytes. ``options.json`` holds what the plan asked for.
    """
    attached = of(model)
    if attached is None:
        return
    target = folder / FOLDER
    target.mkdir()
    state = library().get_peft_model_state_dict(attached.peft, save_embedding_layers=False)
    save_file(
        {name: tensor.detach().contiguous() for name, tensor in sorted(state.items())},
        target / WEIGHTS,
        metadata={"format": "pt"},
    )
    config = attached.peft.peft_config["default"].to_dict()
    config.update(base_model_name_or_path="..", inference_mode=True)
    _write_json(target / CONFIG, config)
    _write_json(target / OPTIONS, attached.wanted.to_json())


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, default=sorted)
    path.write_text(f"{text}\n", encoding="utf-8")


def load(model: nn.Module, folder: Path) -> None:
    """Put the adapter of the checkpoint in `folder` on `model`; nothing where there is none.

    Raises:
        CheckpointError: its files are missing, broken or don't fit the weights.
        MissingExtra: peft isn't installed.
    """
    place = folder / FOLDER
    if not (place / CONFIG).is_file():
        return
    peft = library()
    try:
        # Without this file peft would look for a pickle, or on the hub.
        if not (place / WEIGHTS).is_file():
            raise FileNotFoundError(f"{WEIGHTS} is missing")
        wanted = parse(json.loads((place / OPTIONS).read_text(encoding="utf-8")))
        # What loading draws and then overwrites must not move the generator of whoever loads.
        with _quietly(), torch.random.fork_rng(devices=[]):
            wrapper = peft.PeftModel.from_pretrained(model, place)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, *_OURS) as error:
        raise CheckpointError(f"{place}: the adapter can't be read ({error})") from error
    # peft won't load virtual tokens to be trained; a loaded adapter computes as a new one does.
    wrapper.peft_config["default"].inference_mode = False
    _settle(model, wrapper, wanted)


@contextmanager
def _quietly() -> Iterator[None]:
    """peft warns of what is meant so: transposed weights, a merge, wrapping for a second time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
