"""A checked plan as YAML: every default filled in, every variable replaced."""

from __future__ import annotations

import re
from typing import Any

import yaml

from gradus.plan.tree import FLOAT, INT
from gradus.plan.variables import escape
from gradus.records import Plan, StepSpec


class _Dumper(yaml.SafeDumper):
    """Quotes what either YAML 1.1 or Gradus would read as something else than text."""


for _pattern in (INT, FLOAT):
    # The tag only has to differ from text's for the text to be quoted.
    _anchored = re.compile(rf"(?:{_pattern.pattern})\Z")
    _Dumper.add_implicit_resolver("!number", _anchored, [*"-+0123456789."])


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    # Between single quotes PyYAML would write these line breaks bare, and read them as spaces.
    style = '"' if any(mark in value for mark in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(plan: Plan) -> str:
    """The resolved plan as YAML; `load_plan` reads an equal plan from it.

    Relative paths stay as they are, so load it with the same ``folder``.
    """
    raw: dict[str, Any] = {
        "name": plan.name,
        "about": plan.about,
        "seed": plan.seed,
        "vars": plan.variables,
        "data": plan.data,
        "corpora": plan.corpora,
        "models": plan.models,
        "steps": [_step(step) for step in plan.steps],
        "measure": plan.measure,
        "scores": plan.scores,
    }
    text: str = yaml.dump(
        escape({key: value for key, value in raw.items() if value}),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
    return text


def _step(step: StepSpec) -> dict[str, Any]:
    return {
        "id": step.id,
        "step": step.kind,
        **step.config,
        "gates": list(step.gates),
        "on_undecided": step.on_undecided,
        "seeds": step.seeds,
        **({"early_test": step.early_test} if step.early_test else {}),
    }
