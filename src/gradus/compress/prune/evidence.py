"""What pruning looks at: losses on texts of train, and what heads and units contribute to them.

Nothing here reads dev or test. All is computed in float32.

Legend: N texts, B texts of a batch, T tokens of it, L layers, K groups of heads, U units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from gradus.training.config import StageConfig
from gradus.training.loop import make_loss
from gradus.training.losses.base import Loss
from gradus.training.packing import Batch, Layout, inference_batches
from gradus.training.shapes import Layer
from gradus.training.task import Task

BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Evidence:
    """Some texts of train with their loss.

    Attributes:
        task: the model and its data.
        rows: int64 [N], the texts.
        loss: the objective's own, without smoothing.
    """

    task: Task
    rows: np.ndarray
    loss: Loss

    @classmethod
    def of(cls, task: Task, most: int) -> Evidence:
        """At most `most` texts of train, chosen by content hash; blocks of a corpus, which have
        none, are evenly taken."""
        count = len(task.train)
        keys = list(task.train.keys)
        if keys:
            order = np.array(sorted(range(count), key=keys.__getitem__), dtype=np.int64)
            rows = order[:most]
        else:
            rows = np.linspace(0, count - 1, min(most, count)).astype(np.int64)
        stage = StageConfig(train="all", label_smoothing=0.0)
        return cls(task, np.unique(rows), make_loss(stage, task))

    def batches(self) -> Iterator[Batch]:
        """The texts, shortest first."""
        lengths = self.task.train.lengths[self.rows]
        for part in inference_batches(lengths, BATCH_TOKENS):
            yield self.task.train.batch(self.rows[part])

    @torch.inference_mode()
    def mean_loss(self) -> float:
        """Nats a term."""
        states = ((batch, self.task.backbone.run(batch)) for batch in self.batches())
        return self.mean_of(states)

    def mean_of(self, states: Iterator[tuple[Batch, torch.Tensor]]) -> float:
        """Nats a term, of batches with the backbone's output for them."""
        total, terms = 0.0, 0
        for batch, hidden in states:
            features = self.task.features(hidden, batch.layout)
            total += float(self.task.loss(features, batch, self.loss))
            terms += self.task.weight(batch)
        return total / max(1, terms)


@dataclass(slots=True)
class Depths:
    """Hidden states of the texts at one layer, carried up layer by layer.

    Attributes:
        evidence: the texts.
        layer: the layer whose input `states` are; None stands for the embeddings' own.
    """

    evidence: Evidence
    layer: int = 0
    states: list[tuple[Batch, torch.Tensor | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin below layer 0."""
        self.states = [(batch, None) for batch in self.evidence.batches()]

    @torch.inference_mode()
    def rest(self) -> float:
        """Mean loss with the layers from here on as they now are."""
        backbone = self.evidence.task.backbone
        found = ((b, backbone.run(b, hidden, self.layer)) for b, hidden in self.states)
        return self.evidence.mean_of(found)

    @torch.inference_mode()
    def through(self) -> list[tuple[torch.Tensor | None, torch.Tensor]]:
        """Input and output of the layer for each batch; stays where it is."""
        backbone, low = self.evidence.task.backbone, self.layer
        return [(h, backbone.run(b, h, low, low + 1)) for b, h in self.states]

    def rise(self) -> None:
        """Go on to the next layer, unless this is the last."""
        if self.layer + 1 < self.evidence.task.backbone.layers:
            pairs = zip(self.states, self.through(), strict=True)
            self.states = [(batch, after) for (batch, _), (_, after) in pairs]
        self.layer += 1


@contextmanager
def seeing(modules: Sequence[nn.Module]) -> Iterator[list[list[torch.Tensor]]]:
    """Inside the block the inputs of each of the modules are kept, [T, width] each."""
    seen: list[list[torch.Tensor]] = [[] for _ in modules]
    with ExitStack() as stack:
        for place, module in enumerate(modules):

            def keep(_: nn.Module, args: tuple[torch.Tensor, ...], place: int = place) -> None:
                seen[place].append(args[0])

            stack.enter_context(module.register_forward_pre_hook(keep))
        yield seen


def contributions(evidence: Evidence, layers: Sequence[Layer]) -> list[tuple[np.ndarray, ...]]:
    """What each group of heads and each unit contributes to the loss: (float64 [K], [U]) by layer.

    The mean over texts of the absolute derivative of a text's loss by a factor before the head's
    or unit's output (Michel, Levy and Neubig 2019, equation 2; for units Molchanov et al. 2019):
    to first order, how much the loss changes when it is taken away.
    """
    modules = [m for layer in layers for m in (layer.out, layer.fall)]
    widths = [w for layer in layers for w in (layer.head * layer.shared, 1)]
    sums = [np.zeros(n) for layer in layers for n in (layer.groups, layer.units)]
    task = evidence.task
    task.backbone.model.eval()
    for parameter in task.parameters().values():
        parameter.requires_grad_(True)
    for batch in evidence.batches():
        with seeing(modules) as seen:
            features = task.features(task.backbone.run(batch), batch.layout)
            loss = task.loss(features, batch, evidence.loss)
        inputs = [values for kept in seen for values in kept]
        slopes = iter(torch.autograd.grad(loss, inputs))
        for place, (kept, width) in enumerate(zip(seen, widths, strict=True)):
            parts = [(x.detach() * next(slopes)).flatten(0, -2) for x in kept]
            sums[place] += _by_text(torch.cat(parts), batch.layout, width)
    scaled = [total / max(1, len(evidence.rows)) for total in sums]
    return list(zip(scaled[::2], scaled[1::2], strict=True))


def _by_text(values: torch.Tensor, layout: Layout, width: int) -> np.ndarray:
    """Absolute sums over each text's tokens and `width` neighbours of [T, n width], added up."""
    grouped = values.double().view(len(values), -1, width).sum(-1)
    texts = torch.cat([run.sum(1) for run in layout.split(grouped)])
    return np.asarray(texts.abs().sum(0).numpy())


def without_each(evidence: Evidence) -> list[float]:
    """Mean loss without each of L layers."""
    backbone, depths, found = evidence.task.backbone, Depths(evidence), []
    for number in range(backbone.layers):
        with backbone.without([number]):
            found.append(depths.rest())
        depths.rise()
    return found


@torch.inference_mode()
def influences(evidence: Evidence) -> list[float]:
    """How far each of L layers turns a token's hidden state: 1 minus the mean cosine between its
    input and its output (block influence, Men et al. 2024)."""
    backbone = evidence.task.backbone
    cosines, tokens = np.zeros(backbone.layers), 0
    with ExitStack() as stack:
        for number, layer in enumerate(backbone.groups.layers):

            def add(
                _: nn.Module,
                args: tuple[torch.Tensor, ...],
                kwargs: dict[str, torch.Tensor],
                output: torch.Tensor | tuple[torch.Tensor, ...],
                number: int = number,
            ) -> None:
                before = args[0] if args else kwargs["hidden_states"]
                after = output[0] if isinstance(output, tuple) else output
                alike = torch.cosine_similarity(before.double(), after.double(), dim=-1)
                cosines[number] += float(alike.sum())

            stack.enter_context(layer.register_forward_hook(add, with_kwargs=True))
        for batch in evidence.batches():
            backbone.run(batch)
            tokens += batch.layout.tokens
    return [float(value) for value in 1 - cosines / max(1, tokens)]
