"""From token ids to text while it is being written, and where it stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# A character that isn't whole yet is decoded as this.
INCOMPLETE = "\ufffd"
# Tokens of the prompt that a continuation is decoded after: what a token is as text may depend on
# the one before (a leading space, the bytes of one character).
BEFORE = 8


def cut_at(text: str, stop: Sequence[str]) -> str:
    """The text before the first of the stop strings.

    >>> cut_at("one. two; three", [";", "."])
    'one'
    """
    ends = [place for one in stop if (place := text.find(one)) >= 0]
    return text[: min(ends)] if ends else text


def certain(text: str, stop: Sequence[str]) -> str:
    """What of a text that goes on is sure to stay: no half character, no half stop string.

    >>> certain("the end, E", ["END"])
    'the end, '
    """
    while text.endswith(INCOMPLETE):
        text = text[: -len(INCOMPLETE)]
    halves = (one[:size] for one in stop for size in range(1, len(one)))
    return text[: len(text) - max((len(one) for one in halves if text.endswith(one)), default=0)]


class Written:
    """The text of one continuation.

    Attributes:
        ids: the tokens that were written.
        stopped: whether a stop string is in the text.
    """

    def __init__(self, tokenizer: Any, prompt: Sequence[int], stop: Sequence[str]) -> None:
        """`prompt` is the token ids before the first that is written."""
        self.ids: list[int] = []
        self.stopped = False
        self._tokenizer, self._stop = tokenizer, tuple(stop)
        self._before = list(prompt[-BEFORE:])
        self._tail = ""
        self._longest = max(map(len, self._stop), default=0)
        self._from = self._read = 0
        self._told = ""

    def add(self, token: int) -> None:
        """Take a token; `stopped` tells whether the text ends with it."""
        self.ids.append(token)
        if self._stop:
            self._look()

    def _look(self) -> None:
        """Decode what is new and look for stop strings in it and what stands just before."""
        known = self._decode(self._from, self._read)
        text = self._decode(self._from, len(self.ids))
        if text.endswith(INCOMPLETE):
            return
        tail = self._tail + text[len(known) :]
        self.stopped = any(one in tail for one in self._stop)
        self._tail = tail[-self._longest :]
        self._from, self._read = self._read, len(self.ids)

    def fresh(self, *, last: bool = False) -> str:
        """What is certain of the text and wasn't asked for before; all of it at the `last`."""
        text = self.text
        if not last:
            text = certain(text, self._stop)
            if not text.startswith(self._told):
                # A decoder that takes back what it said: wait until it is settled.
                return ""
        piece, self._told = text[len(self._told) :], text
        return piece

    def _decode(self, start: int, end: int) -> str:
        before = self._before if start == 0 else self.ids[max(0, start - BEFORE) : start]
        return decode(self._tokenizer, before, self.ids[start:end])

    @property
    def text(self) -> str:
        """All that was written, up to a stop string."""
        return cut_at(decode(self._tokenizer, self._before, self.ids), self._stop)


def decode(tokenizer: Any, before: Sequence[int], ids: Sequence[int]) -> str:
    """The text that `ids` add after the tokens `before`; special tokens give none."""
    known = _plain(tokenizer, before)
    return _plain(tokenizer, [*before, *ids])[len(known) :]


def _plain(tokenizer: Any, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(
        list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return text
