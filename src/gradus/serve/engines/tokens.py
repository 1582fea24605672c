"""What single tokens stand for."""

from __future__ import annotations

from functools import cache
from typing import Any


def content(tokenizer: Any, token: int) -> tuple[str, list[int] | None]:
    """A token as text, and the bytes that it stands for; None where it stands for none.

    A token may be a part of a character: then the text has U+FFFD in it, and the bytes say which.
    """
    text: str = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    if "\ufffd" not in text:
        return text, list(text.encode("utf-8", "replace"))
    spelt = tokenizer.convert_ids_to_tokens(token)
    known = alphabet()
    if spelt is None or any(char not in known for char in spelt):
        return text, None
    return text, [known[char] for char in spelt]


@cache
def alphabet() -> dict[str, int]:
    """The character that stands for each byte in a byte-level vocabulary (Radford et al. 2019).

    Bytes that are printable characters of Latin-1 stand for themselves, the others come from
    U+0100 on, in their order.

    >>> alphabet()["A"], alphabet()["Ġ"]
    (65, 32)
    """
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    found = {chr(byte): byte for byte in plain}
    rest = [byte for byte in range(256) if byte not in set(plain)]
    return found | {chr(0x100 + place): byte for place, byte in enumerate(rest)}
