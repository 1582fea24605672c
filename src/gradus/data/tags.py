"""Chunk tags, one a word, and the spans they stand for.

Three schemes, each after its description in the CoNLL shared tasks and in Ratinov and Roth 2009
("Design challenges and misconceptions in named entity recognition"):

``iob1``
    ``I-X`` inside an entity, ``B-X`` only where an entity follows another of the same type.
``iob2``
    ``B-X`` begins every entity, ``I-X`` continues it.
``iobes``
    ``B-X`` begins and ``E-X`` ends an entity of several words, ``S-X`` is one of a single word
    (also written BILOU, with ``L`` for ``E`` and ``U`` for ``S``).

Entities are read from tags as the script ``conlleval`` reads them: where tags break their scheme's
rules there still is one reading, and those tags are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Scheme = Literal["iob1", "iob2", "iobes"]
SCHEMES: Final[tuple[Scheme, ...]] = ("iob1", "iob2", "iobes")
SLIPS: Final = 0.02
"""The share of entities that may speak against the scheme that is found."""

_LETTERS: Final = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}


class TagError(ValueError):
    """A tag that belongs to no scheme."""


def parse_tag(tag: str) -> tuple[str, str]:
    """Letter (B, I, E, S or O) and type of a tag.

    >>> parse_tag("U-PER")
    ('S', 'PER')

    Raises:
        TagError: it isn't ``O`` or a letter, a hyphen and a type.
    """
    if tag == "O":
        return "O", ""
    letter, hyphen, kind = tag.partition("-")
    if not hyphen or letter not in _LETTERS or not kind:
        raise TagError(
            f"'{tag}' is no tag: must be O, or B-, I-, E- or S- and a type, e.g. B-PER (BILOU's "
            "letters are known too)"
        )
    return _LETTERS[letter], kind


def spans_of(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """The entities as (first word, word after the last, type), in order.

    One reading serves all schemes, which differ in the letters they use: an entity begins at B or
    S, after E or S, where the type changes, and after O.

    Raises:
        TagError: a tag belongs to no scheme.
    """
    found: list[tuple[int, int, str]] = []
    before, kind_before, start = "O", "", 0
    for place, tag in enumerate([*tags, "O"]):
        letter, kind = parse_tag(tag)
        if before != "O" and _ends(before, kind_before, letter, kind):
            found.append((start, place, kind_before))
            before = "O"
        if letter != "O" and before == "O":
            start = place
        before, kind_before = letter, kind
    return found


def _ends(before: str, kind_before: str, letter: str, kind: str) -> bool:
    """Whether an entity ends between two tags, of which the first is not O."""
    return letter in "OBS" or before in "ES" or kind != kind_before


def breaks(tags: Sequence[str], scheme: Scheme) -> int:
    """How many tags stand where their scheme doesn't allow them."""
    count = 0
    before, kind_before = "O", ""
    for tag in [*tags, "O"]:
        letter, kind = parse_tag(tag)
        count += not _allowed(before, kind_before, letter, kind, scheme)
        before, kind_before = letter, kind
    return count


def _allowed(before: str, kind_before: str, letter: str, kind: str, scheme: Scheme) -> bool:
    """Whether the second tag may follow the first; O stands before the first and after the last."""
    inside = before != "O" and kind == kind_before
    if scheme == "iob1":
        return letter not in "ES" and (letter != "B" or inside)
    if scheme == "iob2":
        return letter not in "ES" and (letter != "I" or inside)
    is_open = before in "BI"
    if letter in "IE":
        return is_open and kind == kind_before
    return not is_open


def write_tags(spans: Iterable[tuple[int, int, str]], words: int, scheme: Scheme) -> list[str]:
    """The tags of `words` words in which the entities (first, after last, type) stand.

    >>> write_tags([(0, 2, "PER")], 3, "iobes")
    ['B-PER', 'E-PER', 'O']
    """
    tags = ["O"] * words
    for start, end, kind in sorted(spans):
        for place in range(start, end):
            tags[place] = f"I-{kind}"
        adjoining = start > 0 and tags[start - 1].partition("-")[2] == kind
        if scheme != "iob1" or adjoining:
            tags[start] = f"B-{kind}"
        if scheme == "iobes":
            tags[end - 1] = f"{'S' if end - start == 1 else 'E'}-{kind}"
    return tags


@dataclass(slots=True)
class SchemeFinder:
    """Which scheme tags are in, from all of them.

    Attributes:
        single: E or S tags.
        inside: entities that begin with I, which IOB2 doesn't allow, and the first one's line.
        needless: entities that begin with B after none of their type, which IOB1 doesn't allow.
    """

    single: int = 0
    inside: int = 0
    needless: int = 0
    inside_line: int = 0
    needless_line: int = 0

    def see(self, tags: Sequence[str], lines: Sequence[int]) -> None:
        """Take note of a sentence, with the line of each of its words."""
        before, kind_before = "O", ""
        for tag, line in zip(tags, lines, strict=True):
            letter, kind = parse_tag(tag)
            same = before != "O" and kind == kind_before
            self.single += letter in "ES"
            if letter == "I" and not same:
                self.inside += 1
                self.inside_line = self.inside_line or line
            if letter == "B" and not same:
                self.needless += 1
                self.needless_line = self.needless_line or line
            before, kind_before = letter, kind

    def scheme(self) -> Scheme:
        """The scheme; ``iob2`` where nothing tells it from ``iob1``.

        Real files have slips (CoNLL-2003's own training file, in IOB1, has an entity that begins
        with B for no reason), so up to 2 % of the entities may speak against the scheme.

        Raises:
            TagError: more than that are in ``iob1``, and in ``iob2``.
        """
        if self.single:
            return "iobes"
        against = min(self.inside, self.needless)
        if against <= SLIPS * (self.inside + self.needless):
            return "iob1" if self.inside > self.needless else "iob2"
        raise TagError(
            f"the tags are neither IOB1 nor IOB2: {self.inside:,} entities begin with I- (first in "
            f"line {self.inside_line:,}), {self.needless:,} with B- after none of their type "
            f"(first in line {self.needless_line:,}); correct them, or say how they are meant with "
            "'options: {scheme: iob2}'"
        )
