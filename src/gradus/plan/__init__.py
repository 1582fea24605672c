"""Plans: load, resolve, check. Every fault of a plan is found before any compute.

>>> from gradus.plan import check_plan
>>> for fault in check_plan("name: news\\nstep: []"):
...     print(fault)
line 1: steps: a plan needs at least one step
line 2: step: unknown key 'step': did you mean 'steps'?
"""

from gradus.plan.dump import dump
from gradus.plan.load import check_plan, load_plan, plan_from_dict
from gradus.plan.measure import MeasureConfig
from gradus.plan.references import data_of
from gradus.plan.schema import schema

__all__ = [
    "MeasureConfig",
    "check_plan",
    "data_of",
    "dump",
    "load_plan",
    "plan_from_dict",
    "schema",
]
