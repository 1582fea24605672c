"""Scheme `int8-weights`: weights alone in 8 bits, arithmetic in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gradus.compress.onnx_scheme import OnnxScheme, Rewrite

if TYPE_CHECKING:
    from gradus.compress.base import Material
    from gradus.compress.classifier import Classifier


class Int8Weights(OnnxScheme):
    """Weights and embeddings stored in int8, products in float32: small, not fast.

    Weights have a scale for each output channel and are turned back to float32 when the graph is
    loaded, so that memory and speed are those of float32. Activations aren't rounded.
    """

    summary: ClassVar[str] = "weights in int8, arithmetic in float32, in ONNX Runtime"
    dtype: ClassVar[str] = "float32, weights in int8"

    def rewrite(self, model: Any, classifier: Classifier, material: Material) -> Rewrite:
        """Put integers, and nodes that turn them back, in the place of constant weights."""
        from gradus.compress.integers import quantise_graph

        done = quantise_graph(model, form="int8-weights")
        return Rewrite(rewritten=done.rewritten, kept_parameters=done.kept_parameters)
