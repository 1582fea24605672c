"""What the schemes share that write a graph for ONNX Runtime: export, proof, rewriting, files.

Legend: n texts of L tokens each, K labels.
"""

from __future__ import annotations

import platform
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gradus.compress.base import Compressed, Material, Scheme
from gradus.errors import CheckpointError

if TYPE_CHECKING:
    from collections import Counter

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


def processor_sums_are_wide() -> bool:
    """`sums_are_wide` of the processor at hand."""
    from gradus import hardware

    return sums_are_wide(platform.machine(), hardware.processor()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """What a scheme has done to a graph.

    Attributes:
        rewritten: how many nodes of each operator.
        kept_parameters: weights that stayed float32.
        facts: further facts.
        notes: sentences for the report.
    """

    rewritten: Counter[str]
    kept_parameters: int
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class OnnxScheme(Scheme):
    """A scheme that rewrites a float32 ONNX graph.

    The graph is run beside torch first and refused when it strays, so that whatever differs
    afterwards is the rounding's doing.

    Class attributes:
        dtype: what the checkpoint says that it computes in.
    """

    kind: ClassVar[str] = "onnx"
    dtype: ClassVar[str] = "int8"

    @abstractmethod
    def rewrite(self, model: Any, classifier: Classifier, material: Material) -> Rewrite:
        """Round the weights of an onnx.ModelProto, in place."""

    def write(self, classifier: Classifier, folder: Path, *, material: Material) -> Compressed:
        """Export, check, rewrite, write ``model.onnx`` and the tokenizer's files."""
        from gradus.compress.export import check_tokens, export, write_graph
        from gradus.predict.graph import TOKENIZER, encoder
        from gradus.predict.onnx import GRAPH

        preprocessing = {**classifier.preprocessing(), "dtype": self.dtype}
        classifier.copy_tokenizer(folder)
        check_tokens(classifier, encoder(folder / TOKENIZER, preprocessing), material.texts)
        exported = export(classifier, material.texts)
        done = self.rewrite(exported.model, classifier, material)
        if not done.rewritten:
            raise CheckpointError(
                f"{classifier.folder}: its graph has no product with constant weights to quantise"
            )
        size = write_graph(exported.model, folder / GRAPH)
        return Compressed(
            preprocessing=preprocessing,
            facts={
                "float32_graph_bytes": exported.bytes,
                "graph_bytes": size,
                "size_ratio": size / exported.bytes,
                "export_max_logit_difference": exported.difference,
                "export_texts": exported.texts,
                "attention": exported.attention,
                "quantised_ops": dict(sorted(done.rewritten.items())),
                "float32_parameters": done.kept_parameters,
                **done.facts,
            },
            notes=done.notes,
        )


def integer_range() -> tuple[int, dict[str, Any], tuple[str, ...]]:
    """The greatest magnitude of a weight's integer here, with what the report says of it."""
    wide = processor_sums_are_wide()
    facts = {"weight_bits": 8 if wide else 7}
    return (FULL_RANGE, facts, ()) if wide else (NARROW_RANGE, facts, (NARROW_NOTE,))
