"""API keys: made once, shown once, kept as salted hashes.

A key is 256 random bits, so that one round of SHA-256 under a salt is as safe as many: there is
nothing to guess (NIST SP 800-63B asks for slow hashes of secrets that people choose). A key file
has a line for each::

    NAME use|admin SALT HASH

with 16 bytes of salt and SHA-256 over salt and key, both in hexadecimal digits. Empty lines and
lines that begin with # say nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from gradus.errors import DataError, StorageError, UsageError

PREFIX: Final = "gradus-"
May = Literal["use", "admin"]
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LINE: Final = re.compile(r"(?P<name>\S+)\s+(?P<may>use|admin)\s+(?P<salt>\S+)\s+(?P<hash>\S+)")


@dataclass(frozen=True, slots=True)
class Key:
    """A key as a server knows it.

    Attributes:
        name: for the log.
        may: ``admin`` may swap checkpoints as well.
        salt: 16 bytes.
        digest: SHA-256 over salt and key.
    """

    name: str
    may: May
    salt: bytes
    digest: bytes

    def fits(self, token: bytes) -> bool:
        """Whether `token` is this key, in a time that doesn't say how near it is."""
        return hmac.compare_digest(hashlib.sha256(self.salt + token).digest(), self.digest)

    def line(self) -> str:
        """For the key file."""
        return f"{self.name} {self.may} {self.salt.hex()} {self.digest.hex()}\n"


class Keys:
    """The keys of a file."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def find(self, token: bytes) -> Key | None:
        """The key that `token` is. Every key is compared, whichever fits."""
        found = None
        for key in self._keys:
            if key.fits(token):
                found = key
        return found


def make(name: str, may: May = "use") -> tuple[str, Key]:
    """A new key: what is shown once, and what is kept.

    Raises:
        UsageError: the name has other characters than letters, digits, dots, - and _.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' can't name a key: letters, digits, '.', '-' and '_', 64 at most"
        )
    token, salt = PREFIX + secrets.token_urlsafe(32), secrets.token_bytes(16)
    return token, Key(name, may, salt, hashlib.sha256(salt + token.encode()).digest())


def add(file: Path, name: str, may: May = "use") -> str:
    """Make a key, add its line to `file` (which only its owner may read), and return it.

    Raises:
        UsageError: the file has a key of that name.
        StorageError: the file can't be written.
    """
    token, key = make(name, may)
    known, before = _known(file) if file.exists() else (Keys(()), "")
    if any(one.name == name for one in known):
        raise UsageError(f"{file} has a key '{name}': choose another name, or delete its line")
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(number, "a", encoding="utf-8") as stream:
            # An editor may have left the last line without an end.
            stream.write(key.line() if not before or before.endswith("\n") else f"\n{key.line()}")
    except OSError as error:
        raise StorageError(f"{file}: can't be written ({error.strerror})") from error
    return token


def read(file: Path) -> Keys:
    """The keys in `file`.

    Raises:
        DataError: it can't be read, has a broken line, a name twice, or no key at all.
    """
    found, _ = _known(file)
    if not found:
        raise DataError(
            "it holds no key; make one with gradus serve --new-key NAME --key-file FILE", file=file
        )
    return found


def _known(file: Path) -> tuple[Keys, str]:
    """The keys in a file, and its text."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the key file can't be read ({error})", file=file) from error
    found: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key = _parsed(line)
        if key is None:
            raise DataError(
                "not 'NAME use|admin SALT HASH'; make keys with gradus serve --new-key NAME",
                file=file,
                line=number,
            )
        if key.name in found:
            raise DataError(f"'{key.name}' has a line above already", file=file, line=number)
        found[key.name] = key
    return Keys(found.values()), text


def _parsed(line: str) -> Key | None:
    match = _LINE.fullmatch(line.strip())
    if match is None or not _NAME.fullmatch(match["name"]):
        return None
    try:
        salt, digest = bytes.fromhex(match["salt"]), bytes.fromhex(match["hash"])
    except ValueError:
        return None
    if len(salt) != 16 or len(digest) != 32:
        return None
    return Key(match["name"], cast("May", match["may"]), salt, digest)


def presented(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The key that a request shows: ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``."""
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip()
        if name == b"x-api-key":
            return value.strip()
    return None
