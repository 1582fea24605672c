"""Formats of a GGUF file's tensors, against llama.cpp's rules worked out by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gradus.compress.language import ggml
from gradus.compress.language.mixture import MIXTURES, format_of, more_bits


def _formats(file_type: str, width: int, inner: int, layers: int = 30) -> Counter[str]:
    found: Counter[str] = Counter()
    shapes = {
        "attn_q.weight": (width, width),
        "attn_k.weight": (width // 3, width),
        "attn_v.weight": (width // 3, width),
        "attn_output.weight": (width, width),
        "ffn_gate.weight": (inner, width),
        "ffn_up.weight": (inner, width),
        "ffn_down.weight": (width, inner),
        "attn_norm.weight": (width,),
        "ffn_norm.weight": (width,),
    }
    for layer in range(layers):
        for name, shape in shapes.items():
            found[format_of(f"blk.{layer}.{name}", shape, file_type, layers=layers, tied=True)] += 1
    found[format_of("token_embd.weight", (100, width), file_type, layers=layers, tied=True)] += 1
    found[format_of("output_norm.weight", (width,), file_type, layers=layers, tied=True)] += 1
    return found


def test_rows_of_whole_blocks() -> None:
    # 32 layers of a Llama: half of the values and of the second matrices get 6 bits.
    found = _formats("Q4_K_M", 768, 1536, layers=32)
    assert found == {"F32": 65, "Q6_K": 33, "Q4_K": 192}


def test_rows_that_blocks_of_256_do_not_fit() -> None:
    # SmolLM2-135M: width 576, inner width 1536. Of its 30 layers the first three, the last four and
    # seven between them have more bits.
    found = _formats("Q4_K_M", 576, 1536)
    assert found == {"F32": 61, "Q5_0": 6 * 30 - 14, "Q8_0": 14 + 1, "Q6_K": 14, "Q4_K": 16}


@pytest.mark.parametrize("file_type", ["F16", "Q8_0", "Q4_0"])
def test_plain_types_have_one_format_but_for_words(file_type: str) -> None:
    found = _formats(file_type, 768, 1536)
    words = {"Q4_0": "Q6_K"}.get(file_type, file_type)
    assert found - Counter({"F32": 61, words: 1}) == {file_type: 210}


def test_positions_and_vectors_stay_whole() -> None:
    assert format_of("position_embd.weight", (9, 64), "Q8_0", layers=2, tied=True) == "F32"
    assert format_of("blk.0.attn_q.bias", (64,), "Q8_0", layers=2, tied=True) == "F32"
    assert format_of("blk.0.attn_q.weight", (64, 40), "Q8_0", layers=2, tied=True) == "F16"


def test_half_of_the_layers_get_more() -> None:
    assert sum(more_bits(layer, 32) for layer in range(32)) == 16


@pytest.mark.parametrize("kind", sorted({*MIXTURES.values(), "Q5_0", "Q5_1"}))
def test_what_is_read_back_is_near(kind: str) -> None:
    gguf = pytest.importorskip("gguf")
    if kind not in ggml.PLAIN:
        pytest.importorskip("xllamacpp")
    rows = np.random.default_rng(0).normal(size=(5, 512)).astype(np.float32)
    made = ggml.quantised(rows, kind)
    back = gguf.quants.dequantize(made, gguf.GGMLQuantizationType[kind])
    bits = {"F16": 11, "BF16": 8}.get(kind) or int(kind[1])
    error = np.sqrt(np.square(back - rows).mean()) / rows.std()
    # A normal variable in b bits over about ±3 deviations has steps of 6 / 2^b.
    assert error < 6 / 2**bits / np.sqrt(12) * 1.25
    if kind[0] == "Q":
        assert error > 6 / 2**bits / np.sqrt(12) / 4
        size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
        assert made.nbytes == rows.size // size[0] * size[1]
