"""Keys and values of texts that begin and end at different times.

Legend: R rows there is room for, S slots, K key-value heads, k size of a head.
"""

from __future__ import annotations

import torch

from gradus.generation.cache import Cache, Shape

# Room is made in steps, so that it isn't made anew for every text.
SLOTS_A_STEP = 256
# Slots before the longest text that may stay empty before the texts are moved to the front.
SLACK = 256


class Running(Cache):
    """A cache whose rows come and go; all of them end at the same slot, whatever their length.

    Keys were turned by their positions before they came here, so a text may stand at any slots.

    Attributes:
        lengths: tokens of each row.
        needs: tokens that each row will have at most.
    """

    def __init__(self, shape: Shape, dtype: torch.dtype) -> None:
        """An empty one."""
        super().__init__(shape, dtype)
        self.lengths: list[int] = []
        self.needs: list[int] = []
        self._room = 0

    def join(self, prompt: Cache, needs: int) -> None:
        """Take the first row of another cache as a last row that may grow to `needs` tokens."""
        longest = max([*self.lengths, prompt.end])
        if self.rows == self._room or max(longest + 1, *self.needs, needs) > self.slots:
            self._grow(max([*self.needs, needs]))
        if prompt.end > self.end or self.end >= self.slots:
            self._move(longest)
        self.lengths.append(prompt.end)
        self.needs.append(needs)
        self._use(len(self.lengths))
        self.end = max(self.end, prompt.end)
        low = self.end - prompt.end
        mine, theirs = (*self._keys, *self._values), (*prompt._keys, *prompt._values)
        for part, held in zip(mine, theirs, strict=True):
            part[-1, :, low : self.end] = held[0, :, : prompt.end]
            # Nothing looks at empty slots, but nothing times what isn't a number is no number.
            part[-1, :, :low] = 0
        self._see()

    def stepped(self) -> None:
        """Every row has one token more."""
        self.lengths = [length + 1 for length in self.lengths]

    def leave(self, going: list[int]) -> None:
        """Go on with these rows alone; they must rise."""
        for place, row in enumerate(going):
            if place != row:
                for part in (*self._keys, *self._values):
                    part[place, :, : self.end] = part[row, :, : self.end]
        self.lengths = [self.lengths[row] for row in going]
        self.needs = [self.needs[row] for row in going]
        self._use(len(going))
        longest = max(self.lengths, default=0)
        if not going:
            self.end, self._room = 0, 0
            self._held = torch.empty(0, dtype=self.dtype)
            self._keys, self._values, self.slots = [], [], 0
        elif self.end - longest > (0 if len(going) == 1 else SLACK):
            self._move(longest)
        self._see()

    def ready(self) -> None:
        """Make sure that there is a slot for the next token of each row."""
        if self.end >= self.slots:
            self._move(max(self.lengths))
            self._see()

    def _grow(self, needs: int) -> None:
        """Room for a row more, and for rows that grow to `needs`."""
        longest = max(self.lengths, default=0)
        keys, values, rows, end = self._keys, self._values, self.rows, self.end
        room = max(self._room, 1)
        while room <= rows:
            room *= 2
        slots = -(-(max(needs, longest) + 1) // SLOTS_A_STEP) * SLOTS_A_STEP
        self._held = torch.empty(0, dtype=self.dtype)
        self.begin(room, max(slots, self.slots))
        self._room = room
        for new, old in zip((*self._keys, *self._values), (*keys, *values), strict=False):
            new[:rows, :, :longest] = old[:rows, :, end - longest : end]
        self.end = longest
        self._use(rows)

    def _move(self, longest: int) -> None:
        """Put the texts to the front, so that the longest ends at slot `longest`."""
        low = self.end - longest
        if low > 0:
            for part in (*self._keys, *self._values):
                part[:, :, :longest] = part[:, :, low : self.end].clone()
            self.end = longest
        elif low < 0:
            for part in (*self._keys, *self._values):
                part[:, :, -low:longest] = part[:, :, : self.end].clone()
                part[:, :, :-low] = 0
            self.end = longest

    def _use(self, rows: int) -> None:
        """Look at so many rows of the room there is."""
        self.rows = rows
        if not self._room:
            return
        shape = self.shape
        size = 2 * shape.layers * self._room * shape.shared * self.slots * shape.size
        whole = self._held[:size].view(
            2, shape.layers, self._room, shape.shared, self.slots, shape.size
        )
        self._keys, self._values = list(whole[0, :, :rows]), list(whole[1, :, :rows])

    def _see(self) -> None:
        """Say which slots are empty."""
        self.seen = None
        if any(length < self.end for length in self.lengths):
            first = self.end - torch.tensor(self.lengths)
            self.seen = torch.arange(self.slots)[None] >= first[:, None]
