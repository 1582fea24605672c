"""Asking a server that speaks OpenAI's chat protocol, safely and patiently.

`POST URL/chat/completions` with ``model`` and ``messages``; the reply is
``choices[0].message.content``. The standard library's client does: one small request at a time in
each thread. Redirects aren't followed: a plan names the address that it trusts with texts and a
key, and no answer of that address may hand them on.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final

from gradus.errors import ServiceError
from gradus.judge.loopback import is_loopback

AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses that another try may change."""
MOST_BYTES: Final = 4_000_000
"""Of a response; a judge's is a few hundred."""
LONGEST_WAIT: Final = 60.0
"""Seconds between two tries."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for the error that it is here."""

    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """None: the response is handed back as an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a judge is, and how it is asked.

    Attributes:
        url: up to and without ``/chat/completions``, as ``http://127.0.0.1:8000/v1``.
        model: the model's name there.
        key: sent as a bearer token; None for none. Never part of a message, a fact or a file.
        timeout: seconds for one try, from asking to the last byte.
        tries: how often one question is asked before giving up.
        pause: seconds before the second try; doubled before each further one.
        stop: set, it ends waiting between tries.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    tries: int = 5
    pause: float = 1.0
    stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def ask(self, messages: Sequence[Mapping[str, str]], settings: Mapping[str, Any]) -> str:
        """The reply to a conversation.

        Args:
            messages: with ``role`` and ``content``.
            settings: further keys of the request, as ``temperature``.

        Raises:
            ServiceError: nothing readable came back in `tries` tries, or the server refuses.
        """
        body = json.dumps({"model": self.model, "messages": list(messages), **settings})
        for number in range(1, self.tries + 1):
            try:
                return self._once(body.encode())
            except _Passing as error:
                if number == self.tries or self.stop.is_set():
                    raise ServiceError(
                        f"{self.url}: {error}, in {number} tries; what was answered is kept: run "
                        "the plan again when the address answers"
                    ) from error
                self.stop.wait(self._pause(number, error.after))
        raise AssertionError("there is at least one try")

    def _pause(self, number: int, after: float | None) -> float:
        """Seconds before the next try: what the server asks for, else twice the last, jittered."""
        if after is not None:
            return min(after, LONGEST_WAIT)
        usual = self.pause * 2 ** (number - 1)
        return min(float(usual * random.uniform(0.75, 1.25)), LONGEST_WAIT)

    def _once(self, body: bytes) -> str:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        url = f"{self.url}/chat/completions"
        request = urllib.request.Request(url, body, headers, method="POST")
        end = time.monotonic() + self.timeout
        try:
            with _opener(self.url).open(request, timeout=self.timeout) as response:
                return _content(_read(response, end))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from error
        except (http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise _Passing(f"can't be asked ({reason or type(error).__name__})") from error

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        if 300 <= error.code < 400:
            to = self._told(error.headers.get("Location", ""))
            return ServiceError(
                f"{self.url}: redirects to {to or 'nowhere'}, which isn't followed; write the "
                "address that answers into the plan"
            )
        said = self._told(_beginning(error))
        told = f"answers with status {error.code}{f': {said}' if said else ''}"
        if error.code in AGAIN:
            return _Passing(told, _after(error.headers.get("Retry-After")))
        hints = {
            401: "is the key right that 'key_env' names?",
            403: "may this key use it?",
            404: "are the address and the model's name right?",
        }
        hint = hints.get(error.code, "see what it says of the request")
        return ServiceError(f"{self.url}: {told}; {hint}")

    def _told(self, text: str) -> str:
        """What a server says, on one line, shortened, and never with the key in it."""
        if self.key:
            text = text.replace(self.key, "[key]")
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return line if len(line) <= 200 else f"{line[:200]}..."


class _Passing(Exception):
    """A failure that another try may mend; `after`: seconds that the server asks to wait."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Through the environment's proxies, but for this machine's own addresses."""
    proxies = urllib.request.ProxyHandler({} if is_loopback(url) else None)
    return urllib.request.build_opener(_Stay(), proxies)


def _read(response: Any, end: float) -> bytes:
    """The whole response, as long as it comes in time and is of a reasonable size."""
    parts, size = list[bytes](), 0
    while chunk := response.read1(65536):
        size += len(chunk)
        parts.append(chunk)
        if size > MOST_BYTES:
            raise _Passing(f"answers with more than {MOST_BYTES:,} bytes")
        if time.monotonic() > end:
            raise _Passing("is too slow")
    return b"".join(parts)


def _beginning(error: urllib.error.HTTPError) -> str:
    try:
        return error.read(2000).decode("utf-8", "replace")
    except (http.client.HTTPException, OSError):
        return ""  # the status alone is told


def _content(raw: bytes) -> str:
    try:
        message = json.loads(raw)["choices"][0]["message"]
        content = message["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise _Passing("answers, but not as OpenAI's protocol has it") from error
    if content is None:
        return ""
    if not isinstance(content, str):
        raise _Passing("answers, but its message is no text")
    return content


def _after(header: str | None) -> float | None:
    """Seconds of a ``Retry-After``; None without one, or where it is a date."""
    try:
        seconds = float(header) if header is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None
