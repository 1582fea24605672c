"""What a fine-tuning step does with adapters: before training, and after it.

Legend: N texts, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from gradus.errors import TrainingError
from gradus.parity import Bounds, compare
from gradus.training.adapters import attach
from gradus.training.adapters.attached import of
from gradus.training.adapters.base import Wanted
from gradus.training.backbone import Backbone
from gradus.training.models import max_positions
from gradus.training.packing import inference_batches
from gradus.training.task import Task, Texts

LARGEST_DIFFERENCE = 1e-3
PARITY_TEXTS = 1000
_BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Adapted:
    """What became of the adapter before training: sentences and facts for the report."""

    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def adapt(backbone: Backbone, wanted: Wanted | None, *, seed: int, max_tokens: int) -> Adapted:
    """Bring `backbone` to the adapter that the step asks for.

    An adapter that the checkpoint before left is trained further if the step asks for the same;
    otherwise it is merged first, and the step's own, if any, is put on top. What is new is drawn
    from `seed` alone.

    Args:
        backbone: of the task; changed in place.
        wanted: what the step asks for; None for no adapter.
        seed: the step's.
        max_tokens: where texts are cut.

    Raises:
        TrainingError: the model has no place for the adapter, the one before can't be merged, or
            virtual tokens leave too few positions.
        MissingExtra: peft isn't installed.
    """
    before = of(backbone.model)
    if before is None and wanted is None:
        return Adapted()
    notes: list[str] = []
    if before is not None and wanted is not None and before.identity() == wanted.to_json():
        notes.append(
            "The checkpoint's adapter is the one that the step asks for, and trains further."
        )
    else:
        if before is not None:
            _merge_before(backbone, before.wanted, wanted)
            notes.append(f"The checkpoint's own adapter ({before.wanted.entry}) was merged first.")
        if wanted is not None:
            torch.manual_seed(seed % 2**63)
            attach.attach(backbone.model, wanted)
        backbone.look_again()
    now = of(backbone.model)
    if now is None:
        return Adapted(tuple(notes))
    _check_positions(backbone, now.virtual, max_tokens)
    total = sum(p.numel() for p in backbone.model.parameters())
    facts = {
        "adapter": dict(now.identity()),
        "adapter_parameters": now.size,
        "adapter_share": now.size / total,
        "packed": backbone.packs,
    }
    return Adapted(tuple(notes), facts)


def _merge_before(backbone: Backbone, before: Wanted, wanted: Wanted | None) -> None:
    if before.kind.place != "weights":
        asked = f"asks for {wanted.entry}" if wanted else "has no adapter"
        raise TrainingError(
            f"the checkpoint before has virtual tokens ({before.entry}: "
            f"{before.config.settings()}), which can't be merged, and this step {asked}: "
            "give it the same adapter, or begin with the model that the checkpoint came from"
        )
    attach.merge(backbone.model)


def _check_positions(backbone: Backbone, virtual: int, max_tokens: int) -> None:
    limit = max_positions(backbone.model)
    if limit is not None and virtual + max_tokens > limit:
        raise TrainingError(
            f"{virtual} virtual tokens and texts of up to {max_tokens} tokens don't fit the "
            f"model's {limit} positions: set max_tokens: {max(2, limit - virtual)} or fewer tokens "
            "in the adapter"
        )


def merge_with_parity(task: Task) -> dict[str, Any]:
    """Merge the adapter and see whether the model still says the same; returns facts.

    Compared are the head's outputs [N, K] in float32 on dev.select (on train where there is none),
    on at most `PARITY_TEXTS` texts. The runner's gate closes where they moved by more than
    `LARGEST_DIFFERENCE`, or whatever the step's ``parity:`` says (`gradus.parity`).
    """
    tokens = task.select if len(task.select) else task.train
    before = _outputs(task, tokens)
    attach.merge(task.backbone.model)
    task.backbone.look_again()
    after = _outputs(task, tokens)
    difference = float((after - before).abs().max())
    flips = int((after.argmax(-1) != before.argmax(-1)).sum())
    found = compare(
        before.float().numpy(),
        after.float().numpy(),
        handoff="merge",
        bounds=Bounds(max_logit=LARGEST_DIFFERENCE),
        outputs="number" if before.shape[1] == 1 else "label",
        unit="rows",
    )
    return {
        "parity": [found.to_json()],
        "merge_max_difference": difference,
        "merge_flips": flips,
        "merge_rows": len(after),
        "merge_threshold": LARGEST_DIFFERENCE,
    }


@torch.inference_mode()
def _outputs(task: Task, tokens: Texts) -> torch.Tensor:
    """float32 [F, K], batch by batch in an order that depends on the lengths alone."""
    task.backbone.model.eval()
    task.head.eval()
    parts = []
    for rows in inference_batches(tokens.lengths[:PARITY_TEXTS], _BATCH_TOKENS):
        batch = tokens.batch(rows)
        parts.append(task.judged(task.features(task.backbone.run(batch), batch.layout)))
    return torch.cat(parts)
