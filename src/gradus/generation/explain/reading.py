"""From logits to what is said of a place.

Legend: V tokens of the vocabulary.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import Any

import torch

from gradus.generation.explain.records import Kind, Likely, Position
from gradus.generation.texts import INCOMPLETE


class Reader:
    """Says of logits which tokens are likely, and how likely the one that stands there is."""

    def __init__(self, tokenizer: Any, top: int) -> None:
        self._tokenizer, self._top = tokenizer, top
        self.shown = lru_cache(maxsize=None)(self._shown)

    def read(
        self,
        logits: torch.Tensor,
        number: int,
        kind: Kind,
        token: int | None,
        drawn: torch.Tensor | None = None,
    ) -> Position:
        """A place, from logits [V]; `drawn` are the probabilities [V] that were drawn from.

        Args:
            logits: float32, before any penalty.
            number: of the token.
            kind: of the place.
            token: the id that stands there; None where there is none.
            drawn: float64; None where nothing was drawn.
        """
        nats = logits.double().log_softmax(dim=-1)
        shares = nats.exp()
        best = shares.topk(min(self._top, len(shares))).indices.tolist()
        likely = tuple(
            Likely(
                self.shown(one),
                one,
                float(shares[one]),
                None if drawn is None else float(drawn[one]),
            )
            for one in best
        )
        known = token is not None and token < len(shares)
        return Position(
            number=number,
            kind=kind,
            token="" if token is None else self.shown(token),
            id=token,
            share=float(shares[token]) if known else None,
            rank=int((shares > shares[token]).sum()) + 1 if known else None,
            entropy=float(torch.special.entr(shares).sum()) / math.log(2),
            likely=likely,
        )

    def first(self, token: int) -> Position:
        """The place of a token that nothing stands before."""
        return Position(number=0, kind="first", token=self.shown(token), id=token)

    def _shown(self, token: int) -> str:
        """A token as it is written; half a character as its bytes, what is no text by its name."""
        name = self._tokenizer.convert_ids_to_tokens(token)
        if name is None:
            return f"[{token}]"
        # Behind another word: whether there is a space between them is the decoder's to say.
        before, text = self._text(self._anchor), self._text([*self._anchor, token])
        text = text[len(before) :] if text.startswith(before) else self._text([token])
        return _spelt_out(str(name)) if not text or INCOMPLETE in text else text

    def _text(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    @cached_property
    def _anchor(self) -> list[int]:
        """A token that is a plain word or letter; none where the vocabulary has none."""
        special = set(self._tokenizer.all_special_ids)
        return next(
            (
                [token]
                for token in range(len(self._tokenizer))
                if token not in special and self._text([token]).strip().isalpha()
            ),
            [],
        )


def _spelt_out(name: str) -> str:
    """The name of a token, of byte-level vocabularies as the bytes that it stands for.

    >>> _spelt_out("\u0120\u00e6\u013a"), _spelt_out("<0xE6>")
    (' \\\\xe6\\\\x98', '<0xE6>')
    """
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    bytes_of = {character: byte for byte, character in bytes_to_unicode().items()}
    if not all(character in bytes_of for character in name):
        return name
    return bytes(map(bytes_of.__getitem__, name)).decode("utf-8", "backslashreplace")
