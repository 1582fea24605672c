"""What OpenVINO leaves behind in the process that uses it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("openvino")

# Two graphs, freed in the order they were made; then Ctrl-C as training catches it.
SCRIPT = """
import faulthandler, os, signal
faulthandler.enable()
import numpy as np, openvino, openvino.opset13 as op
from gradus.predict.openvino import compile_graph

def graph():
    x = op.parameter([-1, 8], np.float32)
    w = op.constant(np.eye(8, dtype=np.float32))
    return compile_graph(openvino.Model([op.matmul(x, w, False, False)], [x]), 1, "float32")

one, two = graph(), graph()
rows = np.arange(16, dtype=np.float32).reshape(2, 8)
assert np.array_equal(one(rows)[0], rows) and np.array_equal(two(rows)[0], rows)
del one, two
caught = []
signal.signal(signal.SIGINT, lambda *_: caught.append(1))
for _ in range(3):
    os.kill(os.getpid(), signal.SIGINT)
print("caught", len(caught))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sigaltstack of Linux")
def test_ctrl_c_is_caught_after_graphs_were_freed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "caught 3"), done.stderr
