"""Scheme `int8-dynamic`: int8 weights and embeddings, int8 activations scaled token by token."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from gradus.compress.base import Compressed, Scheme
from gradus.errors import CheckpointError

if TYPE_CHECKING:
    from gradus.compress.classifier import Classifier

# x86 processors without one of these sum pairs of 8-bit products in 16 bits, which may overflow.
WIDE_SUMS: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
X86: Final = frozenset({"x86_64", "AMD64", "i386", "i686"})
FULL_RANGE, NARROW_RANGE = 127, 63
NARROW_NOTE: Final = "Weights have 7 bits: without VNNI, sums of 8-bit products may overflow here."


def sums_are_wide(machine: str, features: Sequence[str]) -> bool:
    """Whether products of 8-bit integers are summed in 32 bits throughout.

    >>> sums_are_wide("x86_64", ["avx2"]), sums_are_wide("aarch64", ["asimd"])
    (False, True)
    """
    return machine not in X86 or bool(WIDE_SUMS & set(features))


class Int8Dynamic(Scheme):
    """Matrix products in int8 through ONNX Runtime, with no calibration data.

    Weights have a scale for each output channel, embeddings for each row, activations for each
    token (see `gradus.compress.integers`). Attention, norms and pooling stay in float32. The
    float32 graph that the integers are put into is run beside torch first, and refused when it
    strays. Where the processor at hand could overflow (x86 without VNNI) weights get 7 bits; a
    checkpoint made with 8 bits elsewhere loses accuracy there.
    """

    kind: ClassVar[str] = "onnx"
    summary: ClassVar[str] = "int8 weights, int8 activations scaled by token, in ONNX Runtime"

    def write(self, classifier: Classifier, folder: Path, *, texts: Sequence[str]) -> Compressed:
        """Export, check, quantise, write ``model.onnx`` and the tokenizer's files."""
        from gradus import hardware
        from gradus.compress.export import check_tokens, export, write_graph
        from gradus.compress.integers import quantise_graph
        from gradus.predict.onnx import GRAPH, TOKENIZER, encoder

        preprocessing = {**classifier.preprocessing(), "dtype": "int8"}
        classifier.copy_tokenizer(folder)
        check_tokens(classifier, encoder(folder / TOKENIZER, preprocessing), texts)
        exported = export(classifier, texts)
        wide = sums_are_wide(platform.machine(), hardware.processor()[1])
        done = quantise_graph(exported.model, most=FULL_RANGE if wide else NARROW_RANGE)
        if not done.rewritten:
            raise CheckpointError(
                f"{classifier.folder}: its graph has no product with constant weights to quantise"
            )
        size = write_graph(exported.model, folder / GRAPH)
        return Compressed(
            preprocessing=preprocessing,
            facts={
                "float32_graph_bytes": exported.bytes,
                "int8_graph_bytes": size,
                "size_ratio": size / exported.bytes,
                "export_max_logit_difference": exported.difference,
                "export_texts": exported.texts,
                "attention": exported.attention,
                "quantised_ops": dict(sorted(done.rewritten.items())),
                "float32_parameters": done.kept_parameters,
                "weight_bits": 8 if wide else 7,
            },
            notes=() if wide else (NARROW_NOTE,),
        )
