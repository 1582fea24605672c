"""The plan's JSON Schema (draft 2020-12), made from the catalog, for editors."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from pydantic import BaseModel

from gradus import registry
from gradus.plan.check import StepKeys
from gradus.plan.measure import MeasureConfig
from gradus.plan.scores import ScoreConfig

NAME_PATTERN: Final = "^[A-Za-z][A-Za-z0-9_-]{0,63}$"
_LITERAL: Final = ("default", "enum", "const", "examples")
_SCALAR: Final = {"type": ["string", "number", "boolean", "null"]}


def schema() -> dict[str, Any]:
    """JSON Schema of a plan file: every step kind of the catalog with the keys it takes."""
    from gradus.data.config import DataConfig
    from gradus.data.corpora.config import CorpusConfig

    shared: dict[str, Any] = {}
    by_plain: dict[str, list[str]] = defaultdict(list)
    for versioned in registry.names("steps"):
        by_plain[registry.plain(versioned)].append(versioned)
    kinds = [
        _step(
            versioned,
            [versioned, plain] if registry.resolve("steps", plain) == versioned else [versioned],
            shared,
        )
        for plain, versions in by_plain.items()
        for versioned in versions
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Gradus plan",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "steps"],
        "properties": {
            "name": {"type": "string", "pattern": NAME_PATTERN},
            "about": {"type": "string"},
            "seed": {"type": "integer", "minimum": 0, "default": 0},
            "vars": {"type": "object", "additionalProperties": _SCALAR},
            "data": _named(_embedded("data", DataConfig, shared)),
            "corpora": _named(_embedded("corpora", CorpusConfig, shared)),
            "models": _named({"type": "object"}),
            "steps": {"type": "array", "minItems": 1, "items": {"oneOf": kinds}},
            "measure": _embedded("measure", MeasureConfig, shared),
            "scores": _named(_embedded("scores", ScoreConfig, shared)),
        },
        "$defs": shared,
    }


def _named(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": {"pattern": NAME_PATTERN},
        "additionalProperties": item,
    }


def _step(versioned: str, names: list[str], shared: dict[str, Any]) -> dict[str, Any]:
    kind = registry.load("steps", versioned)
    config = _embedded(versioned, kind.Config, shared)
    own = StepKeys.model_json_schema()
    properties = own["properties"] | {
        "id": {"type": "string", "pattern": NAME_PATTERN},
        "step": {"enum": names},
    }
    return config | {
        "title": versioned,
        "description": kind.summary,
        "properties": properties | config.get("properties", {}),
        "required": ["id", "step", *config.get("required", [])],
    }


def _embedded(name: str, model: type[BaseModel], shared: dict[str, Any]) -> dict[str, Any]:
    """The schema of one config; its definitions move to `shared`, their names made unique."""
    made = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
    for inner, definition in made.pop("$defs", {}).items():
        shared[f"{name}.{inner}"] = _with_variables(definition)
    closed: dict[str, Any] = _with_variables(made)
    return closed


def _with_variables(node: Any) -> Any:
    """Numbers and booleans may also be written as a plan variable."""
    if isinstance(node, list):
        return [_with_variables(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: item if key in _LITERAL else _with_variables(item) for key, item in node.items()}
    if node.get("type") not in ("integer", "number", "boolean"):
        return node
    said = {key: node.pop(key) for key in ("title", "description", "default") if key in node}
    return said | {"anyOf": [node, {"type": "string", "pattern": r"^\$\{[^{}]+\}$"}]}
