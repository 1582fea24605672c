"""Scheme `float32`: the weights as they are, for a trimmed vocabulary or a merged adapter alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gradus.compress.base import Compressed, Material, Scheme

if TYPE_CHECKING:
    from gradus.compress.classifier import Classifier


class Float32(Scheme):
    """No rounding: what ``vocabulary: trim`` alone costs is then measured by itself.

    An adapter is merged into the weights.
    """

    kind: ClassVar[str] = "transformer"
    summary: ClassVar[str] = "weights as they are, for a trimmed vocabulary alone, in torch"

    def write(self, classifier: Classifier, folder: Path, *, material: Material) -> Compressed:
        """Write the checkpoint's files."""
        import torch

        from gradus.compress.plain import write_weights

        facts = write_weights(classifier, folder, torch.float32)
        return Compressed(preprocessing=dict(classifier.manifest.preprocessing), facts=facts)
