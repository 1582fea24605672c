"""What a tokenizer does to texts that it hasn't seen, by language.

Legend: N texts, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradus.data.tokenizer.recipe import BYTES, byte_letters


@dataclass(slots=True)
class Tally:
    """Counts over the texts of one language.

    Attributes:
        documents, bytes, characters, tokens: of all texts; bytes are those of UTF-8.
        unknown: characters for which the tokenizer has but the unknown token.
        parts: tokens that hold no whole character, only some bytes of one.
        same: texts that decoding gives back unchanged.
    """

    documents: int = 0
    bytes: int = 0
    characters: int = 0
    tokens: int = 0
    unknown: int = 0
    parts: int = 0
    same: int = 0

    def add(self, other: Tally) -> None:
        """Add the other's counts."""
        self.documents += other.documents
        self.bytes += other.bytes
        self.characters += other.characters
        self.tokens += other.tokens
        self.unknown += other.unknown
        self.parts += other.parts
        self.same += other.same

    def row(self, language: str) -> dict[str, Any]:
        """The counts with what they come to.

        ``coverage`` is the share of characters that aren't unknown, ``lossless`` that of texts
        which decoding gives back unchanged, ``part_tokens`` that of tokens which hold a part of a
        character.
        """
        return {
            "language": language,
            "documents": self.documents,
            "bytes": self.bytes,
            "characters": self.characters,
            "tokens": self.tokens,
            "bytes_per_token": self.bytes / self.tokens if self.tokens else None,
            "characters_per_token": self.characters / self.tokens if self.tokens else None,
            "coverage": 1 - self.unknown / self.characters if self.characters else None,
            "part_tokens": self.parts / self.tokens if self.tokens else None,
            "lossless": self.same / self.documents if self.documents else None,
        }


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found.

    Attributes:
        rows: by language, the most bytes first, and ``all`` at the end where there are several.
        used: how many tokens of the vocabulary occur.
    """

    rows: Sequence[dict[str, Any]]
    used: int


def examine(
    tokenizer: Any, texts: Iterable[tuple[str, str]], *, unknown: str | None = None
) -> Examined:
    """Tokenise texts, each with the code of its language, one in memory at a time.

    Args:
        tokenizer: a `tokenizers.Tokenizer`.
        texts: text and language.
        unknown: the token for what the tokenizer doesn't know; None where it knows everything.
    """
    number = None if unknown is None else tokenizer.token_to_id(unknown)
    parts = _parts(tokenizer)
    seen = np.zeros(len(parts), np.int64)
    by_language: dict[str, Tally] = {}
    for text, language in texts:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        counts = np.bincount(np.array(encoding.ids, np.int64), minlength=len(parts))
        seen += counts
        lost = 0
        if number is not None and counts[number]:
            spans = zip(encoding.ids, encoding.offsets, strict=True)
            lost = sum(end - start for token, (start, end) in spans if token == number)
        back = tokenizer.decode(encoding.ids, skip_special_tokens=False)
        found = Tally(
            documents=1,
            bytes=len(text.encode()),
            characters=len(text),
            tokens=len(encoding.ids),
            unknown=lost,
            parts=int(counts[parts].sum()),
            same=int(back == text),
        )
        by_language.setdefault(language, Tally()).add(found)
    order = sorted(by_language, key=lambda name: (-by_language[name].bytes, name))
    rows = [by_language[name].row(name) for name in order]
    if len(order) > 1:
        total = Tally()
        for name in order:
            total.add(by_language[name])
        rows.append(total.row("all"))
    return Examined(rows, int((seen > 0).sum()))


def _parts(tokenizer: Any) -> np.ndarray:
    """bool [V]: which tokens are bytes that are no whole UTF-8 characters.

    Byte-level tokens are written with a letter for each byte; with any other kind only
    ``<0xE6>`` and its like are bytes.
    """
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    special = {one.content for one in tokenizer.get_added_tokens_decoder().values()}
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    levelled = all(letter in vocabulary for letter in byte_of)
    fallback = {f"<0x{byte:02X}>" for byte in range(0x80, BYTES)}
    found = np.zeros(max(vocabulary.values(), default=-1) + 1, bool)
    for token, number in vocabulary.items():
        if token in special:
            continue
        if levelled:
            found[number] = not _whole(bytes(byte_of[letter] for letter in token))
        else:
            found[number] = token in fallback
    return found


def _whole(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
