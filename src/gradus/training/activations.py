"""What is the same for a whole stage, computed once and kept on disk.

Below the lowest layer that trains nothing changes during a stage, dropout included (frozen layers
have none), so its hidden states are computed once; a stage that trains the head alone keeps the
features themselves. Files are named by the digest of all that they depend on, so that a resumed
run and a later stage find them again and nobody finds the wrong ones. Trainings on other texts of
the same data share a pool of texts instead (`gradus.training.pooled_texts`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from gradus.checkpoints.hashing import hash_json
from gradus.training.adapters.attached import of
from gradus.training.packing import Batch, Tokens, inference_batches
from gradus.training.pooled_texts import GatheredTexts, PooledTexts, keys_of
from gradus.training.storage import Ragged, write_ragged
from gradus.training.task import Task, Texts

INFERENCE_TOKENS = 4096


def weights_digest(task: Task, below: int) -> str:
    """SHA-256 over the embeddings and the layers under `below` (all of the backbone for L), and
    over what an adapter is beside its parameters."""
    digest = hashlib.sha256()
    groups, adapter = task.backbone.groups, of(task.backbone.model)
    if adapter is not None:
        digest.update(hash_json(adapter.identity()).encode())
    for name, parameter in sorted(task.backbone.model.named_parameters()):
        if groups.depth(groups.group_of[name]) < below:
            digest.update(name.encode())
            flat = parameter.detach().contiguous().view(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


class Activations:
    """The cached lower part of a stage for train and dev.select.

    Hidden states are kept in the dtype that training computes in, features in float32.
    """

    def __init__(
        self,
        task: Task,
        work: Path,
        low: int,
        dtype: torch.dtype,
        check: Callable[[], None],
        texts: Path | None = None,
    ) -> None:
        """`low` is the lowest layer that trains; `work` the folder, the training's own or one that
        several share; `check` is called between batches; `texts` is the folder of pools of texts
        that trainings on other data share as well, where there is one."""
        self._task, self._work, self._low, self._check = task, work, low, check
        self._dtype, self._texts = dtype, texts
        self.features_only = low >= task.backbone.layers
        self.cached = low >= 1
        self._stores: dict[int, Ragged | GatheredTexts] = {}
        self._used: dict[str, int] = {}
        self._weights = weights_digest(task, low) if self.cached else ""

    def fill(self) -> None:
        """Compute what isn't on disk yet. Leaves the model in evaluation mode."""
        for tokens in (self._task.train, self._task.select):
            if self.cached and len(tokens):
                self.store(tokens)

    def new_tokens(self, known: list[str]) -> int:
        """Tokens in files of this stage that aren't `known`; adds them to it."""
        fresh = {name: total for name, total in self._used.items() if name not in known}
        known += fresh
        return sum(fresh.values())

    def get(self, tokens: Texts, batch: Batch) -> torch.Tensor | None:
        """Features or hidden state `low` of a batch; None where embeddings come first."""
        if not self.cached:
            return None
        return self._stores[id(tokens)].get(batch.rows)

    def store(self, tokens: Texts) -> Ragged | GatheredTexts:
        """The whole file of a split, computed when it isn't on disk."""
        if id(tokens) not in self._stores:
            self._stores[id(tokens)] = self._open(tokens)
        return self._stores[id(tokens)]

    def _open(self, tokens: Texts) -> Ragged | GatheredTexts:
        task = self._task
        if self.features_only:
            lengths, dtype = task.feature_lengths(tokens), torch.float32
        else:
            lengths, dtype = tokens.lengths, self._dtype
        width = task.feature_width if self.features_only else task.backbone.width
        split = "train" if tokens is task.train else "select"
        parts = (task.digest, split, str(self._low), str(self._dtype), self._weights)
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
        path = self._work / f"activations-{split}-{self._low}-{digest}.bin"
        self._used[path.name] = int(tokens.lengths.sum())
        rows = np.arange(len(tokens))
        # What other kinds of tokens hold beside their ids isn't in the keys of a pool.
        if self._texts is not None and type(tokens) is Tokens:
            pool = PooledTexts(self._texts / self._way(), width, dtype)
            keys = keys_of(tokens)
            rows = pool.missing(keys)
            if len(rows):
                pool.add([keys[i] for i in rows], lengths[rows], self._compute(tokens, rows))
            return pool.view(keys, lengths)
        if not path.exists():
            write_ragged(path, lengths, width, dtype, self._compute(tokens, rows))
        return Ragged(path, lengths, width, dtype)

    def _way(self) -> str:
        """What rows of a text depend on beside its tokens and how features are made of them."""
        parts = (str(self._low), str(self._dtype), str(self.features_only), self._weights)
        return f"{self._low}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"

    def _compute(
        self, tokens: Texts, wanted: np.ndarray
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Rows of the texts `wanted`, in batches, each with the texts' places among them."""
        place = np.zeros(len(tokens), dtype=np.int64)
        place[wanted] = np.arange(len(wanted))
        task, high = self._task, min(self._low, self._task.backbone.layers)
        task.backbone.model.eval()
        for rows in inference_batches(tokens.lengths[wanted], INFERENCE_TOKENS):
            self._check()
            batch = tokens.batch(wanted[rows])
            with torch.inference_mode(), autocast(self._dtype):
                hidden = task.backbone.run(batch, high=high)
                if self.features_only:
                    hidden = task.features(hidden, batch.layout)
            yield place[batch.rows], hidden


def autocast(dtype: torch.dtype) -> torch.autocast:
    """Matrix products in `dtype` where that isn't float32."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)
