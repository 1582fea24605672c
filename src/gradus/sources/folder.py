"""A folder on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from gradus.errors import SourceError
from gradus.sources.base import Located, Purpose, Source, SourceConfig, absolute, require


class FolderConfig(SourceConfig):
    """``{folder: PATH}``, relative to the plan's folder."""

    folder: str


class Folder(Source):
    """A local folder: a checkpoint, weights in Hugging Face layout, or data."""

    key: ClassVar[str] = "folder"
    summary: ClassVar[str] = "a local folder: a checkpoint, Hugging Face weights, or data"
    example: ClassVar[str] = "{folder: ../models/encoder}"
    purposes: ClassVar[frozenset[str]] = frozenset({"data", "weights"})
    Config: ClassVar[type[SourceConfig]] = FolderConfig

    def locate(self, config: Any, folder: Path, *, purpose: Purpose = "data") -> Located:
        """The folder, which must exist and be one."""
        path = require(absolute(config.folder, folder), "the folder")
        if not path.is_dir():
            raise SourceError(f"{path} is a file, not a folder: write {{file: {config.folder}}}")
        return Located(path, {"folder": config.folder})
