"""What teachers say of the rows that a student learns from, and how several are mixed.

Legend: R rows of a split, n of them asked for, K outputs, M teachers. A row is what a task predicts
something of: a text for objectives `classify` and `regress`, a word (by its number through all
texts) for `tag`.

Kept are logits up to a constant a row, of the teacher's whole distribution; hidden states and
attentions aren't kept: they take hundreds of times the space, and who needs them runs the teacher.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import nn
from torch.nn.functional import log_softmax, logsigmoid

from gradus.training.teachers.config import Weighting

WEIGHT_SCALE: Final = 20.0
"""A step of the optimiser moves a parameter by its rate, about 1e-4; weights of teachers must be
able to move within a few hundred of them."""
NOTHING: Final = -1
"""The gold label of a row that has none."""


class TeacherOutputs(ABC):
    """One teacher's outputs for the R rows of a split.

    Attributes:
        name: the teacher's, as the plan calls it.
        separate: whether each of the K outputs is a decision of its own (target ``labels``), so
            that probabilities are sigmoids and not a softmax.
    """

    name: str
    separate: bool = False

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """R and K."""

    @abstractmethod
    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        """float32 [n, K] for the rows int64 [n]; of a softmax up to a constant a row. With target
        ``number`` K is 1 and this is the number itself."""

    def log_probs(self, rows: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """float32 [n, K], logarithms of the probabilities at this temperature."""
        logits = self.logits(rows) / temperature
        return logsigmoid(logits) if self.separate else log_softmax(logits, dim=-1)


class Ensemble(nn.Module):
    """M teachers of the same rows as one distribution: sum over m of w_m p_m.

    A module, since learned weights are a parameter: who trains the student puts it among the
    modules of its head. Teachers' outputs are constants; gradients reach the weights alone, and
    those only through `loss`.

    Attributes:
        teachers: the M teachers.
        weighting: how rows weigh them, see `gradus.training.teachers.config`.
        scores: [M], what the learned weights are the softmax of, over `WEIGHT_SCALE`; None unless
            weights are learned.
    """

    def __init__(
        self,
        teachers: Sequence[TeacherOutputs],
        *,
        weights: Sequence[float] | None = None,
        weighting: Weighting = "fixed",
    ) -> None:
        """`weights` are shares in any unit, equal when left out; what learning begins with."""
        super().__init__()
        self.teachers, self.weighting = tuple(teachers), weighting
        given = torch.tensor(weights or [1.0] * len(self.teachers), dtype=torch.float32)
        self.register_buffer("_shares", given / given.sum(), persistent=False)
        self.scores = (
            nn.Parameter(self.shares.log() / WEIGHT_SCALE) if weighting == "learned" else None
        )

    @property
    def shares(self) -> torch.Tensor:
        """float32 [M], weights as the plan gives them, together 1."""
        found: torch.Tensor = self._buffers["_shares"]  # type: ignore[assignment]  # registered above
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The teachers' names."""
        return tuple(teacher.name for teacher in self.teachers)

    def weights(self, rows: torch.Tensor, gold: torch.Tensor | None = None) -> torch.Tensor:
        """float32 [n, M], what each teacher weighs at each row; together 1.

        Args:
            rows: int64 [n].
            gold: labels of these rows, as their task has them: int64 [n] (`NOTHING` where a row
                has none), or with separate outputs float [n, K] (NaN where it has none).
        """
        if self.scores is not None:
            return (WEIGHT_SCALE * self.scores).softmax(0).expand(len(rows), -1)
        if self.weighting in ("fixed", "learned") or len(self.teachers) == 1:
            return self.shares.expand(len(rows), -1)
        found = [self._merit(teacher, rows, gold) for teacher in self.teachers]
        return (torch.stack(found, dim=-1) + self.shares.log()).softmax(-1)

    def log_probs(
        self, rows: torch.Tensor, gold: torch.Tensor | None = None, temperature: float = 1.0
    ) -> torch.Tensor:
        """float32 [n, K], the mixture of the teachers' distributions at this temperature, without
        gradient. Weights don't depend on the temperature. Arguments as of `weights`."""
        with torch.no_grad():
            if len(self.teachers) == 1:
                return self.teachers[0].log_probs(rows, temperature)
            return self._mixed(self.weights(rows, gold), rows, temperature)

    def logits(self, rows: torch.Tensor, gold: torch.Tensor | None = None) -> torch.Tensor:
        """float32 [n, K], the weighted mean of the teachers' logits: what they say of numbers."""
        with torch.no_grad():
            weights = self.weights(rows, gold)
            parts = torch.stack([teacher.logits(rows) for teacher in self.teachers], dim=1)
            return (weights[..., None] * parts).sum(dim=1)

    def loss(self, rows: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
        """What learned weights minimise: the mixture's summed cross-entropy of gold, in nats.

        Rows without gold count for nothing; a scalar 0 without gradient unless weights are learned.
        """
        if self.scores is None:
            return torch.zeros(())
        said = self._mixed(self.weights(rows, gold), rows, 1.0)
        value, has = _likelihood(said, gold, self.teachers[0].separate)
        return -value[has].sum()

    def facts(self) -> dict[str, float]:
        """Weight by teacher: learned, or as given (what rows then make of it, `weights` says)."""
        with torch.no_grad():
            found = (
                self.weights(torch.zeros(1, dtype=torch.int64)) if self.scores is not None else None
            )
        values = self.shares if found is None else found[0]
        return dict(zip(self.names, values.tolist(), strict=True))

    def without(self, name: str) -> Ensemble:
        """The others, with the weights that they have now."""
        now = self.facts()
        kept = [teacher for teacher in self.teachers if teacher.name != name]
        how: Weighting = "fixed" if self.weighting == "learned" else self.weighting
        return Ensemble(kept, weights=[now[t.name] for t in kept], weighting=how)

    def over(self, teachers: Sequence[TeacherOutputs]) -> Ensemble:
        """The same weights over the same teachers' outputs for other rows."""
        now = self.facts()
        how: Weighting = "fixed" if self.weighting == "learned" else self.weighting
        return Ensemble(teachers, weights=[now[t.name] for t in teachers], weighting=how)

    def _mixed(self, weights: torch.Tensor, rows: torch.Tensor, temperature: float) -> torch.Tensor:
        parts = torch.stack([t.log_probs(rows, temperature) for t in self.teachers], dim=1)
        return (parts + weights.log()[..., None]).logsumexp(dim=1)

    def _merit(
        self, teacher: TeacherOutputs, rows: torch.Tensor, gold: torch.Tensor | None
    ) -> torch.Tensor:
        """float32 [n], the logarithm of what a row multiplies a teacher's share with."""
        said = teacher.log_probs(rows)
        if self.weighting == "confidence":
            return -_entropy(said, teacher.separate)
        if gold is None:
            return torch.zeros(len(rows))
        value, has = _likelihood(said, gold, teacher.separate)
        return torch.where(has, value, torch.zeros(()))


def _likelihood(
    said: torch.Tensor, gold: torch.Tensor, separate: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each row's gold, float32 [n], and whether it has one, bool [n]."""
    if separate:
        has = ~gold.isnan().any(dim=-1)
        yes = torch.nan_to_num(gold)
        return (yes * said + (1 - yes) * log_complement(said)).sum(dim=-1), has
    has = gold >= 0
    return said.gather(1, gold.clamp(min=0)[:, None]).squeeze(1), has


def _entropy(said: torch.Tensor, separate: bool) -> torch.Tensor:
    """float32 [n], in nats; of separate outputs the sum of theirs."""
    found = -(said.exp() * said).sum(dim=-1)
    if separate:
        other = log_complement(said)
        found = found - (other.exp() * other).sum(dim=-1)
    return found


def log_complement(log_probs: torch.Tensor) -> torch.Tensor:
    """log(1 - p) from log p, exact for p near 0 and, as far as log p tells, near 1."""
    return torch.log(-torch.expm1(log_probs.clamp(max=-1e-7)))


def by_name(shares: Mapping[str, float], found: Sequence[TeacherOutputs]) -> list[float]:
    """The shares in the order of `found`."""
    return [shares[teacher.name] for teacher in found]
