"""Many texts at a time that begin and end whenever they like: one step writes a token of each.

A text that is asked for joins those that are being written, its prompt read a stretch at a time
between their steps; one that ends leaves at once (Yu et al. 2022, Orca, "iteration-level
scheduling").

Legend: B rows, V tokens of the vocabulary.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from gradus.generation.cache import Cache
from gradus.generation.decoder import Decoder
from gradus.generation.decoding import Decoding
from gradus.generation.flowing import Flowing
from gradus.generation.pieces import Asked, Finish, Piece, Said
from gradus.generation.running import Running
from gradus.generation.sampling import choose, draws, penalised

# Tokens of prompts that are read between two steps while others wait for their next token, and
# where nobody does.
STRETCH, ALONE = 256, 2_048
# Prompts that are kept because the next one may begin like one of them: so many, and this part of
# the slots.
KEPT, KEPT_SHARE = 8, 4


@dataclass(slots=True)
class _Row:
    """A text that was asked for."""

    ticket: int
    asked: Asked
    text: Flowing
    uniform: Any
    way: Decoding
    held: list[Said] = field(default_factory=list)

    def draw(self) -> float:
        """The number that the next token is drawn by; none is used up where nothing is drawn."""
        return float(self.uniform.random()) if self.uniform is not None else 0.0


@dataclass(slots=True)
class _Reading:
    """A prompt that is being read."""

    row: _Row
    cache: Cache


class Continuous:
    """A decoder that writes many texts.

    Nothing here is asynchronous: whoever calls `step` again and again gets the pieces.

    Attributes:
        tokens_written: so far, by all texts.
        tokens_read: of prompts, those that began like an earlier one aside.
    """

    def __init__(
        self, decoder: Decoder, tokenizer: Any, *, ends: frozenset[int], rows: int, slots: int
    ) -> None:
        """At most `rows` texts at a time, whose keys and values take `slots` slots at most.

        A text that alone takes more slots is written alone.
        """
        self._decoder, self._tokenizer, self._ends = decoder, tokenizer, ends
        self._most, self._slots = rows, slots
        self._tickets = itertools.count()
        self._waiting: deque[_Row] = deque()
        self._reading: _Reading | None = None
        self._rows: list[_Row] = []
        self._tokens: list[int] = []
        self._cache = Running(decoder.shape, decoder.dtype)
        self._kept: deque[tuple[tuple[int, ...], Cache]] = deque(maxlen=KEPT)
        self.tokens_written = self.tokens_read = 0

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._rows or self._waiting or self._reading)

    @property
    def running(self) -> int:
        """Texts that are being written, or whose prompts are read."""
        return len(self._rows) + (self._reading is not None)

    def add(self, asked: Asked) -> int:
        """Ask for a text; its pieces come under the number that is given back."""
        settings = asked.settings
        row = _Row(
            next(self._tickets),
            asked,
            Flowing(self._tokenizer, asked.ids, settings.stop),
            draws(asked.seed) if settings.draws else None,
            settings.model_copy(update={"max_tokens": 1, "stop": (), "seed": 0}),
        )
        self._waiting.append(row)
        return row.ticket

    @torch.inference_mode()
    def cancel(self, ticket: int) -> None:
        """Write no more of a text; one that isn't there is passed over."""
        self._waiting = deque(row for row in self._waiting if row.ticket != ticket)
        if self._reading is not None and self._reading.row.ticket == ticket:
            self._reading = None
        going = [place for place, row in enumerate(self._rows) if row.ticket != ticket]
        if len(going) < len(self._rows):
            self._go_on(going)

    @torch.inference_mode()
    def step(self) -> list[tuple[int, Piece]]:
        """Read some of the prompts that wait, write a token of each text; what is new of them."""
        found = self._read()
        if self._rows:
            found += self._write()
        return found

    def _write(self) -> list[tuple[int, Piece]]:
        self._cache.ready()
        places = torch.tensor(self._cache.lengths)[:, None]
        tokens = torch.tensor(self._tokens)[:, None]
        hidden = self._decoder.feed(tokens, places, self._cache)
        self._cache.stepped()
        found, self._tokens = self._take(self._rows, self._decoder.logits(hidden))
        ended = {ticket for ticket, piece in found if piece.finish is not None}
        if ended:
            self._go_on([n for n, row in enumerate(self._rows) if row.ticket not in ended])
        return [one for one in found if _says(one[1])]

    def _go_on(self, going: list[int]) -> None:
        self._rows = [self._rows[place] for place in going]
        self._tokens = [self._tokens[place] for place in going]
        self._cache.leave(going)

    def _take(
        self, rows: Sequence[_Row], logits: torch.Tensor
    ) -> tuple[list[tuple[int, Piece]], list[int]]:
        """The pieces that the next tokens give, and the tokens, one for each row."""
        tokens = self._choose(rows, logits)
        known = self._known(rows, logits, tokens)
        pieces = [
            (row.ticket, self._add(row, token, said))
            for row, token, said in zip(rows, tokens, known, strict=True)
        ]
        return pieces, tokens

    def _choose(self, rows: Sequence[_Row], logits: torch.Tensor) -> list[int]:
        """The next token of each row, rows of the same settings together."""
        found = [0] * len(rows)
        for way in dict.fromkeys(row.way for row in rows):
            places = [place for place, row in enumerate(rows) if row.way == way]
            mine = [rows[place] for place in places]
            part = logits if len(places) == len(rows) else logits[places]
            if way.penalises:
                prompts, new = [row.asked.ids for row in mine], [row.text.ids for row in mine]
                part = penalised(part, way, prompts, new)
            uniform = torch.tensor([row.draw() for row in mine], dtype=torch.float64)
            for place, token in zip(places, choose(part, way, uniform).tolist(), strict=True):
                found[place] = int(token)
        return found

    def _known(
        self, rows: Sequence[_Row], logits: torch.Tensor, tokens: Sequence[int]
    ) -> list[Said | None]:
        """What the model thought of the tokens, for rows that asked for it."""
        found: list[Said | None] = [None] * len(rows)
        for place, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            if row.asked.top is None or token in self._ends:
                continue
            nats = logits[place].log_softmax(dim=-1)
            top = nats.topk(min(row.asked.top, len(nats))) if row.asked.top else None
            likely = (
                () if top is None else tuple(zip(*(part.tolist() for part in top), strict=True))
            )
            pairs = tuple((int(one), float(value)) for value, one in likely)
            found[place] = Said(token, float(nats[token]), pairs, 0)
        return found

    def _add(self, row: _Row, token: int, said: Said | None) -> Piece:
        """Take a token; what is certain of the text now."""
        self.tokens_written += 1
        finish: Finish | None = None
        if token in self._ends:
            finish = "stop"
        else:
            row.text.add(token)
            if said is not None:
                row.held.append(said._replace(start=row.text.starts[-1]))
            if row.text.stopped:
                finish = "stop"
            elif len(row.text.ids) >= row.asked.settings.max_tokens:
                finish = "length"
        text = row.text.fresh(last=finish is not None)
        return Piece(text, len(row.text.ids), finish, self._told(row, finish))

    def _told(self, row: _Row, finish: Finish | None) -> tuple[Said, ...]:
        """The tokens of what was told by now; those behind the end of the text are left out."""
        if not row.held:
            return ()
        end = len(row.text.text)
        size = sum(said.start < end for said in row.held)
        if finish == "length":
            # A token may give no text of its own.
            size = len(row.held)
        found, row.held = tuple(row.held[:size]), row.held[size:]
        return found

    def _read(self) -> list[tuple[int, Piece]]:
        """Read prompts as far as there is room and time; the first pieces of those that are read.

        A prompt's first token is chosen here, since its last hidden state is what it is chosen by.
        """
        found: list[tuple[int, Piece]] = []
        left = STRETCH if self._rows else ALONE
        while left > 0 and (self._reading or self._next()):
            reading = self._reading
            assert reading is not None
            row, cache = reading.row, reading.cache
            low = cache.end
            ids = row.asked.ids[low : low + left]
            places = torch.arange(low, low + len(ids))[None]
            hidden = self._decoder.feed(torch.tensor([ids]), places, cache)
            self.tokens_read += len(ids)
            left -= len(ids)
            if cache.end < len(row.asked.ids):
                break
            self._reading = None
            self._keep(row.asked.ids, cache)
            pieces, tokens = self._take([row], self._decoder.logits(hidden))
            found += [one for one in pieces if _says(one[1])]
            if pieces[0][1].finish is None:
                self._cache.join(cache, row.asked.needs)
                self._rows.append(row)
                self._tokens += tokens
        return found

    def _next(self) -> bool:
        """Begin to read the next prompt that waits, if there is room for its text."""
        if not self._waiting or len(self._rows) >= self._most:
            return False
        needs = max([self._waiting[0].asked.needs, *self._cache.needs])
        if self._rows and (len(self._rows) + 1) * needs > self._slots:
            return False
        row = self._waiting.popleft()
        ids = row.asked.ids
        cache = Cache(self._decoder.shape, self._decoder.dtype)
        cache.begin(1, len(ids))
        before, same = self._alike(ids)
        if before is not None:
            cache.follow(before, same)
        self._reading = _Reading(row, cache)
        return True

    def _alike(self, ids: tuple[int, ...]) -> tuple[Cache | None, int]:
        """The prompt read before that begins most like this one, and how far it does.

        Keys and values of the same tokens after the same tokens are the same.
        """
        best: tuple[Cache | None, int] = None, 0
        for others, cache in self._kept:
            most = min(len(others), len(ids) - 1)
            same = next((n for n in range(most) if others[n] != ids[n]), most)
            if same > best[1]:
                best = cache, same
        return best

    def _keep(self, ids: tuple[int, ...], cache: Cache) -> None:
        """Keep a prompt that was read, the oldest ones until they take too much memory."""
        self._kept.append((ids, cache))
        while sum(len(one) for one, _ in self._kept) > self._slots // KEPT_SHARE:
            self._kept.popleft()


def _says(piece: Piece) -> bool:
    """Whether there is anything new."""
    return bool(piece.text or piece.said or piece.finish)
