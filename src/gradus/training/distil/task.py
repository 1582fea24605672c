"""The task of an objective with a teacher beside it.

Legend: B texts in a batch, T tokens in it, n items (texts, or words of a tagger), K outputs, d and
D the hidden sizes of student and teacher, l and L their layers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

import numpy as np
import torch
from torch import nn

from gradus.errors import TrainingError
from gradus.objectives.multilabel import MultilabelTask
from gradus.objectives.pooled import PooledTask
from gradus.objectives.regression import RegressTask
from gradus.objectives.tagging import TagTask, WordLayout
from gradus.training.activations import autocast
from gradus.training.backbone import Backbone
from gradus.training.config import StageConfig
from gradus.training.distil import losses
from gradus.training.distil.watch import Seen, Watch
from gradus.training.losses.base import Classes, Loss
from gradus.training.packing import Batch, Layout
from gradus.training.task import Examined, Features, Task, Texts
from gradus.training.teachers.base import NOTHING, Ensemble

EXTRA = "distil"
"""Name under which what only distilling needs hangs in the head while it trains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What each term is multiplied with; one of weight 0 isn't computed."""

    soft: float = 1.0
    hard: float = 0.5
    hidden: float = 0.0
    attention: float = 0.0
    relations: float = 0.0

    @property
    def inside(self) -> bool:
        """Whether anything but the outputs is compared."""
        return bool(self.hidden or self.attention or self.relations)


def uniform_map(student: int, teacher: int) -> tuple[int, ...]:
    """Which of L = `teacher` layers each of l = `student` layers is held against: the one that
    stands as high, so that the last meets the last (TinyBERT, Jiao et al. 2020).

    >>> uniform_map(3, 6)
    (1, 3, 5)
    """
    return tuple(max(1, round((k + 1) * teacher / student)) - 1 for k in range(student))


class Inside:
    """What is compared of the two models' insides: hidden states, attention, relations.

    Attributes:
        projection: from d to D, where they differ; learnt with the student, one for all layers.
        relation_heads: R.
    """

    def __init__(self, student: Backbone, teacher: Backbone, weights: Weights, seed: int) -> None:
        """Looks at both models from now on, until `close`.

        Raises:
            TrainingError: their attention can't be compared.
        """
        self.weights, self.teacher = weights, teacher
        self.map = uniform_map(student.layers, teacher.layers)
        last, top = student.layers - 1, teacher.layers - 1
        hidden = range(student.layers) if weights.hidden else ()
        heads = set(range(student.layers)) if weights.attention else set()
        related = {last} if weights.relations else set()
        self._mine = Watch(student, hidden=hidden, attention=heads | related)
        self._its = Watch(
            teacher,
            hidden={self.map[k] for k in hidden},
            attention={self.map[k] for k in heads} | ({top} if related else set()),
        )
        self._last, self._top = last, top
        self.projection: nn.Linear | None = None
        if weights.hidden and student.width != teacher.width:
            self.projection = nn.Linear(student.width, teacher.width, bias=False)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed % 2**63)
                nn.init.orthogonal_(self.projection.weight)
        self._mine.open()
        self._its.open()

    def close(self) -> None:
        """Both models are as they were."""
        self._mine.close()
        self._its.close()

    def terms(
        self, batch: Batch, counts: torch.Tensor, dtype: torch.dtype
    ) -> dict[str, torch.Tensor]:
        """Each term summed over texts, a text counting as often as it has items (`counts` [B]).

        Layers that the stage doesn't train aren't run, and aren't compared.
        """
        mine, its = self._mine.seen, self._its.seen
        if not mine.hidden and not mine.attention:
            return {}
        with torch.no_grad(), autocast(dtype):
            self.teacher.run(batch)
        found: dict[str, list[torch.Tensor]] = {}
        layout = batch.layout
        for k in mine.hidden:
            error = self._hidden(mine.hidden[k], its.hidden[self.map[k]], layout)
            found.setdefault("hidden", []).append(error)
        for k in mine.attention if self.weights.attention else ():
            error = self._attention(mine, its, k, layout)
            found.setdefault("attention", []).append(error)
        if self.weights.relations and self._last in mine.attention:
            found["relations"] = [self._relations(mine, its, layout)]
        self._mine.forget()
        self._its.forget()
        return {
            name: (torch.stack(errors).mean(0) * counts).sum() for name, errors in found.items()
        }

    def _hidden(self, mine: torch.Tensor, its: torch.Tensor, layout: Layout) -> torch.Tensor:
        if self.projection is not None:
            mine = mine.float() @ self.projection.weight.T
        return losses.hidden_error(mine, its, layout)

    def _attention(self, mine: Seen, its: Seen, k: int, layout: Layout) -> torch.Tensor:
        one, two = mine.heads(k, layout), its.heads(self.map[k], layout)
        if one[0].query.shape[0] != two[0].query.shape[0]:
            raise TrainingError(
                f"losses: attention: the student has {one[0].query.shape[0]} attention heads and "
                f"its teacher {two[0].query.shape[0]}: take relations, which need no like heads"
            )
        return losses.attention_error(one, two)

    def _relations(self, mine: Seen, its: Seen, layout: Layout) -> torch.Tensor:
        one, two = mine.heads(self._last, layout), its.heads(self._top, layout)
        return losses.relation_error(one, two, relation_heads(one[0], two[0]))


def relation_heads(student: losses.Heads, teacher: losses.Heads) -> int:
    """R: as many as the teacher has heads, or the greatest number below that divides the width of
    every query, key and value of both."""
    rows = [row for of in (student, teacher) for row in (of.query, of.key, of.value)]
    common = gcd(*(row.shape[0] * row.shape[-1] for row in rows))
    return max(r for r in range(1, teacher.query.shape[0] + 1) if common % r == 0)


class DistilTask(Task):
    """An objective's own task with further terms; all else is the objective's.

    What only distilling trains, a projection and learned weights of teachers, hangs in the head,
    so that the loop trains, saves and resumes it; `release` takes it off.
    """

    def __init__(
        self,
        inner: Task,
        ensemble: Ensemble,
        *,
        weights: Weights,
        temperature: float = 2.0,
        teacher: Backbone | None = None,
        labelled: torch.Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
    ) -> None:
        """Args:
            inner: the student's task.
            ensemble: what its teachers say of train's items.
            weights: of the terms.
            temperature: of the soft targets.
            teacher: whose insides are compared, if any are.
            labelled: bool [items of train], whether an item's label is gold; None for all.
            dtype: in which the teacher is run.
            seed: draws the projection.

        Raises:
            TrainingError: the two models' insides can't be compared.
        """
        self.inner, self.ensemble, self.weights = inner, ensemble, weights
        self.temperature, self.labelled, self.dtype = temperature, labelled, dtype
        self.name, self.backbone, self.head = inner.name, inner.backbone, inner.head
        self.train, self.select, self.digest = inner.train, inner.select, inner.digest
        self.chooses_loss = inner.chooses_loss  # type: ignore[misc]  # as its objective has it
        self._terms: dict[str, float] = {}
        self.inside: Inside | None = None
        extra = nn.ModuleDict()
        if weights.inside:
            if teacher is None:
                raise TrainingError("losses: hidden states and attention need a teacher to run")
            self.inside = Inside(inner.backbone, teacher, weights, seed)
            if self.inside.projection is not None:
                extra["projection"] = self.inside.projection
        if ensemble.scores is not None:
            extra["ensemble"] = ensemble
        if len(extra):
            self.head.add_module(EXTRA, extra)

    def release(self) -> None:
        """Take off the head what only distilling needs; the student stays, and looks at nothing."""
        if self.inside is not None:
            self.inside.close()
        if hasattr(self.head, EXTRA):
            delattr(self.head, EXTRA)

    def loss(self, features: torch.Tensor, batch: Batch, loss: Loss) -> torch.Tensor:
        """The weighted sum of all terms, each summed over the batch's items."""
        items = items_of(batch)
        gold = self._gold(batch, items)
        found: dict[str, torch.Tensor] = {}
        factor = {f.name: getattr(self.weights, f.name) for f in dataclasses.fields(self.weights)}
        if self.weights.hard:
            found["hard"] = self._hard(features, batch, items, loss)
        if self.weights.soft:
            found["soft"] = self._soft(features, items, gold)
        if self.ensemble.scores is not None:
            found["mixture"], factor["mixture"] = self.ensemble.loss(items, gold), 1.0
        if self.inside is not None:
            counts = torch.from_numpy(self.feature_lengths(self.train)[batch.rows])
            found |= self.inside.terms(batch, counts, self.dtype)
        self._terms = {name: float(value.detach()) for name, value in found.items()}
        return torch.stack([factor[name] * value.float() for name, value in found.items()]).sum()

    def _hard(
        self, features: torch.Tensor, batch: Batch, items: torch.Tensor, loss: Loss
    ) -> torch.Tensor:
        """The objective's own loss of the items that have a label."""
        if self.labelled is None or bool(self.labelled[items].all()):
            return self.inner.loss(features, batch, loss)
        kept = self.labelled[items]
        if not bool(kept.any()):
            return features.sum() * 0.0
        layout = batch.layout
        if isinstance(layout, WordLayout):
            part = dataclasses.replace(
                batch, layout=dataclasses.replace(layout, words=layout.words[kept])
            )
        else:
            part = dataclasses.replace(batch, rows=batch.rows[kept.numpy()])
        return self.inner.loss(features[kept], part, loss)

    def _soft(
        self, features: torch.Tensor, items: torch.Tensor, gold: torch.Tensor
    ) -> torch.Tensor:
        if isinstance(self.inner, RegressTask):
            said = self.inner.standardised(self.ensemble.logits(items, gold).squeeze(-1))
            return losses.soft_numbers(self.head(features).squeeze(-1), said.float())
        teacher = self.ensemble.log_probs(items, gold, self.temperature)
        how = losses.soft_binary if isinstance(self.inner, MultilabelTask) else losses.soft
        return how(self.head(features), teacher, self.temperature)

    def _gold(self, batch: Batch, items: torch.Tensor) -> torch.Tensor:
        """Labels of the items, nothing where they aren't gold."""
        if isinstance(self.inner, TagTask):
            gold = self.inner.gold.tags[items]
        else:
            assert isinstance(self.inner, PooledTask), "objectives whose items are texts"
            gold = self.inner.of(batch)
        if self.labelled is None:
            return gold
        known = self.labelled[items]
        nothing = float("nan") if gold.is_floating_point() else NOTHING
        return torch.where(known if gold.dim() == 1 else known[:, None], gold, nothing)

    def terms(self) -> Mapping[str, float]:
        """As the last `loss` had them."""
        return self._terms

    def standing(self) -> Mapping[str, float]:
        """Learned weights of teachers."""
        if self.ensemble.scores is None:
            return {}
        return {f"weight_{name}": value for name, value in self.ensemble.facts().items()}

    def flops(self, layout: Layout, per_token: float) -> float:
        """Those of the student, and 2 a weight for a teacher that is run beside it."""
        own = self.inner.flops(layout, per_token)
        if self.inside is None:
            return own
        groups = self.inside.teacher.groups
        named = self.inside.teacher.model.named_parameters()
        held = sum(p.numel() for n, p in named if groups.group_of[n] != "embeddings")
        return own + 2.0 * held * layout.tokens

    @property
    def feature_width(self) -> int:
        """The objective's."""
        return self.inner.feature_width

    def feature_lengths(self, tokens: Texts) -> np.ndarray:
        """The objective's."""
        return self.inner.feature_lengths(tokens)

    def features(self, hidden: torch.Tensor, layout: Layout) -> torch.Tensor:
        """The objective's."""
        return self.inner.features(hidden, layout)

    @property
    def classes(self) -> Classes | None:
        """The objective's."""
        return self.inner.classes

    def weight(self, batch: Batch) -> int:
        """Items, those without a label too."""
        return self.inner.weight(batch)

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """The objective's."""
        return self.inner.outputs(features)

    def evaluate(self, outputs: torch.Tensor) -> dict[str, float]:
        """The objective's."""
        return self.inner.evaluate(outputs)

    def begin_epoch(self, epoch: int) -> None:
        """The objective's."""
        self.inner.begin_epoch(epoch)

    def examine(self, features: Features, dtype: torch.dtype) -> Examined:
        """The objective's."""
        return self.inner.examine(features, dtype)

    def merit(self, row: Mapping[str, float]) -> tuple[float, ...]:
        """The objective's."""
        return self.inner.merit(row)

    def solve(self, features: torch.Tensor, stage: StageConfig, loss: Loss) -> dict[str, float]:
        """The objective's: the head is solved on labels, not on what teachers say."""
        return self.inner.solve(features, stage, loss)


def items_of(batch: Batch) -> torch.Tensor:
    """int64 [n], the numbers of a train batch's items: words of a tagger, else texts."""
    layout = batch.layout
    return layout.words if isinstance(layout, WordLayout) else torch.from_numpy(batch.rows)
