"""Gradus: take a language model through its life one step at a time.

>>> import gradus
>>> record = gradus.run("plans/news.yaml")              # doctest: +SKIP
>>> model = gradus.load(record.checkpoint("tuned"))     # doctest: +SKIP
>>> model.predict(["Shares rose in London."])[0].label  # doctest: +SKIP
'business'

What stands in `__all__` is the public surface; everything is imported when it is first used, so
that ``import gradus`` costs nothing.
"""

from __future__ import annotations

import importlib
import logging
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradus.api import (
        check,
        evaluate,
        finetune,
        generate,
        load,
        load_data,
        run,
        step,
    )
    from gradus.api_metrics import gate, metric, score
    from gradus.errors import GradusError, PlanError
    from gradus.records import Measurement, Plan, RunRecord, StepRecord, Verdict

_PUBLIC = {
    "check": "gradus.api",
    "evaluate": "gradus.api",
    "finetune": "gradus.api",
    "gate": "gradus.api_metrics",
    "generate": "gradus.api",
    "load": "gradus.api",
    "load_data": "gradus.api",
    "metric": "gradus.api_metrics",
    "run": "gradus.api",
    "score": "gradus.api_metrics",
    "step": "gradus.api",
    "GradusError": "gradus.errors",
    "PlanError": "gradus.errors",
    "Measurement": "gradus.records",
    "Plan": "gradus.records",
    "RunRecord": "gradus.records",
    "StepRecord": "gradus.records",
    "Verdict": "gradus.records",
}

__all__ = [
    "GradusError",
    "Measurement",
    "Plan",
    "PlanError",
    "RunRecord",
    "StepRecord",
    "Verdict",
    "__version__",
    "check",
    "evaluate",
    "finetune",
    "gate",
    "generate",
    "load",
    "load_data",
    "metric",
    "run",
    "score",
    "step",
]

# transformers imports torchao wherever it is installed. That kernels for graphics cards don't load
# without one, and how its enumerations are registered with torch, is no news to our users.
for _logger in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_logger).setLevel(logging.ERROR)

try:
    __version__ = version("gradus-lm")
except PackageNotFoundError:  # a source tree that isn't installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'gradus' has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
