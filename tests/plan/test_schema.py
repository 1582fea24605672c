from __future__ import annotations

import json
from typing import Any

from gradus.plan import schema


def _step(kinds: list[dict[str, Any]], title: str) -> dict[str, Any]:
    (found,) = [kind for kind in kinds if kind["title"] == title]
    return found


def test_every_step_kind_has_its_keys() -> None:
    made = schema()
    kinds = made["properties"]["steps"]["items"]["oneOf"]
    assert [kind["title"] for kind in kinds] == [
        "fit.v1",
        "fit.v2",
        "shrink.v1",
        "floor.v1",
        "judge.v1",
        "read.v1",
        "judge-either.v1",
    ]
    # A name without a version is the newest, so only that one may be left bare.
    assert _step(kinds, "fit.v1")["properties"]["step"] == {"enum": ["fit.v1"]}
    fit = _step(kinds, "fit.v2")
    assert fit["properties"]["step"] == {"enum": ["fit.v2", "fit"]}
    assert fit["required"] == ["id", "step", "model", "data"]
    assert fit["additionalProperties"] is False
    assert {"gates", "on_undecided", "stages", "objective"} <= set(fit["properties"])
    assert fit["properties"]["objective"]["enum"] == ["classify", "tag"]
    assert fit["properties"]["shuffle"] == {
        "anyOf": [{"type": "boolean"}, {"type": "string", "pattern": r"^\$\{[^{}]+\}$"}],
        "title": "Shuffle",
        "default": True,
    }


def test_every_reference_has_its_definition() -> None:
    made = schema()
    text = json.dumps(made)
    references = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert "fit.v2.Stage" in references
    assert references <= set(made["$defs"])


def test_the_top_level_is_closed() -> None:
    made = schema()
    assert made["required"] == ["name", "steps"]
    assert made["additionalProperties"] is False
    assert list(made["properties"]) == [
        "name",
        "about",
        "seed",
        "vars",
        "data",
        "corpora",
        "models",
        "steps",
        "measure",
        "scores",
    ]
    assert "source" in made["properties"]["data"]["additionalProperties"]["properties"]
