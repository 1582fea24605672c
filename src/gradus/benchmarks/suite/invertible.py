"""Writing a tokenised corpus as ordinary text, so that nothing is lost.

A corpus that was cut into words (`the dog 's tail .`) is unlike anything a language model reads.
The GPT-2 paper therefore measures on text from which as many such artefacts as possible were
removed by functions that can be undone: the probability of the text is then that of the corpus.

Here the way *back* is the definition. A `Convention` is a list of rules that say where the
corpus's authors cut ordinary text; `tokenise` applies them. `detokenise` closes a gap only where
`tokenise` opens it again, which it checks, and marks the places where `tokenise` would cut a word
that the corpus has whole: with the invisible word joiner (U+2060), which `tokenise` takes out. So
``tokenise(detokenise(line)) == line`` holds for every line without that character; how many gaps
stayed open and how many marks were needed are measured in the tests.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

from gradus.errors import DataError

MARK: Final = "\u2060"
NEAR: Final = rf"[^\s{MARK}]"
"""A visible character, as rules must write it: a mark isn't one."""

Closes = Callable[[Sequence[str]], list[bool]]
"""Which of the gaps between the tokens of a line ought to be closed, one answer a gap."""


class Rule(NamedTuple):
    """One way in which the corpus differs from ordinary text.

    Attributes:
        long: as it stands in the corpus.
        short: as it stands in ordinary text.
        where: regular expression on ordinary text that matches `short` where it is to be made
            `long`. What it asks of the neighbours it asks through `NEAR` or by name. One of the
            characters beside the place is punctuation, or it stands before ``n't``.
        found: regular expression on the corpus that matches `long` where it may be shortened;
            where it consists of whole tokens if left out.
    """

    long: str
    short: str
    where: str
    found: str = ""


class _Piece(NamedTuple):
    """A stretch of a line that has a short form: from `start` to `end`."""

    start: int
    end: int
    short: str


@dataclass(frozen=True)
class Convention:
    """How one corpus was cut into words.

    Attributes:
        name: the corpus.
        rules: in order of precedence; those whose `long` is a space cut words apart.
        closes: which gaps ought to be closed.
        framed: whether every line stands between two spaces, as in WikiText and PTB.
    """

    name: str
    rules: tuple[Rule, ...]
    closes: Closes
    framed: bool = False

    def detokenise(self, text: str) -> str:
        """Ordinary text for the tokenised one, line by line.

        Raises:
            DataError: the text holds U+2060.
        """
        if MARK in text:
            raise DataError(
                f"the text holds U+2060, which stands for a word that isn't cut: {text[:60]!r}"
            )
        return self._each_line(text, self._plain, {"": "", " ": f"{MARK}{MARK} "})

    def tokenise(self, text: str) -> str:
        """The tokenised text that `detokenise` made this from."""
        return self._each_line(text, self._cut, {"": ""})

    def _each_line(self, text: str, change: Callable[[str], str], last: dict[str, str]) -> str:
        """Change every line; nothing behind the last line's end is no line and stays nothing."""
        *lines, end = text.split("\n")
        changed = last[end] if lines and end in last and self.framed else change(end)
        return "\n".join([*map(change, lines), changed])

    def _plain(self, line: str) -> str:
        if not self.framed:
            return self._shorten(line)
        if line == " ":
            return ""
        if len(line) > 2 and line[0] == line[-1] == " ":
            return self._shorten(line[1:-1])
        return MARK * 2 + line

    def _cut(self, line: str) -> str:
        if not self.framed:
            return self._lengthen(line)
        if not line:
            return " "
        if line.startswith(MARK * 2):
            return line[2:]
        return f" {self._lengthen(line)} "

    @cached_property
    def _expansion(self) -> re.Pattern[str]:
        rules = "|".join(f"((?<!{MARK})(?:{rule.where}))" for rule in self.rules)
        # Most places have letters on both sides and needn't be held against every rule.
        return re.compile(rf"(?:(?=[^\w\s]|n')|(?<=[^\w\s]))(?:{rules})")

    @cached_property
    def _specials(self) -> re.Pattern[str]:
        """Long forms other than a single gap, the longest first."""
        rules = sorted(
            (rule for rule in self.rules if rule.long != " "), key=lambda rule: -len(rule.long)
        )
        return re.compile("|".join(rule.found or _whole(rule.long) for rule in rules) or "(?!)")

    def _expansions(self, text: str) -> dict[tuple[int, int], str]:
        """(start, length) in ordinary text -> what `tokenise` writes there."""
        return {
            (match.start(), len(match[0])): self.rules[(match.lastindex or 1) - 1].long
            for match in self._expansion.finditer(text)
        }

    def _lengthen(self, text: str) -> str:
        parts, done = [], 0
        for (start, length), long in self._expansions(text).items():
            parts += [text[done:start], long]
            done = start + length
        return "".join([*parts, text[done:]]).replace(MARK, "")

    def _proposed(self, line: str) -> tuple[list[_Piece], list[_Piece]]:
        """What might be shortened, and the gaps in it that might be closed if it can't be."""
        tokens = line.split(" ")
        place, gaps = -1, []
        for (left, right), closed in zip(pairwise(tokens), self.closes(tokens), strict=True):
            place += len(left) + 1
            if closed and left and right:
                gaps.append(_Piece(place, place + 1, ""))
        pieces = [
            _Piece(match.start(), match.end(), self._short[match[0]])
            for match in self._specials.finditer(line)
        ]
        covered = {place for piece in pieces for place in range(piece.start, piece.end)}
        spare = [gap for gap in gaps if gap.start in covered]
        return sorted({*pieces, *gaps} - {*spare}), spare

    @cached_property
    def _short(self) -> dict[str, str]:
        return {rule.long: rule.short for rule in self.rules}

    def _shorten(self, line: str) -> str:
        """Close gaps; open again or mark what `tokenise` wouldn't restore, until it does.

        Every round opens a gap or sets a mark for good, and with all gaps open and all cuts
        marked `tokenise` changes nothing: so this ends, and ends right.
        """
        (pieces, spare), marks = self._proposed(line), set[int]()
        while True:
            written = _Written(line, pieces, marks)
            cuts = self._expansions(written.text)
            failed = [
                piece
                for piece, place in zip(pieces, written.places, strict=True)
                if cuts.pop((place, len(piece.short)), None) != line[piece.start : piece.end]
            ]
            # What is left was not meant to be cut; where a piece is, the piece is given up.
            wrong = {start for start, _ in cuts}
            failed += [
                piece
                for piece, place in zip(pieces, written.places, strict=True)
                if place in wrong and piece not in failed
            ]
            if not failed and not wrong:
                return written.text
            # One thing at a time, since each makes others right: long forms, then gaps, then marks.
            longest = [piece for piece in failed if piece.end - piece.start > 1]
            if failed:
                pieces = self._without(pieces, longest or failed, spare)
            else:
                marks |= {written.origin(start) for start in wrong}

    @staticmethod
    def _without(pieces: list[_Piece], given_up: list[_Piece], spare: list[_Piece]) -> list[_Piece]:
        """The pieces but some; instead of a long form the gaps in it."""
        gaps = {
            gap
            for piece in given_up
            if piece not in spare
            for gap in spare
            if piece.start <= gap.start < piece.end
        }
        return sorted(({*pieces} - {*given_up}) | gaps)


def _whole(long: str) -> str:
    """Regular expression for a long form where it consists of whole tokens."""
    before = "" if long.startswith(" ") else "(?<![^ ])"
    after = "" if long.endswith(" ") else "(?![^ ])"
    return before + re.escape(long) + after


class _Written:
    """A line with its pieces shortened and its marks set.

    Attributes:
        text: the line so written.
        places: where in `text` each piece's short form begins.
    """

    def __init__(self, line: str, pieces: Sequence[_Piece], marks: set[int]) -> None:
        changes = [(piece.start, piece.end, piece.short) for piece in pieces]
        changes += [(mark, mark, MARK) for mark in marks]
        parts: list[str] = []
        self.places: list[int] = []
        self._text_starts, self._line_starts = [0], [0]
        size = at = 0
        for start, end, written in sorted(changes):
            parts += [line[at:start], written]
            size += start - at
            if written != MARK:
                self.places.append(size)
            size, at = size + len(written), end
            self._text_starts.append(size)
            self._line_starts.append(at)
        self.text = "".join([*parts, line[at:]])

    def origin(self, place: int) -> int:
        """Where in the line the character at `place` of the text stands."""
        found = bisect_right(self._text_starts, place) - 1
        return self._line_starts[found] + place - self._text_starts[found]
