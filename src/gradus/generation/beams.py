"""Beam search: which of many half-written texts go on.

Legend: K beams, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from gradus.generation.decoding import Decoding
from gradus.generation.sampling import penalised


@dataclass(frozen=True, slots=True)
class Beam:
    """A text under way, or a finished one.

    Attributes:
        ids: the tokens that were written, the one that ends the text among them.
        nats: their log-likelihood.
        ended: whether it came to an end by itself, not by its length.
    """

    ids: tuple[int, ...] = ()
    nats: float = 0.0
    ended: bool = False

    def score(self, settings: Decoding) -> float:
        """What finished texts are compared by."""
        return float(self.nats / len(self.ids) ** settings.length_penalty)


class Search:
    """The texts of one prompt; who computes logits asks it which to go on with.

    A finished text counts where it is among the K best continuations of its step. The search ends
    once the best text under way, at its present length, scores no better than the worst of K
    finished ones; this is what transformers' ``early_stopping=False`` does.

    Attributes:
        beams: the texts under way, best first; at most K.
        finished: the best K finished texts, best first.
        done: whether nothing better can be expected.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        settings: Decoding,
        ends: frozenset[int],
        stops: Callable[[tuple[int, ...]], bool],
    ) -> None:
        """`ends` are the tokens that end a text, `stops` says whether written tokens do."""
        self.beams: list[Beam] = [Beam()]
        self.finished: list[Beam] = []
        self.done = False
        self._prompt, self._settings = tuple(prompt), settings
        self._ends, self._stops = ends, stops

    def take(self, logits: torch.Tensor) -> list[int]:
        """The beams before that those now under way go on from, for logits [K, V] of each beam."""
        settings, size = self._settings, logits.shape[-1]
        nats = penalised(
            logits.double().log_softmax(dim=-1),
            settings,
            [self._prompt] * len(self.beams),
            [beam.ids for beam in self.beams],
        )
        sums = nats + torch.tensor([[beam.nats] for beam in self.beams], dtype=torch.float64)
        # So many that K go on even where each of the best could end.
        count = min(max(2, 1 + len(self._ends)) * settings.beams, sums.numel())
        best, places = sums.flatten().topk(count)
        parents: list[int] = []
        going: list[Beam] = []
        for rank, (value, place) in enumerate(zip(best.tolist(), places.tolist(), strict=True)):
            parent, token = divmod(place, size)
            ids = (*self.beams[parent].ids, token)
            ended = token in self._ends or self._stops(ids)
            if ended or len(ids) == settings.max_tokens:
                if rank < settings.beams:
                    self.finished.append(Beam(ids, value, ended))
            elif len(going) < settings.beams:
                going.append(Beam(ids, value))
                parents.append(parent)
        self.beams = going
        self.finished.sort(key=lambda beam: -beam.score(settings))
        del self.finished[settings.beams :]
        self.done = not going or self._is_hopeless()
        return parents

    def _is_hopeless(self) -> bool:
        if len(self.finished) < self._settings.beams:
            return False
        return self.beams[0].score(self._settings) <= self.finished[-1].score(self._settings)

    @property
    def best(self) -> Beam:
        """The finished text with the greatest score."""
        return self.finished[0]
