"""Scheme `int8-static`: int8 weights, int8 activations under scales settled on train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gradus.compress.onnx_scheme import OnnxScheme, Rewrite, integer_range

if TYPE_CHECKING:
    from gradus.compress.base import Material
    from gradus.compress.classifier import Classifier


class Int8Static(OnnxScheme):
    """Matrix products in int8 through ONNX Runtime, activations under one fixed scale a tensor.

    The scales are settled on texts of train: of those that clip a tensor's values, the one with
    the least squared error (see `gradus.compress.calibration`). Nothing is looked up in a token
    when it comes by, which is faster than `int8-dynamic` and rounds more coarsely.
    """

    summary: ClassVar[str] = "int8 weights, int8 activations calibrated on train, in ONNX Runtime"
    calibrates: ClassVar[bool] = True

    def rewrite(self, model: Any, classifier: Classifier, material: Material) -> Rewrite:
        """Settle the scales, then put integers in the place of constant weights."""
        from gradus.compress.calibration import activation_scales
        from gradus.compress.integers import quantise_graph

        most, facts, notes = integer_range()
        ids = classifier.encode(material.calibration)
        settled = activation_scales(model, ids, threads=material.threads)
        done = quantise_graph(model, most=most, scales=settled)
        facts |= {
            "calibration_texts": len(material.calibration),
            "calibration_tokens": sum(len(row) for row in ids),
            "calibrated_tensors": len(settled),
        }
        return Rewrite(
            rewritten=done.rewritten,
            kept_parameters=done.kept_parameters,
            facts=facts,
            notes=notes,
        )
