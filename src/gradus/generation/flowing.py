"""The text of a continuation, read on from where it was read to.

`gradus.generation.texts.Written` decodes all tokens whenever it is asked; where many texts are told
piece by piece, that would take longer than writing them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradus.generation.texts import BEFORE, INCOMPLETE, certain, cut_at, decode


class Flowing:
    """A text that grows.

    Attributes:
        ids: the tokens that were written.
        starts: for each of them, how many characters of the text stand before it.
        stopped: whether a stop string is in the text.
    """

    def __init__(self, tokenizer: Any, prompt: Sequence[int], stop: Sequence[str]) -> None:
        """`prompt` is the token ids before the first that is written."""
        self.ids: list[int] = []
        self.starts: list[int] = []
        self.stopped = False
        self._tokenizer, self._stop = tokenizer, tuple(stop)
        self._longest = max(map(len, self._stop), default=0)
        self._before = list(prompt[-BEFORE:])
        self._text = ""
        self._from = self._read = self._told = 0

    def add(self, token: int) -> None:
        """Take a token; `stopped` tells whether the text ends with it."""
        self.ids.append(token)
        self.starts.append(len(self._text))
        new = self._unread()
        if not new.endswith(INCOMPLETE):
            self._take(new)

    def fresh(self, *, last: bool = False) -> str:
        """What is certain of the text and wasn't told before; at the `last` all of it.

        A character that the end has cut in two is left out.
        """
        if last and self._read < len(self.ids):
            self._take(self._unread().rstrip(INCOMPLETE))
        if self.stopped:
            sure = len(self._text)
        elif last:
            sure = max(self._told, len(self._text))
        else:
            # Only what may still become a stop string matters, so its end alone is looked at.
            end = self._text[max(self._told, len(self._text) - self._longest) :]
            sure = len(self._text) - len(end) + len(certain(end, self._stop))
        piece, self._told = self._text[self._told : sure], sure
        return piece

    @property
    def text(self) -> str:
        """All that was told so far."""
        return self._text[: self._told]

    def _unread(self) -> str:
        """The text of the tokens since `_read`."""
        known = self._decode(self._read)
        return self._decode(len(self.ids))[len(known) :]

    def _take(self, new: str) -> None:
        """Add to the text, up to a stop string."""
        low = max(self._told, len(self._text) - self._longest)
        tail = self._text[low:] + new
        cut = cut_at(tail, self._stop)
        self.stopped = self.stopped or len(cut) < len(tail)
        self._text = self._text[:low] + cut
        self._from, self._read = self._read, len(self.ids)

    def _decode(self, end: int) -> str:
        """The text of the tokens from `_from` to `end`."""
        start = self._from
        before = self._before if start == 0 else self.ids[max(0, start - BEFORE) : start]
        return decode(self._tokenizer, before, self.ids[start:end])
