"""Scheme `int8-qat`: trained under int8 rounding, then compressed as `int8-dynamic` does it."""

from __future__ import annotations

from typing import ClassVar

from gradus.compress.int8_dynamic import Int8Dynamic


class Int8Qat(Int8Dynamic):
    """Quantisation-aware training (Jacob et al. 2018) before `int8-dynamic`.

    The step's stages go through the one training loop, with every linear layer's weights and
    inputs, and the embeddings, rounded as the compressed checkpoint rounds them (see
    `gradus.compress.rounded`); dev.select is watched under the rounding.
    """

    summary: ClassVar[str] = "trained under int8 rounding first, then int8-dynamic"
    trains: ClassVar[bool] = True
