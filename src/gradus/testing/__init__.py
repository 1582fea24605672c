"""Contract suites that every entry of the catalog passes, and that other packages' entries inherit.

A test file of an extension needs a class for each entry, e.g.::

    from gradus.testing import MetricContract

    class TestMyMetric(MetricContract):
        entry = "my_metric"

pytest then runs the whole suite on it. `CONTRACTS` maps each section of the catalog to its suite.
"""

from gradus.testing.adapters import AdapterContract
from gradus.testing.choices import LossContract, OptimiserContract, PreparationContract
from gradus.testing.data import BenchmarkContract, FormatContract, MetricContract, SourceContract
from gradus.testing.engines import EngineContract
from gradus.testing.models import KindContract, ObjectiveContract, SchemeContract
from gradus.testing.steps import StepContract
from gradus.testing.world import ListeningMonitor, World
from gradus.testing.writings import FeatureContract

CONTRACTS = {
    "steps": StepContract,
    "objectives": ObjectiveContract,
    "adapters": AdapterContract,
    "optimisers": OptimiserContract,
    "losses": LossContract,
    "preparations": PreparationContract,
    "schemes": SchemeContract,
    "sources": SourceContract,
    "formats": FormatContract,
    "metrics": MetricContract,
    "benchmarks": BenchmarkContract,
    "features": FeatureContract,
    "kinds": KindContract,
    "engines": EngineContract,
}

__all__ = [
    "CONTRACTS",
    "AdapterContract",
    "BenchmarkContract",
    "EngineContract",
    "FeatureContract",
    "FormatContract",
    "KindContract",
    "ListeningMonitor",
    "LossContract",
    "MetricContract",
    "ObjectiveContract",
    "OptimiserContract",
    "PreparationContract",
    "SchemeContract",
    "SourceContract",
    "StepContract",
    "World",
]
