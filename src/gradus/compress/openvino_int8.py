"""Scheme `openvino-int8`: int8 weights and activations in OpenVINO, calibrated on train."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.compress.base import Compressed, Material, Scheme
from gradus.errors import CheckpointError, MissingExtra

if TYPE_CHECKING:
    from gradus.compress.classifier import Classifier


class OpenVinoInt8(Scheme):
    """Matrix products in int8 through OpenVINO, quantised by NNCF.

    Weights have a scale for each output channel, activations one a tensor, settled on texts of
    train; outlying channels of activations are moved into the weights first (SmoothQuant, Xiao et
    al. 2023), and the shift that rounding makes is taken out of the biases. The float32 graph is
    run beside torch before, and refused when it strays.
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
        quantised = _quantised(graph, ids)
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
                "calibration_texts": len(material.calibration),
                "calibration_tokens": sum(len(row) for row in ids),
            },
        )


def _quantised(graph: Any, ids: list[list[int]]) -> Any:
    """The graph in int8; what NNCF shows while it works is left unsaid.

    Raises:
        CheckpointError: there are no texts to calibrate on.
        MissingExtra: NNCF isn't installed.
    """
    import numpy as np

    if not ids:
        raise CheckpointError("no texts to settle the scales of activations on: name data")
    try:
        nncf = importlib.import_module("nncf")
    except ImportError as error:
        raise MissingExtra(error.name or "nncf", "openvino", "quantising for OpenVINO") from error
    nncf.set_log_level(logging.ERROR)
    texts = nncf.Dataset([np.array([row], dtype=np.int64) for row in ids])
    with contextlib.redirect_stdout(io.StringIO()):
        return nncf.quantize(
            graph, texts, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(ids)
        )
