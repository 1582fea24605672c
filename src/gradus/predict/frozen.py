"""Hidden states that many checkpoints of one model have in common, kept on disk.

The trials of a search are checkpoints of one model, whose lower layers were frozen in most or all
of them. What these layers make of dev.select is the same for every trial: computed once, it leaves
only what is above them, often the head alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

    from gradus.training.backbone import Backbone
    from gradus.training.packing import Batch, Tokens

Run = Callable[["Batch"], "torch.Tensor"]


class Frozen:
    """Hidden states of texts, in a folder that several checkpoints share.

    Checkpoints are compared by SHA-256 over their embeddings and the layers under each layer. The
    first one leaves its digests; the second shows how far up the two are alike, and the hidden
    states there are written; those after it begin with them. Float32, so that the bits are those
    of a run from the beginning.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` is made when something is kept in it."""
        self._folder = folder

    def over(self, backbone: Backbone, tokens: Tokens, batch_tokens: int) -> Run:
        """The backbone's whole run over batches of `tokens`, with what is known of it.

        Legend: T tokens of a batch, d width. The run gives float32 [T, d].
        """
        from gradus.training.adapters.attached import of
        from gradus.training.storage import Ragged, write_ragged

        if of(backbone.model) is not None:
            return backbone.run
        texts, digests = _texts_digest(tokens), prefix_digests(backbone)
        alike = self._alike(texts, digests)
        if alike == 0:
            return backbone.run
        import torch

        place = self._folder / f"hidden-{alike}-{digests[alike - 1][:16]}-{texts[:16]}.bin"
        if not place.exists():
            parts = _lower(backbone, tokens, alike, batch_tokens)
            write_ragged(place, tokens.lengths, backbone.width, torch.float32, parts)
        kept = Ragged(place, tokens.lengths, backbone.width, torch.float32)

        def run(batch: Batch) -> torch.Tensor:
            hidden = kept.get(batch.rows)
            return hidden if alike == backbone.layers else backbone.run(batch, hidden, low=alike)

        return run

    def _alike(self, texts: str, digests: list[str]) -> int:
        """How many layers, from below, are those of an earlier checkpoint on the same texts."""
        from gradus.training.storage import write_whole

        file = self._folder / f"layers-{texts[:16]}.json"
        known = set(json.loads(file.read_text("utf-8")) if file.exists() else ())
        fresh = known.union(digests)
        if fresh != known:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(file, lambda p: _write(p, json.dumps(sorted(fresh))))
        return max((n for n, digest in enumerate(digests, start=1) if digest in known), default=0)


def prefix_digests(backbone: Backbone) -> list[str]:
    """L digests: the embeddings and layers 0 to n - 1, for n = 1 to L (then all of it).

    Two backbones with the same digest n have the same hidden state n of the same tokens.
    """
    import torch

    config = backbone.model.config.to_dict()  # type: ignore[union-attr, operator]  # nn.Module types attributes as tensors
    for name in ("_name_or_path", "name_or_path"):
        config.pop(name, None)
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    groups, found = backbone.groups, list[str]()
    named = sorted(backbone.model.named_parameters())
    for depth in range(-1, backbone.layers):
        for name, parameter in named:
            if groups.depth(groups.group_of[name]) == depth:
                digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
                flat = parameter.detach().contiguous().view(-1)
                digest.update(flat.view(torch.uint8).numpy().data)
        if depth >= 0:
            found.append(digest.copy().hexdigest())
    return found


def _texts_digest(tokens: Tokens) -> str:
    digest = hashlib.sha256(tokens.lengths.tobytes())
    digest.update(tokens.ids.tobytes())
    if tokens.types is not None:
        digest.update(tokens.types.tobytes())
    return digest.hexdigest()


def _lower(
    backbone: Backbone, tokens: Tokens, high: int, batch_tokens: int
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Places of texts and hidden state `high` of each batch; after layer L, the output."""
    import torch

    from gradus.training.packing import inference_batches

    for rows in inference_batches(tokens.lengths, batch_tokens):
        batch = tokens.batch(rows)
        with torch.inference_mode():
            hidden = backbone.run(batch, high=None if high == backbone.layers else high)
        yield batch.rows, hidden


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
