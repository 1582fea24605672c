"""Scheme `bf16`: weights and arithmetic in bfloat16, in torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gradus.compress.base import Compressed, Material, Scheme

if TYPE_CHECKING:
    from gradus.compress.classifier import Classifier


class Bfloat16(Scheme):
    """Half the bytes: weights stored in bfloat16, matrix products computed in it.

    The checkpoint stays a transformer and can be trained further. Norms, softmax and the head are
    in float32. How fast it is depends on the processor (AVX512-BF16 or AMX).
    """

    kind: ClassVar[str] = "transformer"
    summary: ClassVar[str] = "weights and products in bfloat16, in torch"

    def write(self, classifier: Classifier, folder: Path, *, material: Material) -> Compressed:
        """Write the checkpoint's files with its weights rounded."""
        import torch

        from gradus.compress.plain import write_weights

        facts = write_weights(classifier, folder, torch.bfloat16)
        ratio = facts["weight_bytes"] / facts["weight_bytes_before"]
        return Compressed(
            preprocessing={**classifier.manifest.preprocessing, "dtype": "bfloat16"},
            facts={**facts, "size_ratio": ratio},
        )
