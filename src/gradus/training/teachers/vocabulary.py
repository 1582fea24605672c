"""What teachers say of the tokens of a corpus: kept as their likeliest tokens, or said live.

Of a teacher's distribution over the vocabulary the k most probable tokens stay on disk with their
log-probabilities at the temperature of the loss, and the logarithm of the mass of all others
together. Several teachers are mixed before that, since their likeliest tokens differ. Hidden states
aren't kept.

Legend: T tokens of a batch, n of them predicted, c rows of a chunk, V vocabulary, k tokens kept, M
teachers, R places of a corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from gradus import hardware
from gradus.errors import TrainingError
from gradus.records import CheckpointRef
from gradus.steps.base import Monitor
from gradus.training.activations import autocast
from gradus.training.backbone import Backbone
from gradus.training.blocks import NONE, Blocks, LanguageBatch
from gradus.training.distil.vocabulary import Top, Whole
from gradus.training.language import LanguageHead
from gradus.training.teachers.ablation import ALL
from gradus.training.teachers.config import Weighting
from gradus.training.teachers.outputs import PACKAGES
from gradus.training.teachers.store import Kept, kept

PART_BLOCKS: Final = 256
BATCH_TOKENS: Final = 2048
CHUNK_ROWS: Final = 64
_NARROW: Final = 1 << 16
"""Ids of a vocabulary up to this size take two bytes."""


class Speaker:
    """A causal language model that teaches.

    Attributes:
        name: as the plan calls it.
    """

    def __init__(self, name: str, full: Any) -> None:
        self.name = name
        self._backbone, self._head = Backbone(full.base_model), LanguageHead(full)
        for parameter in full.parameters():
            parameter.requires_grad_(requires_grad=False)

    @property
    def vocabulary(self) -> int:
        """V, tokens that it has logits for."""
        return int(self._head.weight.shape[0])

    @torch.no_grad()
    def states(self, batch: LanguageBatch, dtype: torch.dtype) -> torch.Tensor:
        """What its head's matrix is multiplied with where something is predicted: [n, d]."""
        with autocast(dtype):
            hidden = self._backbone.run(batch)
            return self._head.transformed(hidden[batch.targets != NONE]).to(dtype)

    @torch.no_grad()
    def logits(self, states: torch.Tensor, vocabulary: int) -> torch.Tensor:
        """float32 [c, V] of the first V = `vocabulary` tokens."""
        matrix = self._head.weight[:vocabulary].to(states.dtype)
        found = (states @ matrix.t()).float()
        bias = self._head.bias
        return found if bias is None else found.add_(bias[:vocabulary])


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """M language models as one distribution.

    Attributes:
        speakers: the teachers.
        shares: their weights, together 1.
        weighting: how they are mixed at each token; see `gradus.training.teachers.config`.
        temperature: that of the loss; weights don't depend on it.
        vocabulary: V, tokens that they and the student have logits for.
        dtype: what they compute in.
    """

    speakers: Sequence[Speaker]
    shares: Sequence[float]
    weighting: Weighting
    temperature: float
    vocabulary: int
    dtype: torch.dtype

    def live(self, batch: LanguageBatch) -> Live:
        """What they say of a batch, worked out a chunk at a time."""
        targets = batch.targets[batch.targets != NONE]
        return Live(self, [one.states(batch, self.dtype) for one in self.speakers], targets)

    def mixed(
        self, logits: Sequence[torch.Tensor], targets: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        """float32 [c, V], the logarithm of sum over m of w_m p_m at a temperature."""
        if len(logits) == 1:
            return (logits[0] / temperature).log_softmax(dim=1)
        parts = torch.stack([(each / temperature).log_softmax(dim=1) for each in logits])
        weights = self._weights(logits, targets)
        return (parts + weights.t().log()[..., None]).logsumexp(dim=0)

    def _weights(self, logits: Sequence[torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
        """float32 [c, M]."""
        shares = torch.tensor(self.shares).log()
        if self.weighting == "fixed":
            return shares.exp().expand(len(targets), -1)
        merits = []
        for each in logits:
            said = each.log_softmax(dim=1)
            if self.weighting == "agreement":
                merits.append(said.gather(1, targets[:, None]).squeeze(1))
            else:
                merits.append((said.exp() * said).sum(dim=1))
        return (torch.stack(merits, dim=1) + shares).softmax(dim=1)


@dataclass(frozen=True, slots=True)
class Live(Whole):
    """See `Panel.live`.

    Attributes:
        panel: who speaks.
        states: of each teacher, [n, d].
        targets: int64 [n].
    """

    panel: Panel
    states: Sequence[torch.Tensor]
    targets: torch.Tensor

    def logits(self, rows: slice) -> list[torch.Tensor]:
        """Of each teacher, float32 [c, V]."""
        pairs = zip(self.panel.speakers, self.states, strict=True)
        return [one.logits(states[rows], self.panel.vocabulary) for one, states in pairs]

    def log_probs(self, rows: slice) -> torch.Tensor:
        """See `Whole`."""
        return self.panel.mixed(self.logits(rows), self.targets[rows], self.panel.temperature)


class KeptTop:
    """The k likeliest tokens at each place of a corpus.

    Attributes:
        store: what is on disk.
    """

    def __init__(self, store: Kept, first: int) -> None:
        """`first` is the first place of the corpus that is predicted."""
        self.store, self._first = store, first

    def of(self, batch: LanguageBatch) -> Top:
        """For the tokens of a batch that are predicted."""
        rows = batch.places[batch.targets.numpy() != NONE] - self._first
        return Top(
            torch.from_numpy(self.store.take("ids", rows).astype(np.int64)),
            torch.from_numpy(self.store.take("log_probs", rows)).clone(),
            torch.from_numpy(self.store.take("rest", rows)).clone(),
        )

    @property
    def bytes(self) -> int:
        """On disk."""
        return sum(path.stat().st_size for path in self.store.path.iterdir())


def keep_top(
    panel: Panel,
    blocks: Blocks,
    *,
    top: int,
    place: Path,
    refs: Sequence[CheckpointRef],
    corpus: str,
    monitor: Monitor,
    facts: Callable[[], Mapping[str, Any]] = dict,
) -> KeptTop:
    """Ask the teachers about every token of a corpus, unless that has been done.

    Args:
        panel: the teachers.
        blocks: the corpus, cut whole (`Cutting.whole`).
        top: k.
        place: the folder for what teachers say.
        refs: the teachers' checkpoints.
        corpus: digest of its tokens.
        monitor: is told how far it is.
        facts: JSON that is kept beside it.

    Raises:
        DataError: what was kept has been changed since.
        StorageError: the disk is full.
    """
    if not blocks.how.whole:
        raise TrainingError("blocks that are cut anew in each epoch can't be kept")
    k = min(top, panel.vocabulary)
    starts = range(0, len(blocks), PART_BLOCKS)
    ends = np.cumsum(blocks.lengths)
    first = int(blocks.segments(0)[0].places[0])

    def make(number: int) -> dict[str, np.ndarray]:
        monitor.progress(starts[number], len(blocks), "asking the teachers about the corpus")
        rows = np.arange(starts[number], min(starts[number] + PART_BLOCKS, len(blocks)))
        before = int(ends[rows[0]] - blocks.lengths[rows[0]])
        return _part(panel, blocks, rows, k, first + before)

    identity = {
        "teachers": [ref.digest for ref in refs],
        "shares": list(panel.shares),
        "weighting": panel.weighting,
        "temperature": panel.temperature,
        "vocabulary": panel.vocabulary,
        "top": k,
        "tokens": corpus,
        "block": blocks.size,
        "dtype": str(panel.dtype),
        "threads": torch.get_num_threads(),
        "versions": [hardware.version(name) for name in PACKAGES],
    }
    counts = [int(blocks.lengths[s : s + PART_BLOCKS].sum()) for s in starts]
    return KeptTop(kept(place, identity, counts, make, facts), first)


def _part(
    panel: Panel, blocks: Blocks, rows: np.ndarray, k: int, first: int
) -> dict[str, np.ndarray]:
    """The arrays of the blocks `rows`, whose first place is `first`."""
    count = int(blocks.lengths[rows].sum())
    narrow = panel.vocabulary <= _NARROW
    found = {
        "ids": np.zeros((count, k), dtype=np.uint16 if narrow else np.int32),
        "log_probs": np.zeros((count, k), dtype=np.float32),
        "rest": np.zeros(count, dtype=np.float32),
    }
    for batch in _batches(blocks, rows):
        live = panel.live(batch)
        places = batch.places[batch.targets.numpy() != NONE] - first
        for start in range(0, len(places), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            said = live.log_probs(chunk)
            values, ids = said.topk(k, dim=1)
            rest = said.scatter(1, ids, -torch.inf).logsumexp(dim=1)
            found["ids"][places[chunk]] = ids.numpy()
            found["log_probs"][places[chunk]] = values.numpy()
            found["rest"][places[chunk]] = rest.numpy()
    return found


def _batches(blocks: Blocks, rows: np.ndarray) -> Iterator[LanguageBatch]:
    size = max(1, BATCH_TOKENS // blocks.size)
    for start in range(0, len(rows), size):
        part = blocks.batch(rows[start : start + size])
        assert isinstance(part, LanguageBatch)
        yield part


def losses(panel: Panel, blocks: Blocks) -> list[dict[str, Any]]:
    """Mean loss in nats a token of each teacher alone, of all mixed, and of all but each.

    Rows as of `gradus.training.teachers.ablation`, of what doesn't need the student. Mixed by the
    plan's weights, since agreement would be told the very token that is predicted.
    """
    parts = _groups([one.name for one in panel.speakers])
    sums, terms = dict.fromkeys(parts, 0.0), 0
    for batch in _batches(blocks, np.arange(len(blocks))):
        live = panel.live(batch)
        for start in range(0, len(live.targets), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            targets = live.targets[rows, None]
            said = torch.stack(
                [each.log_softmax(1).gather(1, targets) for each in live.logits(rows)]
            )
            for name, members in parts.items():
                shares = torch.tensor([panel.shares[m] for m in members])
                weighed = said[members, :, 0] + (shares / shares.sum()).log()[:, None]
                sums[name] -= float(weighed.logsumexp(dim=0).double().sum())
            terms += len(targets)
    weights: Mapping[str, float] = dict(
        zip((one.name for one in panel.speakers), panel.shares, strict=True)
    )
    return [
        {"teachers": name, "weight": weights.get(name), "loss": total / max(1, terms)}
        for name, total in sums.items()
    ]


def _groups(names: Sequence[str]) -> dict[str, list[int]]:
    """Which teachers each row of the ablation has."""
    everyone = list(range(len(names)))
    found = {name: [number] for number, name in enumerate(names)}
    if len(names) > 1:
        found[ALL] = everyone
    if len(names) > 2:
        for number, name in enumerate(names):
            found[f"{ALL} but {name}"] = [m for m in everyone if m != number]
    return found
