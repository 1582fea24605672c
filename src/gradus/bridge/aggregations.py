"""How lm-evaluation-harness makes one number of the items' values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradus import bridge


def aggregate(name: str, values: Sequence[Any]) -> float:
    """What the harness's aggregation of that name makes of the items' `values`.

    Raises:
        MissingExtra: the harness isn't installed.
    """
    bridge.version()
    import lm_eval.api.metrics  # noqa: F401  # registers the aggregations
    from lm_eval.api.registry import get_aggregation

    return float(get_aggregation(name)(values))


def named(function: Callable[..., Any] | None) -> str | None:
    """The name under which the harness knows an aggregation; None for a task's own."""
    import lm_eval.api.metrics  # noqa: F401  # registers the aggregations
    from lm_eval.api.registry import AGGREGATION_REGISTRY

    for name, known in AGGREGATION_REGISTRY.items():
        if known is function:
            return str(name)
    return None
