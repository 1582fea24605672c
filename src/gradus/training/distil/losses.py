"""What a student is held against its teacher by.

Legend: n items (texts or words), K labels, T tokens of a packed batch in runs of N texts with L
tokens, d hidden size, h heads, k size of a head, R relation heads.

Losses of outputs are summed over items. Losses of states and attention give one number for each
text, a mean over all that is compared in it: which texts share a batch, or a process, then changes
nothing about their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import log_softmax, logsigmoid

from gradus.training.packing import Layout
from gradus.training.teachers.base import log_complement

# Stands in for minus infinity, so that 0 times it is 0.
_LEAST = -1e30


def soft(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """``T^2 KL(teacher || student)`` at temperature T, summed over items, in nats.

    Both distributions are softened by T; the factor keeps the gradient's size whatever T is
    (Hinton, Vinyals & Dean 2015). The divergence itself, with the teacher's entropy taken off: a
    student that says what its teacher says has 0.

    Args:
        logits: float [n, K], the student's, not divided by T.
        teacher: float [n, K], the teacher's log-probabilities at temperature T.
        temperature: T.
    """
    student = log_softmax(logits / temperature, dim=-1)
    return temperature**2 * divergence(teacher, student).sum()


def divergence(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """``KL(p || q)`` over the last dimension from log-probabilities, in nats; what p gives no
    probability adds nothing."""
    return (p.exp() * (p.clamp_min(_LEAST) - q)).sum(-1)


def soft_binary(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """The same for K decisions an item, each a Bernoulli distribution, summed over items and K.

    `teacher` are logarithms of the probabilities of a yes [n, K] at temperature T.
    """
    student, no = logits / temperature, log_complement(teacher)
    said_yes = teacher.exp() * (teacher.clamp_min(_LEAST) - logsigmoid(student))
    said_no = no.exp() * (no.clamp_min(_LEAST) - logsigmoid(-student))
    return temperature**2 * (said_yes + said_no).sum()


def soft_numbers(found: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared difference [n] of numbers in deviations from train's mean, summed over items."""
    return (found - teacher).square().sum()


def hidden_error(student: torch.Tensor, teacher: torch.Tensor, layout: Layout) -> torch.Tensor:
    """float32 [B], of each text the squared distance of hidden states over the teacher's square.

    TinyBERT (Jiao et al. 2020) takes the mean squared error; divided by the mean square of the
    teacher's own states, it is the share of them that the student misses, and a weight means the
    same for models whose states are of size 1 or of size 100.

    Args:
        student: [T, d], projected to the teacher's width.
        teacher: [T, d].
        layout: where the texts lie.
    """
    pairs = zip(layout.split(student.float()), layout.split(teacher.float()), strict=True)
    return torch.cat(
        [
            (mine - its).square().mean((1, 2)) / its.square().mean((1, 2)).clamp_min(1e-12)
            for mine, its in pairs
        ]
    )


@dataclass(frozen=True, slots=True)
class Heads:
    """What a layer's attention is made from, for a run of N texts with L tokens.

    Attributes:
        query: [h, N, L, k].
        key: [h, N, L, k], or fewer heads that several queries share.
        value: as `key`.
        scale: what the products of queries and keys are multiplied with.
        seen: bool [L, L], True where a query (row) sees a key (column); None where all do.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    scale: float
    seen: torch.Tensor | None = None

    def scores(self) -> torch.Tensor:
        """float32 [h, N, L, L], before the softmax; 0 where nothing is seen."""
        repeat = self.query.shape[0] // self.key.shape[0]
        key = self.key.repeat_interleave(repeat, 0) if repeat > 1 else self.key
        found = (self.query.float() * self.scale) @ key.float().transpose(-1, -2)
        return found if self.seen is None else found * self.seen

    def relations(self, which: str, heads: int) -> torch.Tensor:
        """float32 [R, N, L, L], log-probabilities of each token's relations to those it sees.

        `which` is ``query``, ``key`` or ``value``; its heads are laid side by side and divided into
        R = `heads` others, so that models with other numbers of heads can be compared.
        """
        rows: torch.Tensor = getattr(self, which).float()
        n, length = rows.shape[1:3]
        parts = rows.permute(1, 2, 0, 3).reshape(n, length, heads, -1).permute(2, 0, 1, 3)
        scores = parts @ parts.transpose(-1, -2) / parts.shape[-1] ** 0.5
        if self.seen is not None:
            scores = scores.masked_fill(~self.seen, _LEAST)
        return log_softmax(scores, dim=-1)


def attention_error(student: Sequence[Heads], teacher: Sequence[Heads]) -> torch.Tensor:
    """float32 [B], of each text the mean squared difference of attention scores before the softmax,
    over heads and pairs of tokens that see each other (TinyBERT, Jiao et al. 2020).

    Both hold a layer's runs in order, with the same number of heads.
    """
    found = []
    for mine, its in zip(student, teacher, strict=True):
        squares = (mine.scores() - its.scores()).square().mean(0)
        pairs = squares[0].numel() if mine.seen is None else int(mine.seen.sum())
        found.append(squares.sum((1, 2)) / pairs)
    return torch.cat(found)


def relation_error(student: Sequence[Heads], teacher: Sequence[Heads], heads: int) -> torch.Tensor:
    """float32 [B], of each text the divergence ``KL(teacher || student)`` of relations between
    queries, between keys and between values, the three summed, each a mean over relation heads and
    tokens (MiniLMv2, Wang et al. 2021, after MiniLM's of values, Wang et al. 2020), in nats.

    Both hold a layer's runs in order; `heads` is R, which must divide both widths.
    """
    found = []
    for mine, its in zip(student, teacher, strict=True):
        parts = [
            divergence(its.relations(which, heads), mine.relations(which, heads)).mean((0, 2))
            for which in ("query", "key", "value")
        ]
        found.append(torch.stack(parts).sum(0))
    return torch.cat(found)
