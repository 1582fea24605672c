"""Requests that aren't answered as they hoped.

The body of every refusal has one shape, which is OpenAI's too:
``{"error": {"message", "type", "code"}}``.
"""

from __future__ import annotations

import json
from typing import Any, Final

TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    421: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "unavailable_error",
    504: "timeout_error",
}


class Refused(Exception):
    """A request that gets `status` and a message instead of what it asked for.

    Attributes:
        status: of HTTP.
        message: what is wrong and what to do; it holds nothing of a text.
        retry_after: seconds after which it is worth another try.
    """

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """That go with it."""
        made = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return {**made, "WWW-Authenticate": "Bearer"} if self.status == 401 else made

    @property
    def content(self) -> bytes:
        """Its body, where no route gives it another shape."""
        return json.dumps(body(self.status, self.message), separators=(",", ":")).encode()


def body(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """What a refusal says."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "code": code}}
