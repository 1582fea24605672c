"""Who may do what.

- **With keys** every request but those for the page, ``/healthz`` and ``/readyz`` shows one;
  ``/admin/`` asks for an admin's.
- **Without keys** on a loopback address a request must name that address as its host, so that a
  page from elsewhere, whose name was made to lead here (DNS rebinding), gets nothing.
- **Without keys** on another address anybody may ask, and nobody may swap checkpoints.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gradus.serve.keys import Keys, presented
from gradus.serve.refusals import Refused

OPEN: Final = frozenset(
    {"/", "/healthz", "/readyz", "/static/page.css", "/static/page.js", "/static/icon.svg"}
)


@dataclass(slots=True)
class Access:
    """The rules of one server.

    Attributes:
        keys: None for none; may be replaced while the server runs.
        loopback: whether only this machine can come in.
        anybody: whether the server is open to the network without keys, as was asked for.
    """

    keys: Keys | None = None
    loopback: bool = False
    anybody: bool = False

    def enter(self, scope: Any) -> None:
        """Let a request in, and note in its scope whose it is.

        Raises:
            Refused: it has no key or a wrong one (401), or came for another host (421).
        """
        if self.keys is None:
            if self.loopback and not _named_here(scope["headers"]):
                raise Refused(421, "this server answers to the name of its own address alone")
            return
        if scope["path"] in OPEN:
            return
        token = presented(scope["headers"])
        key = self.keys.find(token) if token is not None else None
        if key is None:
            said = "no key" if token is None else "a wrong key"
            raise Refused(401, f"{said}: send 'Authorization: Bearer KEY'")
        scope["state"]["key"] = key

    def admin(self, scope: Mapping[str, Any]) -> bool:
        """Whether the request may do what admins do."""
        if self.keys is None:
            return not self.anybody
        return bool(scope["state"]["key"].may == "admin")


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _named_here(headers: Any) -> bool:
    for name, value in headers:
        if name == b"host":
            host = value.decode("latin-1")
            bare = host if host.endswith("]") else host.rpartition(":")[0] or host
            return is_loopback(bare)
    return True
