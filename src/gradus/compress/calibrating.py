"""Which texts scales are settled on: of train, and of nothing that a number is later told on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradus.data.dataset import TrainingData
from gradus.data.splits import HASH_LETTERS, content_id
from gradus.errors import DataError
from gradus.steps.base import StepContext

if TYPE_CHECKING:
    from gradus.steps.quantize import Calibration


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The texts, as they come, with what the report says of them."""

    texts: Sequence[str]
    facts: Mapping[str, Any]


def texts(wanted: Calibration, context: StepContext) -> Calibrated:
    """Texts of train by content hash.

    Where the step's own data keep copies, a text of train may stand in dev or test too: such are
    left out and counted. A data set that is named for calibration has no business there at all.

    Raises:
        DataError: there are none, or a named data set overlaps dev or test.
    """
    data = context.data
    if data is None:
        raise DataError("scales are settled on texts of train: name the data set in data")
    source = data if wanted.data is None else context.datasets[wanted.data]
    drawn = list(source.train.sample(wanted.texts).texts)
    held = _held(data)
    found = {text: held[key] for text in drawn if (key := content_id(text)) in held}
    if found and source is not data:
        text, split = next(iter(found.items()))
        raise DataError(
            f"calibration.data: {len(found):,} of {len(drawn):,} texts drawn from {source.name} "
            f"stand in {data.name} too, the first in {split}: '{text[:60]}'; scales settled on "
            "them would flatter what is measured there: take other texts"
        )
    kept = [text for text in drawn if text not in found]
    if not kept:
        raise DataError(f"{source.name}: train has no text to settle scales on")
    return Calibrated(
        kept, {"calibrated_on": source.name, "calibration_left_out": len(drawn) - len(kept)}
    )


def _held(data: TrainingData) -> dict[str, str]:
    """The split of every text of dev and test, by content hash; the step sees no more of them."""
    held = {content_id(text): "dev.select" for text in data.select.texts}
    for split, keys in data.held.items():
        # A copy's id is its content's hash and a number.
        held.update((key[:HASH_LETTERS], split) for key in keys)
    return held
