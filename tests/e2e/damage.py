"""Checkpoints that are damaged: in their weights with a valid manifest, or in one bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from gradus.checkpoints import read_manifest, save_checkpoint


def with_noise(checkpoint: Path, target: Path, scale: float = 1.0) -> Path:
    """The same checkpoint with Gaussian noise in every weight, saved as whole as any other."""
    manifest = read_manifest(checkpoint)
    draw = torch.Generator().manual_seed(0)

    def write(folder: Path) -> None:
        for name in manifest.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".safetensors"):
                tensors = {
                    key: value + scale * torch.randn(value.shape, generator=draw).to(value.dtype)
                    if value.is_floating_point()
                    else value
                    for key, value in load_file(checkpoint / name).items()
                }
                save_file(tensors, folder / name, metadata={"format": "pt"})
            else:
                shutil.copy(checkpoint / name, folder / name)

    save_checkpoint(
        target,
        kind=manifest.kind,
        labels=manifest.labels,
        preprocessing=manifest.preprocessing,
        parents=(),
        facts={},
        write=write,
    )
    return target


def flip_bit(file: Path) -> None:
    """Turn one bit in the middle of a file round."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
