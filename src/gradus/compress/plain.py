"""Checkpoints that stay transformers in torch: their files copied, their weights in another dtype.

Legend: none beyond the tensors' own shapes.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from gradus.checkpoints import MANIFEST
from gradus.objectives.vectors import HEAD_FILE
from gradus.training import models
from gradus.training.adapters.attach import FOLDER as ADAPTER

if TYPE_CHECKING:
    from gradus.compress.classifier import Classifier


def write_weights(classifier: Classifier, folder: Path, dtype: torch.dtype) -> dict[str, int]:
    """Write the classifier's files with its backbone's weights in `dtype`; the head stays float32.

    An adapter is merged into the weights first, as it is wherever the classifier is used.

    Returns:
        Facts: bytes of the weights before and after.
    """
    staged = folder / ".merged"
    source = classifier.folder
    backbone = classifier.module.backbone
    if (source / ADAPTER).is_dir():
        models.save_model(backbone, classifier.tokenizer, staged)
        shutil.copyfile(source / HEAD_FILE, staged / HEAD_FILE)
        source = staged
    before = after = 0
    for path in sorted(source.iterdir()):
        if path.name == MANIFEST or not path.is_file():
            continue
        target = folder / path.name
        if path.suffix == ".safetensors" and path.name != HEAD_FILE:
            tensors = load_file(path)
            cast = {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors.items()}
            save_file(cast, target, metadata={"format": "pt"})
            before += sum(t.nbytes for t in tensors.values())
            after += sum(t.nbytes for t in cast.values())
        else:
            shutil.copyfile(path, target)
    if staged.exists():
        shutil.rmtree(staged)
    return {"weight_bytes_before": before, "weight_bytes": after}
