"""Reading requests as OpenAI does: unknown fields are refused by name, null says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from gradus.serve.framework import Request
from gradus.serve.openai.refusing import Bad
from gradus.serve.reading import json_bytes, too_many
from gradus.serve.service import Service

Body = TypeVar("Body", bound=BaseModel)

WITHOUT_EFFECT: Final = frozenset(
    {"metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
)
"""Fields that say nothing of the text, and are read by nobody here."""
AS_IF_UNSAID: Final[dict[str, tuple[Any, ...]]] = {
    "logit_bias": ({},),
    "suffix": ("",),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "tool_calls": ([],),
    "annotations": ([],),
}
"""Fields that ask for nothing with these values, and for something that isn't here with others."""


async def read(request: Request, model: type[Body]) -> Body:
    """The body, as `model` has it.

    Raises:
        Refused: it isn't said to be JSON (415).
        Bad: it is no JSON, or not what `model` asks for; the message holds no text of it.
    """
    content = await json_bytes(request)
    try:
        raw = from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise Bad(f"the body is no valid JSON: {error}") from None
    if not isinstance(raw, dict):
        raise Bad("the body must be a JSON object")
    try:
        return model.model_validate(_said(raw, model))
    except ValidationError as error:
        raise _bad(error) from None


def _said(raw: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The fields that ask for anything; those of messages as well."""
    found = {}
    for name, value in raw.items():
        if name not in model.model_fields:
            if value is None or name in WITHOUT_EFFECT or value in AS_IF_UNSAID.get(name, ()):
                continue
        elif value is None and not model.model_fields[name].is_required():
            continue
        found[name] = value
    messages = found.get("messages")
    if isinstance(messages, list):
        from gradus.serve.openai.schemas import Message

        found["messages"] = [
            _said(one, Message) if isinstance(one, dict) else one for one in messages
        ]
    return found


def _bad(error: ValidationError) -> Bad:
    if (said := too_many(error)) is not None:
        return Bad(said)
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    first = faults[0]
    # Alternatives of a field are told as parts of its path, which are no names of fields.
    path = [str(part) for part in first["loc"] if str(part).replace("_", "").isalnum()]
    name = ".".join(path[:1] if len(faults) > 1 else path) or None
    if first["type"] == "extra_forbidden":
        return Bad(
            f"'{name}' isn't known here, or not supported: leave it out", name, "unsupported"
        )
    others = {str(one["loc"][0]) for one in faults if one["loc"]} - {str(first["loc"][0])}
    more = f"; also look at {', '.join(sorted(others))}" if others else ""
    return Bad(f"{name}: {first['msg']}{more}", name)


def served(service: Service, model: str, task: str) -> Mapping[str, Any]:
    """The facts of the served checkpoint, if it is the `model` that is asked for and does `task`.

    Raises:
        Bad: it isn't (404), or it doesn't.
        Refused: nothing is loaded yet.
    """
    facts = service.facts
    if model not in names(facts):
        raise Bad(
            f"there is no such model here; '{facts['name']}' is served",
            "model",
            "model_not_found",
            status=404,
        )
    if task not in facts["tasks"]:
        does = ", ".join(facts["tasks"]) or "nothing"
        raise Bad(
            f"the model '{facts['name']}' can't {task}; it can {does}", "model", "unsupported"
        )
    return facts


def names(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """What the served model may be called: its name, its digest, ``default``."""
    return (str(facts["name"]), str(facts.get("digest") or "default"), "default")
