"""Predicting with ONNX Runtime; the one file that imports it.

Files of a checkpoint of kind ``onnx``: ``model.onnx`` and ``tokenizer.json``, see
`gradus.predict.graph`.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gradus.errors import CheckpointError, MissingExtra
from gradus.predict.graph import Call, GraphPredictor

if TYPE_CHECKING:
    import numpy as np

GRAPH: Final = "model.onnx"
_ERRORS_ONLY: Final = 3


def runtime(part: str = "") -> Any:
    """The module ``onnxruntime``, or a part of it such as ``quantization``, made to keep quiet.

    Raises:
        MissingExtra: it isn't installed, or `part` needs a package that isn't.
    """
    try:
        ort = importlib.import_module("onnxruntime")
        ort.set_default_logger_severity(_ERRORS_ONLY)
        ort.disable_telemetry_events()
        return importlib.import_module(f"onnxruntime.{part}") if part else ort
    except ImportError as error:
        package = error.name or "onnxruntime"
        raise MissingExtra(package, "onnx", "working with ONNX graphs") from error


def open_session(graph: Path | bytes, threads: int) -> Any:
    """An InferenceSession on the processor with that many threads inside one call.

    Raises:
        CheckpointError: the graph can't be read, or holds what this ONNX Runtime doesn't know.
    """
    ort = runtime()
    states = runtime("capi.onnxruntime_pybind11_state")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # session.set_denormal_as_zero stays off: it would switch the calling thread over for good,
    # and with it whatever torch and numpy compute there afterwards.
    # Idle threads give the core back at once: callers and tokeniser take turns on few cores.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return ort.InferenceSession(
            graph if isinstance(graph, bytes) else str(graph),
            options,
            providers=["CPUExecutionProvider"],
        )
    except (
        states.Fail,
        states.InvalidArgument,
        states.InvalidGraph,
        states.InvalidProtobuf,
        states.NoSuchFile,
        states.NotImplemented,
        states.RuntimeException,
    ) as error:
        where = "the graph" if isinstance(graph, bytes) else str(graph)
        raise CheckpointError(
            f"{where}: ONNX Runtime {ort.__version__} can't read it ({error}); "
            "copy the checkpoint again or make it anew"
        ) from error


class OnnxPredictor(GraphPredictor):
    """A graph in ONNX Runtime; see `GraphPredictor`."""

    kind: ClassVar[str] = "onnx"
    summary: ClassVar[str] = "an exported classifier, in ONNX Runtime"
    backend: ClassVar[str] = "onnxruntime"

    def _open_graph(self, folder: Path, threads: int) -> Call:
        session = open_session(folder / GRAPH, threads)
        name = session.get_inputs()[0].name

        def call(ids: np.ndarray) -> np.ndarray:
            logits: np.ndarray = session.run(None, {name: ids})[0]
            return logits

        return call
