"""One data file on this machine."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Any, ClassVar

from gradus.errors import SourceError
from gradus.sources.base import Located, Purpose, Source, SourceConfig, absolute, require


class FileConfig(SourceConfig):
    """``{file: PATH}``, relative to the plan's folder; ``*``, ``?`` and ``**`` are wildcards."""

    file: str


class File(Source):
    """A local data file; its suffix says the format unless the plan does.

    A path with wildcards stands for every file that fits, in the order of their names.
    """

    key: ClassVar[str] = "file"
    summary: ClassVar[str] = "one local data file, or all that fit a pattern such as part-*.jsonl"
    example: ClassVar[str] = "{file: data/train.jsonl}"
    purposes: ClassVar[frozenset[str]] = frozenset({"data"})
    Config: ClassVar[type[SourceConfig]] = FileConfig

    def locate(self, config: Any, folder: Path, *, purpose: Purpose = "data") -> Located:
        """The file, which must exist and be one; or the files that fit a pattern."""
        found = find_files(config.file, folder)
        if len(found) == 1:
            return Located(found[0], {"file": config.file})
        common = Path(os.path.commonpath([path.parent for path in found]))
        return Located(common, {"file": config.file}, files=tuple(found))


def find_files(text: str, folder: Path) -> list[Path]:
    """The files that a path stands for: itself, or those that fit its wildcards, by name.

    Raises:
        SourceError: there is none, or it is a folder.
    """
    path = absolute(text, folder)
    if not glob.has_magic(text) or path.is_file():
        path = require(path, "the file")
        if path.is_dir():
            raise SourceError(f"{path} is a folder, not a file: write {{folder: {text}}}")
        return [path]
    # From the root, since the wildcards may stand in any part of the path.
    within = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
    found = sorted(file for file in within if file.is_file())
    if not found:
        raise SourceError(f"no file fits the pattern {path}")
    return found
