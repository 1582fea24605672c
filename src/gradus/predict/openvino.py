"""Predicting with OpenVINO; the one file that imports it.

Files of a checkpoint of kind ``openvino``: ``model.xml`` with ``model.bin`` and ``tokenizer.json``,
see `gradus.predict.graph`.
"""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gradus.errors import CheckpointError, MissingExtra
from gradus.predict.graph import Call, GraphPredictor

if TYPE_CHECKING:
    import numpy as np

GRAPH: Final = "model.xml"
WEIGHTS: Final = "model.bin"


def runtime() -> Any:
    """The module ``openvino``.

    Raises:
        MissingExtra: it isn't installed.
    """
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise MissingExtra(
            error.name or "openvino", "openvino", "working with OpenVINO graphs"
        ) from error


def compile_graph(graph: Any, threads: int, dtype: str) -> Any:
    """An ``openvino.CompiledModel`` on the processor with that many threads inside one call.

    Args:
        graph: an ``openvino.Model``, or the path of one.
        threads: inside one call.
        dtype: what is computed in that isn't in integers: ``float32`` or ``bfloat16``.

    Raises:
        CheckpointError: the graph can't be read.
    """
    core = runtime().Core()
    try:
        model = core.read_model(str(graph)) if isinstance(graph, Path) else graph
        return core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32",
            },
        )
    except RuntimeError as error:
        where = str(graph) if isinstance(graph, Path) else "the graph"
        first = (str(error).strip() or "no reason given").splitlines()[-1]
        raise CheckpointError(
            f"{where}: OpenVINO {runtime().__version__} can't read it ({first}); "
            "copy the checkpoint again or make it anew"
        ) from error


class OpenVinoPredictor(GraphPredictor):
    """A graph in OpenVINO; see `GraphPredictor`."""

    kind: ClassVar[str] = "openvino"
    summary: ClassVar[str] = "an exported classifier, in OpenVINO"
    backend: ClassVar[str] = "openvino"

    def _open_graph(self, folder: Path, threads: int) -> Call:
        dtype = str(self._preprocessing["dtype"])
        compiled = compile_graph(folder / GRAPH, threads, dtype)
        output = compiled.output(0)
        # A request holds one call's tensors, so every thread that calls has its own.
        own = threading.local()

        def call(ids: np.ndarray) -> np.ndarray:
            if not hasattr(own, "request"):
                own.request = compiled.create_infer_request()
            # The request writes over its tensors at the next call.
            logits: np.ndarray = own.request.infer({0: ids})[output].copy()
            return logits

        return call
