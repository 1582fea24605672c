"""One data file on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from gradus.errors import SourceError
from gradus.sources.base import Located, Purpose, Source, SourceConfig, absolute, require


class FileConfig(SourceConfig):
    """``{file: PATH}``, relative to the plan's folder."""

    file: str


class File(Source):
    """A local data file; its suffix says the format unless the plan does."""

    key: ClassVar[str] = "file"
    summary: ClassVar[str] = "one local data file (JSONL, CSV, TSV)"
    example: ClassVar[str] = "{file: data/train.jsonl}"
    purposes: ClassVar[frozenset[str]] = frozenset({"data"})
    Config: ClassVar[type[SourceConfig]] = FileConfig

    def locate(self, config: Any, folder: Path, *, purpose: Purpose = "data") -> Located:
        """The file, which must exist and be one."""
        path = require(absolute(config.file, folder), "the file")
        if path.is_dir():
            raise SourceError(f"{path} is a folder, not a file: write {{folder: {config.file}}}")
        return Located(path, {"file": config.file})
