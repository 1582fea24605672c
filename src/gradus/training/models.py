"""Loading and saving transformers and their tokenizers, from any source that has a reference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gradus.checkpoints.hashing import hash_json
from gradus.errors import CheckpointError, MissingExtra
from gradus.records import CheckpointRef, Pair
from gradus.training import shapes
from gradus.training.adapters import attach
from gradus.training.adapters.attached import of
from gradus.training.packing import Tokens
from gradus.training.pairs import encode_pairs
from gradus.training.within import current

DEFAULT_MAX_TOKENS = 256
# Tokens of more texts than these aren't kept in memory for the next training that reads them.
SHARED_TEXTS = 200_000
# Causal families whose attention doesn't say so.
UNFLAGGED_CAUSAL = frozenset({"openai-gpt"})


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a folder of weights says about turning hidden states into one vector a text."""

    pooling: str
    normalise: bool


def load_model(ref: CheckpointRef) -> nn.Module:
    """The transformer without a task head, in float32; GGUF weights are dequantised.

    The adapter of a checkpoint that has one is put on it (`gradus.training.adapters.attached.of`
    finds it), so that whoever runs the model, runs it adapted.

    Raises:
        CheckpointError: the folder can't be read as a transformer.
        MissingExtra: a GGUF file and no gguf package, an adapter and no peft.
    """
    from transformers import AutoModel

    options: dict[str, Any] = {"dtype": torch.float32, "trust_remote_code": False}
    with _quietly():
        try:
            model = _without_pooler(AutoModel, ref, options)
        except ImportError as error:
            raise MissingExtra("gguf", "gguf", f"reading {ref.path}") from error
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise CheckpointError(
                f"{ref.path}: can't be read as a transformer ({error}); "
                "name a folder with config.json and *.safetensors, or a GGUF file"
            ) from error
    forget_quantization(model)
    loaded: nn.Module = model.float()
    attach.load(loaded, Path(ref.path))
    return loaded


def forget_quantization(model: Any) -> None:
    """Take off a model that was dequantised what says that it is quantised.

    Its weights are plain numbers; the note would make others try to dequantise them again, and
    transformers refuse to save them.
    """
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    if getattr(model, "hf_quantizer", None) is not None:
        model.hf_quantizer = None
    model.is_quantized = False  # or it refuses every change of dtype


def load_for_inference(ref: CheckpointRef) -> nn.Module:
    """The model as `load_model` gives it, but an adapter of weights is merged in memory: the same
    function up to rounding, at the plain model's cost. Virtual tokens stay.

    Raises:
        CheckpointError, MissingExtra: as `load_model`.
    """
    model = load_model(ref)
    attached = of(model)
    if attached is not None and attached.merges:
        attach.merge(model)
    return model


def _without_pooler(auto: Any, ref: CheckpointRef, options: dict[str, Any]) -> Any:
    """BERT and its kin carry a pooler that classification by other poolings never uses."""
    from transformers import AutoConfig

    from gradus.compress.language import stored

    if stored.is_quantised(Path(ref.path)):
        kind, weights = stored.source(auto, Path(ref.path))
        return kind.from_pretrained(None, **weights, dtype=options["dtype"])
    if ref.file:
        return auto.from_pretrained(ref.path, gguf_file=ref.file, **options)
    sizes = shapes.read(Path(ref.path))
    if sizes is not None:
        return shapes.load(auto, Path(ref.path), sizes, add_pooling_layer=False)[0]
    config = AutoConfig.from_pretrained(ref.path, trust_remote_code=False)
    try:
        return auto.from_pretrained(
            ref.path, config=config, add_pooling_layer=False, use_safetensors=True, **options
        )
    except TypeError:
        return auto.from_pretrained(ref.path, config=config, use_safetensors=True, **options)


class _quietly:  # noqa: N801 - reads as a verb: with _quietly()
    """Load reports (a pooler left out, a head not there) are expected and say nothing new."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._level, self._bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self._level)
        if self._bars:
            logging.enable_progress_bar()


def load_tokenizer(ref: CheckpointRef) -> Any:
    """The fast tokenizer that belongs to the weights.

    Raises:
        CheckpointError: there is none.
    """
    from transformers import AutoTokenizer

    options: dict[str, Any] = {"gguf_file": ref.file} if ref.file else {}
    with _quietly():
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                ref.path, use_fast=True, trust_remote_code=False, **options
            )
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{ref.path}: no tokenizer can be read ({error})") from error
    if not tokenizer.is_fast:
        raise CheckpointError(f"{ref.path}: only a slow tokenizer; save its fast form beside it")
    return tokenizer


def save_model(model: nn.Module, tokenizer: Any, folder: Path) -> None:
    """Backbone and tokenizer in Hugging Face layout (safetensors, float32).

    A model with an adapter is saved as both: the weights as they were, and beside them the adapter
    in peft's layout (`gradus.training.adapters.attach.write`). One whose layers were cut is saved
    with what they hold (`gradus.training.shapes`).
    """
    with _quietly():
        weights = attach.base_weights(model)
        model.save_pretrained(folder, state_dict=weights)  # type: ignore[operator]  # nn.Module types attributes as tensors
        tokenizer.save_pretrained(folder)
    attach.write(model, folder)
    shapes.write(model, folder)


def max_positions(model: nn.Module) -> int | None:
    """How many tokens a text may have, or None where positions have no table."""
    config: Any = model.config
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None:
        return None
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return module.num_embeddings - (
                0 if module.padding_idx is None else module.padding_idx + 1
            )
    return int(limit)


def encode(
    tokenizer: Any, texts: Sequence[str], max_tokens: int, keys: Sequence[str] = ()
) -> Tokens:
    """Tokenise, cutting texts at `max_tokens` tokens, special ones included.

    Pairs are put together as `gradus.training.pairs` says. A text that gives no token at all
    (empty, under a tokenizer without special tokens) becomes one end-of-text, padding or unknown
    token, so that every text has a hidden state.
    """
    if not texts:
        return Tokens([], keys)
    paired = np.array([isinstance(text, Pair) for text in texts])
    if paired.any():
        return _encode_with_pairs(tokenizer, texts, paired, max_tokens, keys)
    memo = current().tokens
    if memo is None or len(texts) > SHARED_TEXTS:
        coded = _coded(tokenizer, texts, max_tokens)
    else:
        known = memo.setdefault(_reading(tokenizer, max_tokens), {})
        # At least one, since a tokenizer remembers how it was last called and is saved with that.
        new = [text for text in dict.fromkeys(texts) if text not in known] or [texts[0]]
        known.update(zip(new, _coded(tokenizer, new, max_tokens), strict=True))
        coded = [known[text] for text in texts]
    return Tokens([ids for ids, _ in coded], keys, truncated=sum(cut for _, cut in coded))


def _coded(
    tokenizer: Any, texts: Sequence[str], max_tokens: int
) -> list[tuple[Sequence[int], bool]]:
    """Each text's tokens, and whether it was cut."""
    coded = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_tokens,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    nothing = stand_in(tokenizer)
    cut = [bool(each.overflowing) for each in coded.encodings]
    return [(row or [nothing], long) for row, long in zip(coded["input_ids"], cut, strict=True)]


def _reading(tokenizer: Any, max_tokens: int) -> str:
    """What the tokens of a text depend on beside the text."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # What the last call asked for, which the next one sets anew.
    backend["truncation"] = backend["padding"] = None
    side = [getattr(tokenizer, "truncation_side", ""), stand_in(tokenizer), max_tokens]
    return hash_json([backend, side])


def stand_in(tokenizer: Any, *, first: str = "bos_token_id") -> int:
    """The token for what gives none: `first` if the tokenizer has it, else the first it has of
    begin, end, padding and unknown."""
    names = (first, "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id")
    known = (getattr(tokenizer, name, None) for name in names)
    return next((int(number) for number in known if number is not None), 0)


def _encode_with_pairs(
    tokenizer: Any,
    texts: Sequence[str],
    paired: np.ndarray,
    max_tokens: int,
    keys: Sequence[str],
) -> Tokens:
    """Pairs, and texts among them, which stand on the first side."""
    pairs = encode_pairs(tokenizer, [t for t in texts if isinstance(t, Pair)], max_tokens)
    single = encode(tokenizer, [t for t in texts if not isinstance(t, Pair)], max_tokens)
    alone = iter(np.split(single.ids, single.offsets[1:-1]) if len(single) else ())
    of_pairs = iter(pairs)
    ids: list[Sequence[int]] = []
    types: list[Sequence[int]] = []
    for is_pair in paired:
        if is_pair:
            coded = next(of_pairs)
            ids.append(coded.ids or [stand_in(tokenizer)])
            types.append(coded.types or [0])
        else:
            ids.append(next(alone).tolist())
            types.append([0] * len(ids[-1]))
    truncated = single.truncated + sum(coded.cut for coded in pairs)
    return Tokens(ids, keys, truncated=truncated, types=types)


def pooling_defaults(model: nn.Module, folder: Path) -> Defaults:
    """Pooling and normalisation by architecture.

    A sentence-transformers folder says both itself (``1_Pooling/config.json``, ``modules.json``);
    causal models read left to right, so their last token has seen the text; others are averaged.
    """
    said = _sentence_transformers(folder)
    if said is not None:
        return said
    return Defaults("last" if is_causal(model) else "mean", normalise=False)


def is_causal(model: nn.Module) -> bool:
    """Whether tokens see only what stands before them."""
    config: Any = model.config
    if getattr(config, "is_decoder", False) or config.model_type in UNFLAGGED_CAUSAL:
        return True
    flags = [m.is_causal for m in model.modules() if hasattr(m, "is_causal")]
    return bool(flags) and bool(flags[0])


def _sentence_transformers(folder: Path) -> Defaults | None:
    pooling, modules = folder / "1_Pooling" / "config.json", folder / "modules.json"
    if not pooling.is_file():
        return None
    try:
        says: dict[str, Any] = json.loads(pooling.read_text(encoding="utf-8"))
        parts = json.loads(modules.read_text(encoding="utf-8")) if modules.is_file() else []
        names = [str(part["type"]) for part in parts]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder}: its pooling can't be read ({error})") from error
    chosen = {"pooling_mode_cls_token": "first", "pooling_mode_lasttoken": "last"}
    how = next((p for key, p in chosen.items() if says.get(key)), "mean")
    return Defaults(how, normalise=any(name.endswith("Normalize") for name in names))
