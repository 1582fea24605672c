"""Losses between distributions over a vocabulary, with their gradients, chunk by chunk of logits.

Legend: n rows of a batch, c of a chunk, V vocabulary, k tokens that are kept of a teacher's
distribution, T temperature; p the teachers' distribution at T, q the student's at T.

Forward divergence is KL(p || q), reverse KL(q || p); both times T squared, so that their gradients
keep their size (Hinton, Vinyals & Dean 2015, section 2). Where the k most probable tokens of a
teacher are kept and r, the mass of all others together, both compare distributions over k + 1
outcomes: those tokens, and "any other one". That is what is known of the teacher. It is never more
than the divergence over the vocabulary (the data-processing inequality) and the same for k = V. So
the student is told how much mass the others have, not how it is shared among them: forward, each
gets what share of r the student itself gives it; reverse, mass that the student puts outside of the
k tokens counts against r as a whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Final

import torch

from gradus.training.vocabulary_loss import cross_entropy_chunk

LEAST: Final = -30.0
"""Nats; what is less probable for a teacher counts as that much, lest one token be all the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What each term is multiplied with; one of weight 0 isn't computed."""

    soft: float = 0.0
    reverse: float = 0.0
    hard: float = 1.0

    @property
    def taught(self) -> bool:
        """Whether a teacher has a part in it."""
        return bool(self.soft or self.reverse)


class Said(ABC):
    """What teachers say of the n rows of a batch, at the temperature of the loss."""

    @abstractmethod
    def divergence(
        self, scaled: torch.Tensor, rows: slice, *, forward: float, reverse: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Summed forward and reverse divergence of some rows, and the gradient [c, V] of
        ``forward * KL(p || q) + reverse * KL(q || p)``.

        `scaled` are the student's logits over T, float32 [c, V].
        """


@dataclass(frozen=True, slots=True)
class Top(Said):
    """The k most probable tokens and the mass of the rest.

    Attributes:
        ids: int64 [n, k].
        log_probs: float32 [n, k].
        rest: float32 [n], the logarithm of r; minus infinity where k is V.
    """

    ids: torch.Tensor
    log_probs: torch.Tensor
    rest: torch.Tensor

    def divergence(
        self, scaled: torch.Tensor, rows: slice, *, forward: float, reverse: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """See `Said`."""
        ids = self.ids[rows]
        told = torch.cat([self.log_probs[rows], self.rest[rows, None]], dim=1).clamp(min=LEAST)
        whole = scaled.logsumexp(dim=1, keepdim=True)
        others = scaled.scatter(1, ids, -torch.inf)
        outside = others.logsumexp(dim=1, keepdim=True)
        own = torch.cat([scaled.gather(1, ids) - whole, outside - whole], dim=1)
        # Without any other token (k = V) there is no such outcome, for neither of the two.
        there = own > -torch.inf
        told = torch.where(there, told, torch.zeros(()))
        own = torch.where(there, own, torch.zeros(()))
        p, q = told.exp() * there, own.exp() * there
        ahead, back = (p * (told - own)).sum(dim=1), (q * (own - told)).sum(dim=1)
        slope = forward * (q * p.sum(dim=1, keepdim=True) - p)
        slope = slope + reverse * q * (own - told - back[:, None])
        # The last outcome's slope is shared among its tokens as its probability is.
        share = torch.where(outside > -torch.inf, (others - outside).exp(), torch.zeros(()))
        gradient = share.mul_(slope[:, -1:]).scatter_add_(1, ids, slope[:, :-1])
        return ahead.double().sum(), back.double().sum(), gradient


class Whole(Said):
    """Distributions over all of the vocabulary, made a chunk at a time."""

    @abstractmethod
    def log_probs(self, rows: slice) -> torch.Tensor:
        """float32 [c, V]."""

    def divergence(
        self, scaled: torch.Tensor, rows: slice, *, forward: float, reverse: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """See `Said`."""
        told = self.log_probs(rows).clamp(min=LEAST)
        own = scaled.log_softmax(dim=1)
        p, q = told.exp(), own.exp()
        ahead, back = (p * (told - own)).sum(dim=1), (q * (own - told)).sum(dim=1)
        gradient = forward * (q * p.sum(dim=1, keepdim=True) - p)
        gradient += reverse * q * (own - told - back[:, None])
        return ahead.double().sum(), back.double().sum(), gradient


@dataclass(slots=True)
class Terms:
    """A batch's loss as `gradus.training.vocabulary_loss.summed` takes it.

    Attributes:
        weights: of the terms.
        temperature: T.
        targets: int64 [n].
        said: by the teachers; None where nothing of them is asked for.
        vocabulary: tokens that both know; further logits of the student take part in the hard
            loss alone.
        sums: what came of each term so far, in nats, before its weight.
    """

    weights: Weights
    temperature: float
    targets: torch.Tensor
    said: Said | None
    vocabulary: int
    sums: dict[str, float] = field(default_factory=dict)

    def __call__(self, logits: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """The weighted sum over a chunk's rows and its gradient [c, V]."""
        total, gradient = torch.zeros((), dtype=torch.float64), torch.zeros_like(logits)
        weights = self.weights
        if self.said is not None and weights.taught:
            scaled = logits[:, : self.vocabulary] / self.temperature
            square = self.temperature**2
            ahead, back, slope = self.said.divergence(
                scaled, rows, forward=weights.soft, reverse=weights.reverse
            )
            # d/dz of T^2 L(z / T) is T L'(z / T).
            gradient[:, : self.vocabulary] = slope.mul_(self.temperature)
            for name, value in (("soft", ahead), ("reverse", back)):
                if getattr(weights, name):
                    self._count(name, square * value)
                    total += getattr(weights, name) * square * value
        if weights.hard:
            value, slope = cross_entropy_chunk(logits, self.targets[rows], 0.0)
            gradient.add_(slope, alpha=weights.hard)
            self._count("hard", value)
            total += weights.hard * value
        return total, gradient

    def _count(self, name: str, value: torch.Tensor) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(value)
