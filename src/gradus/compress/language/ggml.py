"""Rows of weights in the formats of GGUF files.

The plain formats (F16, Q8_0, Q4_0 and their like) come from gguf, which writes what llama.cpp
writes. The K formats come from llama.cpp's own code, which lies compiled in xllamacpp: its one
function for a stretch of rows, ``ggml_quantize_chunk``, is called there.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Final

import numpy as np

from gradus.errors import MissingExtra

PLAIN: Final = frozenset({"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"})
# A file that llama.cpp refuses later is worse than none: what it writes is measured.
_FUNCTION: Final = "ggml_quantize_chunk"


def block_of(kind: str) -> int:
    """Weights that a block of the format holds; a row must be a whole number of them."""
    import gguf

    size: int = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0]
    return size


def quantised(rows: np.ndarray, kind: str) -> np.ndarray:
    """The rows in the format, uint8 [O, bytes of a row] (F32 and F16: numbers [O, I]).

    Args:
        rows: float32 [O, I], I a multiple of the format's block.
        kind: a format by gguf's name, e.g. ``Q4_K``.

    Raises:
        MissingExtra: gguf isn't installed, or xllamacpp for one of the K formats.
    """
    import gguf

    rows = np.ascontiguousarray(rows, dtype=np.float32)
    if kind in PLAIN:
        found: np.ndarray = gguf.quants.quantize(rows, gguf.GGMLQuantizationType[kind])
        return found
    number = int(gguf.GGMLQuantizationType[kind])
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    made = np.empty((len(rows), rows.shape[1] // block * size), dtype=np.uint8)
    written = _library()[_FUNCTION](
        number,
        rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
        made.ctypes.data_as(ctypes.c_void_p),
        0,
        len(rows),
        rows.shape[1],
        None,
    )
    if written != made.nbytes:
        raise MissingExtra("xllamacpp", "llama", f"writing {kind}, of another version than this")
    return made


@cache
def _library() -> Any:
    """llama.cpp as it lies in xllamacpp, with the types of the function that is called.

    Raises:
        MissingExtra: it isn't installed, or doesn't show the function.
    """
    try:
        from xllamacpp import xllamacpp
    except ImportError as error:
        raise MissingExtra("xllamacpp", "llama", "writing K formats of GGUF") from error
    library = ctypes.CDLL(xllamacpp.__file__)
    try:
        function = library[_FUNCTION]
    except AttributeError as error:
        raise MissingExtra("xllamacpp", "llama", "writing K formats of GGUF") from error
    function.restype = ctypes.c_size_t
    function.argtypes = [
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_float),
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_void_p,
    ]
    return library
