"""Names that say nothing and can't be guessed: raters' tokens, names of items, nonces of forms."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode


class Seal:
    """Makes names from words under a secret: the same words, the same name."""

    def __init__(self, secret: str) -> None:
        """`secret` in hexadecimal digits."""
        self._secret = bytes.fromhex(secret)

    def sign(self, *words: str) -> str:
        """22 letters, digits, - and _ (132 bits of HMAC-SHA-256, RFC 2104)."""
        digest = hmac.new(self._secret, json.dumps(words).encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(digest).decode()[:22]


def same(one: str, other: str) -> bool:
    """Whether two names are equal, in a time that doesn't say how much of them is."""
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )
