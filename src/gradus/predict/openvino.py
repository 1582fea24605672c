"""Predicting with OpenVINO; the one file that imports it.

Files of a checkpoint of kind ``openvino``: ``model.xml`` with ``model.bin`` and ``tokenizer.json``,
see `gradus.predict.graph`.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


class _Stack(ctypes.Structure):
    """``stack_t`` of sigaltstack(2) on Linux."""

    _fields_ = (
        ("start", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_size_t),
    )


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Leave this thread the stack that its signal handlers run on.

    OpenVINO 2026.4 gives the thread that compiles a graph a stack of its own, and puts back what it
    found when that graph is freed: with two graphs that is the stack of the other one, freed too,
    and the next Ctrl-C ends the process with a segmentation fault. What a graph finds is therefore
    always what was there at first, and graphs that the block lets go of are gone at its end.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    libc, before = ctypes.CDLL(None), _Stack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        gc.collect()
        libc.sigaltstack(ctypes.byref(before), None)


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
        with kept_signal_stack():
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
