"""Which tensor of a GGUF file gets which format.

A file type such as ``Q4_K_M`` is a mixture: llama.cpp gives more bits to what matters more
(vocabulary, values, the second matrix of a layer's feed-forward part). What is said here follows
its rules for the types that are offered, so that a file made here is what its tool would make.
"""

from __future__ import annotations

from typing import Final

MIXTURES: Final = {
    "F16": "F16",
    "BF16": "BF16",
    "Q8_0": "Q8_0",
    "Q4_0": "Q4_0",
    "Q5_0": "Q5_0",
    "Q4_K_M": "Q4_K",
    "Q5_K_M": "Q5_K",
    "Q6_K": "Q6_K",
}
"""The format that most tensors have, by file type."""

_FULL: Final = frozenset({"F16", "BF16", "Q8_0"})
_MIXED: Final = frozenset({"Q4_K_M", "Q5_K_M"})
# Where rows aren't made of whole blocks of 256: the format of blocks of 32 with no fewer bits.
FALLBACK: Final = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


def format_of(name: str, shape: tuple[int, ...], file_type: str, *, layers: int, tied: bool) -> str:
    """The format of one tensor, by gguf's name.

    Args:
        name: in the file, ``blk.3.attn_v.weight``.
        shape: as numpy has it, the row's length last.
        file_type: a key of `MIXTURES`.
        layers: how many the model has.
        tied: whether the words are the vocabulary too.
    """
    if len(shape) < 2 or not name.endswith(".weight") or name == "position_embd.weight":
        return "F32"
    found = MIXTURES[file_type]
    if file_type not in _FULL:
        if name == "output.weight" or (tied and name == "token_embd.weight"):
            found = "Q6_K" if shape[-1] % 256 == 0 else "Q8_0"
        elif file_type in _MIXED:
            found = _mixed(name, found, layers)
    if found in FALLBACK and shape[-1] % 256:
        found = FALLBACK[found]
    return found if shape[-1] % (32 if found[0] == "Q" else 1) == 0 else "F16"


def _mixed(name: str, usual: str, layers: int) -> str:
    """The format in a mixture with more bits for some tensors of some layers."""
    if "attn_qkv" in name:
        return "Q5_K" if usual == "Q4_K" else "Q6_K"
    if "attn_v" not in name and "ffn_down" not in name:
        return usual
    return "Q6_K" if more_bits(int(name.split(".")[1]), layers) else usual


def more_bits(layer: int, layers: int) -> bool:
    """Whether a layer is one of those that get more: the first and last eighth, and every third.

    >>> [n for n in range(16) if more_bits(n, 16)]
    [0, 1, 4, 7, 10, 13, 14, 15]
    """
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
