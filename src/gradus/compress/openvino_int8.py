"""Scheme `openvino-int8`: int8 weights and activations in OpenVINO, calibrated on train."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gradus.compress.base import Compressed, Material, Scheme
from gradus.errors import CheckpointError, MissingExtra

if TYPE_CHECKING:
    from gradus.compress.classifier import Classifier


# Texts of one length in a batch, whose logits must be those of each alone.
BATCH: Final = 16
APART: Final = 1e-3


class OpenVinoInt8(Scheme):
    """Matrix products in int8 through OpenVINO, quantised by NNCF.

    Weights have a scale for each output channel, activations one a tensor, settled on texts of
    train; outlying channels of activations are moved into the weights first (SmoothQuant, Xiao et
    al. 2023), and the shift that rounding makes is taken out of the biases. The float32 graph is
    run beside torch before, and refused when it strays. Where a text has other logits beside others
    than alone once channels are moved, they aren't moved: OpenVINO 2026.4 did so with a BERT of
    width 32 (logits apart by 1.2), not with MiniLM (apart by 0).
    """

    kind: ClassVar[str] = "openvino"
    summary: ClassVar[str] = "int8 weights and activations calibrated on train, in OpenVINO"
    calibrates: ClassVar[bool] = True

    def write(self, classifier: Classifier, folder: Path, *, material: Material) -> Compressed:
        """Export, check, quantise, write ``model.xml``, ``model.bin`` and the tokenizer's files."""
        from gradus.compress.export import check_tokens, export
        from gradus.predict.graph import TOKENIZER, encoder
        from gradus.predict.openvino import GRAPH, WEIGHTS, runtime

        ov = runtime()
        preprocessing = {**classifier.preprocessing(), "dtype": "int8"}
        classifier.copy_tokenizer(folder)
        check_tokens(classifier, encoder(folder / TOKENIZER, preprocessing), material.texts)
        # The fused attention node is ONNX Runtime's own.
        exported = export(classifier, material.texts, fuse=False)
        graph = ov.Core().read_model(exported.model.SerializeToString())
        ids = classifier.encode(material.calibration)
        quantised, smooth = _quantised(graph, ids, smooth=True), True
        if _apart(quantised, ids) > APART:
            quantised, smooth = _quantised(graph, ids, smooth=False), False
        ov.save_model(quantised, str(folder / GRAPH), compress_to_fp16=False)
        size = sum((folder / name).stat().st_size for name in (GRAPH, WEIGHTS))
        return Compressed(
            preprocessing=preprocessing,
            facts={
                "float32_graph_bytes": exported.bytes,
                "graph_bytes": size,
                "size_ratio": size / exported.bytes,
                "export_max_logit_difference": exported.difference,
                "export_texts": exported.texts,
                "attention": exported.attention,
                "smooth_quant": smooth,
                "batch_logit_difference": _apart(quantised, ids),
                "calibration_texts": len(material.calibration),
                "calibration_tokens": sum(len(row) for row in ids),
            },
        )


def _quantised(graph: Any, ids: list[list[int]], *, smooth: bool) -> Any:
    """The graph in int8; what NNCF shows while it works is left unsaid.

    Raises:
        CheckpointError: there are no texts to calibrate on.
        MissingExtra: NNCF isn't installed.
    """
    import numpy as np

    from gradus.predict.openvino import kept_signal_stack

    if not ids:
        raise CheckpointError("no texts to settle the scales of activations on: name data")
    try:
        nncf = importlib.import_module("nncf")
    except ImportError as error:
        raise MissingExtra(error.name or "nncf", "openvino", "quantising for OpenVINO") from error
    nncf.set_log_level(logging.ERROR)
    texts = nncf.Dataset([np.array([row], dtype=np.int64) for row in ids])
    # A negative strength turns the moving of channels off.
    still = nncf.AdvancedQuantizationParameters(
        smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1)
    )
    with kept_signal_stack(), contextlib.redirect_stdout(io.StringIO()):
        return nncf.quantize(
            graph,
            texts,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(ids),
            advanced_parameters=None if smooth else still,
        )


def _apart(quantised: Any, ids: list[list[int]]) -> float:
    """The greatest difference of a text's logits beside others and alone."""
    import numpy as np

    from gradus.predict.openvino import compile_graph

    by_length: dict[int, list[list[int]]] = {}
    for row in ids:
        by_length.setdefault(len(row), []).append(row)
    rows = np.array(max(by_length.values(), key=len)[:BATCH], dtype=np.int64)
    compiled = compile_graph(quantised, 1, "int8")
    request, output = compiled.create_infer_request(), compiled.output(0)
    together = request.infer({0: rows})[output].copy()
    alone = np.concatenate([request.infer({0: row[None]})[output].copy() for row in rows])
    return float(np.abs(together - alone).max())
