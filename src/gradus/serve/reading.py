"""Reading a request's body, and writing answers, with as little work as possible.

FastAPI's own way costs a solved dependency tree and two passes of validation for every request.
Here pydantic reads the bytes once, and the schema of the same model stands in the OpenAPI document.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from gradus.serve.framework import Request, Response
from gradus.serve.refusals import Refused

JSON: Final = "application/json"
SHOWN: Final = 5
"""Faults of a body that are told of."""
MOST: Final = 1_000
"""Faults that are looked at: a body of some MB may have a million, each a dictionary of its own."""

Body = TypeVar("Body", bound=BaseModel)


async def read(request: Request, model: type[Body]) -> Body:
    """The body, as `model` has it.

    Raises:
        Refused: it is no JSON (415, 400) or not what `model` asks for (422). The message names
            fields and holds no text.
    """
    content = await json_bytes(request)
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise _refusal(error) from None


async def json_bytes(request: Request) -> bytes:
    """The body, if it is said to be JSON.

    A page from elsewhere can't say so without asking first (WHATWG Fetch, 3.2.2), and nobody here
    answers that question; so it can't have texts written by a server that needs no key.

    Raises:
        Refused: it isn't (415).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Refused(415, f"the body must be {JSON}: set the header content-type")
    return await request.body()


def too_many(error: ValidationError) -> str | None:
    """What is said of a body with more faults than are looked at."""
    count = error.error_count()
    return f"it has {count:,} faults; send a shorter one to see them" if count > MOST else None


def _refusal(error: ValidationError) -> Refused:
    if (said := too_many(error)) is not None:
        return Refused(422, said)
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    if faults[0]["type"] == "json_invalid":
        return Refused(400, f"the body is no valid JSON: {faults[0]['msg']}")
    told = [f"{'.'.join(map(str, f['loc'])) or 'the body'}: {f['msg']}" for f in faults[:SHOWN]]
    more = len(faults) - SHOWN
    return Refused(422, "; ".join(told) + (f"; and {more} more" if more > 0 else ""))


def answer(value: Any, status: int = 200) -> Response:
    """JSON, at once."""
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(content.encode("utf-8", "replace"), status, media_type=JSON)


def document(model: type[BaseModel]) -> dict[str, Any]:
    """For ``openapi_extra``: what `read` reads.

    The schemas that it points to are put into the document by `gradus.serve.app`.
    """
    return {
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}},
        }
    }
