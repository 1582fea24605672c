"""Scheme `int4-weights`: weights alone in 4 bits, arithmetic in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gradus.compress.base import COARSE
from gradus.compress.onnx_scheme import OnnxScheme, Rewrite
from gradus.parity.base import Bounds

if TYPE_CHECKING:
    from gradus.compress.base import Material
    from gradus.compress.classifier import Classifier


class Int4Weights(OnnxScheme):
    """Weights stored in four bits, embeddings in eight, products in float32: smaller, not fast.

    Weights have a scale for every 32 of an output channel (see `gradus.compress.blocks`), 4.5 to 5
    bits each with it, and are turned back while they are multiplied. Activations aren't rounded.
    """

    summary: ClassVar[str] = "weights in int4 by blocks, arithmetic in float32, in ONNX Runtime"
    bounds: ClassVar[Bounds] = COARSE
    dtype: ClassVar[str] = "float32, weights in int4"

    def rewrite(self, model: Any, classifier: Classifier, material: Material) -> Rewrite:
        """Put products with four-bit weights in the place of those with constant ones."""
        from gradus.compress.integers import quantise_graph

        done = quantise_graph(model, form="int4-weights")
        return Rewrite(rewritten=done.rewritten, kept_parameters=done.kept_parameters)
