"""What a plan may say of distilling language models. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class LanguageSettings(BaseModel):
    """How teachers of a vocabulary are asked.

    Attributes:
        block: tokens that see one another. A corpus is cut into blocks once, for all epochs, so
            that what is kept of a teacher belongs to the same tokens each time.
        outputs: ``kept``: teachers are asked about each token of train once, and of what they say
            the `top` most probable tokens stay on disk, with the mass of all others together.
            ``live``: they run beside the student and say all of it, in each epoch again.
        top: k; six or eight bytes each, for every token of train.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    block: Annotated[int, Field(ge=4)] = 128
    outputs: Literal["kept", "live"] = "kept"
    top: Annotated[int, Field(ge=1)] = 64
