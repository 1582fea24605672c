"""Which addresses are this machine's own; apart from what asks them, so that plans check fast."""

from __future__ import annotations

import ipaddress
import urllib.parse


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own.

    >>> is_loopback("http://127.0.0.1:8000/v1"), is_loopback("http://example.org")
    (True, False)
    """
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
