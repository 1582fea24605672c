"""What a masked language model would put at each place, with both sides of the text in view.

Legend: T tokens of a text, n copies of it in a batch, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from gradus import hardware
from gradus.errors import CheckpointError, UsageError
from gradus.generation.explain.reading import Reader
from gradus.generation.explain.records import Explained, Position
from gradus.records import CheckpointRef
from gradus.scoring.load import load_masked_lm
from gradus.training.models import load_tokenizer, max_positions

# Tokens whose logits are held at a time: with 30,000 words to choose from 120 MB.
BATCH_TOKENS = 1024


def explain_masked(ref: CheckpointRef, text: str, *, top: int, threads: int | None) -> Explained:
    """See `gradus.generation.explain.explain`."""
    torch.set_num_threads(threads or hardware.threads())
    return explained(load_masked_lm(ref), load_tokenizer(ref), text, top=top, name=ref.name)


@torch.inference_mode()
def explained(model: Any, tokenizer: Any, text: str, *, top: int, name: str) -> Explained:
    """The same for a model of transformers, head included, and its tokenizer.

    Raises:
        CheckpointError: the tokenizer has no mask.
        UsageError: the text is empty, or longer than the model's.
    """
    mask = tokenizer.mask_token_id
    if mask is None:
        raise CheckpointError(
            "the tokenizer has no mask token, so nothing can be asked of a masked language model; "
            "name the weights with their own tokenizer"
        )
    coded = tokenizer(text, return_special_tokens_mask=True, verbose=False)
    ids: list[int] = coded["input_ids"]
    limit = max_positions(model)
    if limit is not None and len(ids) > limit:
        raise UsageError(
            f"the text has {len(ids):,} tokens, and the model has positions for {limit:,}: "
            "shorten it"
        )
    gaps = [place for place, token in enumerate(ids) if token == mask]
    added = coded["special_tokens_mask"]
    asked = gaps or [place for place in range(len(ids)) if not added[place]]
    if not asked:
        raise UsageError("the text is empty, so there is nothing to fill in: write some")
    reader = Reader(tokenizer, top)
    logits = _at_gaps(model, ids, gaps) if gaps else _one_by_one(model, ids, asked, mask)
    found: list[Position] = []
    at = dict(zip(asked, logits, strict=True))
    for place, token in enumerate(ids):
        if place not in at:
            if not added[place]:
                found.append(
                    Position(number=place, kind="token", token=reader.shown(token), id=token)
                )
        elif gaps:
            found.append(reader.read(at[place], place, "gap", None))
        else:
            found.append(reader.read(at[place], place, "token", token))
    return Explained(
        model=name, sees="both sides", vocabulary=logits.shape[-1], positions=tuple(found)
    )


def _at_gaps(model: Any, ids: Sequence[int], gaps: Sequence[int]) -> torch.Tensor:
    """float32 [G, V], all gaps hidden at once."""
    logits: torch.Tensor = model(input_ids=torch.tensor([ids])).logits[0, list(gaps)]
    return logits.float()


def _one_by_one(model: Any, ids: Sequence[int], asked: Sequence[int], mask: int) -> torch.Tensor:
    """float32 [n, V], each of the places hidden alone."""
    size = max(1, BATCH_TOKENS // len(ids))
    found = []
    for low in range(0, len(asked), size):
        places = list(asked[low : low + size])
        rows = torch.tensor([ids] * len(places))
        numbers = torch.arange(len(places))
        rows[numbers, places] = mask
        found.append(model(input_ids=rows).logits[numbers, places].float())
    return torch.cat(found)
