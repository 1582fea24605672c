"""Scheme `int8-dynamic`: int8 weights and embeddings, int8 activations scaled token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gradus.compress.onnx_scheme import OnnxScheme, Rewrite, integer_range

if TYPE_CHECKING:
    from gradus.compress.base import Material
    from gradus.compress.classifier import Classifier


class Int8Dynamic(OnnxScheme):
    """Matrix products in int8 through ONNX Runtime, with no calibration data.

    Weights have a scale for each output channel, embeddings for each row, activations for each
    token (see `gradus.compress.integers`). Attention, norms and pooling stay in float32. Where the
    processor at hand could overflow (x86 without VNNI) weights get 7 bits; a checkpoint made with
    8 bits elsewhere loses accuracy there.
    """

    summary: ClassVar[str] = "int8 weights, int8 activations scaled by token, in ONNX Runtime"

    def rewrite(self, model: Any, classifier: Classifier, material: Material) -> Rewrite:
        """Put integers in the place of constant weights."""
        from gradus.compress.integers import quantise_graph

        most, facts, notes = integer_range()
        done = quantise_graph(model, most=most)
        return Rewrite(
            rewritten=done.rewritten,
            kept_parameters=done.kept_parameters,
            facts=facts,
            notes=notes,
        )
