"""A causal language model of transformers as a GGUF file: Llama, Qwen 2 and 3, Mistral, GPT-2.

Legend: O outputs, I inputs, H heads.

Names and shapes are those that llama.cpp reads. Llama's queries and keys are stored in another
order: its rotary positions turn neighbouring values of a head there, those of transformers a value
of the first half with one of the second.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from gradus.compress.language import ggml, mixture, pieces
from gradus.errors import CheckpointError, MissingExtra

FILE: Final = "model.gguf"

_LAYER: Final = re.compile(r"(?:model\.layers|transformer\.h)\.(\d+)\.(.+)")
_LLAMA: Final = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
# transformers 5 puts a file's context length into `n_ctx`, which nothing reads, and makes the table
# of positions with its default size.
GPT2_POSITIONS: Final = 1024
_GPT2: Final = {
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
_OUTER: Final = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
}


@dataclass(frozen=True, slots=True)
class Family:
    """How a family of models stands in a GGUF file.

    Attributes:
        architecture: llama.cpp's name.
        inner: names of a layer's parts, transformers' to the file's.
        reordered: whether queries and keys are put into llama.cpp's order.
        describe: writes what the config says.
    """

    architecture: str
    inner: Mapping[str, str]
    reordered: bool
    describe: Callable[[Any, Any], None]


def write(model: Any, tokenizer: Any, path: Path, *, file_type: str, name: str) -> dict[str, Any]:
    """Write the file.

    Args:
        model: a ``...ForCausalLM`` of transformers, float32.
        tokenizer: its own, fast.
        path: of the file.
        file_type: a key of `gradus.compress.language.mixture.MIXTURES`.
        name: what the file calls the model.

    Returns:
        Facts: how many weights have which format.

    Raises:
        CheckpointError: a family, a part or a tokenizer that the format has no place for.
        MissingExtra: gguf isn't installed, or xllamacpp for K formats.
    """
    try:
        import gguf
    except ImportError as error:
        raise MissingExtra("gguf", "gguf", "writing a GGUF file") from error
    family = family_of(model)
    config = model.config
    layers = int(config.num_hidden_layers)
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    writer = gguf.GGUFWriter(str(path), family.architecture)
    writer.add_name(name)
    family.describe(writer, config)
    writer.add_block_count(layers)
    most = mixture.MIXTURES[file_type]
    writer.add_file_type(int(gguf.LlamaFileType[f"MOSTLY_{file_type}"]))
    if most[0] == "Q":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    words = model.get_input_embeddings().weight
    writer.add_vocab_size(len(words))
    pieces.add(writer, tokenizer, len(words))
    counts: Counter[str] = Counter()
    for called, tensor in tensors(model, family, tied=tied):
        kind = mixture.format_of(called, tensor.shape, file_type, layers=layers, tied=tied)
        counts[kind] += tensor.size
        if kind == "F32":
            writer.add_tensor(called, np.ascontiguousarray(tensor, dtype=np.float32))
        else:
            made = ggml.quantised(tensor, kind)
            writer.add_tensor(called, made, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return {"weights_by_format": dict(sorted(counts.items()))}


def tensors(model: Any, family: Family, *, tied: bool) -> Iterator[tuple[str, np.ndarray]]:
    """The file's tensors by their names, float32 [O, I] or [O].

    Raises:
        CheckpointError: the model has a part that the format has no place for.
    """
    from transformers.pytorch_utils import Conv1D

    modules = dict(model.named_modules())
    config = model.config
    for name, parameter in model.named_parameters(remove_duplicate=False):
        module, _, what = name.rpartition(".")
        if tied and module == "lm_head":
            continue
        tensor = parameter.detach().float().numpy()
        if isinstance(modules[module], Conv1D) and what == "weight":
            tensor = tensor.T
        if family.reordered and module.endswith(("q_proj", "k_proj")):
            queries = module.endswith("q_proj")
            heads = config.num_attention_heads if queries else config.num_key_value_heads
            tensor = neighbouring(tensor, heads)
        yield f"{_called(module, family)}.{what}", tensor


def neighbouring(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows [O, ...] with a head's first half and second half in turns."""
    halves = rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:])
    found: np.ndarray = halves.swapaxes(1, 2).reshape(rows.shape)
    return found


def _called(module: str, family: Family) -> str:
    within = _LAYER.fullmatch(module)
    found = _OUTER.get(module)
    if within is not None and within[2] in family.inner:
        found = f"blk.{within[1]}.{family.inner[within[2]]}"
    if found is None:
        raise CheckpointError(
            f"its part '{module}' has no place in a GGUF file of the architecture "
            f"'{family.architecture}': use a scheme of torch, e.g. language-int8"
        )
    return found


def family_of(model: Any) -> Family:
    """How the model stands in a GGUF file.

    Raises:
        CheckpointError: a family that isn't written, or a build of one that the file can't say.
    """
    kind = model.config.model_type
    if kind not in _FAMILIES:
        raise CheckpointError(
            f"a GGUF file is written for {', '.join(sorted(_FAMILIES))}, and this is a "
            f"{kind}: use a scheme of torch, e.g. language-int8"
        )
    return _FAMILIES[kind]


def _llama(writer: Any, config: Any) -> None:
    rope = dict(getattr(config, "rope_parameters", None) or {})
    if rope.get("rope_type", "default") != "default" or getattr(config, "sliding_window", None):
        raise CheckpointError(
            "its positions are scaled or its attention slides, which isn't written into a GGUF "
            "file: use a scheme of torch, e.g. language-int8"
        )
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10_000.0)))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _gpt2(writer: Any, config: Any) -> None:
    if config.n_positions != GPT2_POSITIONS:
        raise CheckpointError(
            f"the model has {config.n_positions:,} positions, and transformers reads a GPT-2 from "
            f"a GGUF file with {GPT2_POSITIONS:,} alone; take a scheme language-*"
        )
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)


_FAMILIES: Final = {
    "llama": Family("llama", _LLAMA, True, _llama),
    "mistral": Family("llama", _LLAMA, True, _llama),
    "qwen2": Family("qwen2", _LLAMA, False, _llama),
    "qwen3": Family("qwen3", _LLAMA, False, _llama),
    "gpt2": Family("gpt2", _GPT2, False, _gpt2),
}
