"""Several data files on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from gradus.errors import SourceError
from gradus.sources.base import Located, Purpose, Source, SourceConfig
from gradus.sources.file import find_files


class FilesConfig(SourceConfig):
    """``{files: [PATH, …]}``, relative to the plan's folder; each may have wildcards."""

    files: Annotated[list[str], Field(min_length=1)]


class Files(Source):
    """Local data files, read one after the other as if they were one."""

    key: ClassVar[str] = "files"
    summary: ClassVar[str] = "several local data files, read as one"
    example: ClassVar[str] = "{files: [data/train.jsonl, data/more.jsonl]}"
    purposes: ClassVar[frozenset[str]] = frozenset({"data"})
    Config: ClassVar[type[SourceConfig]] = FilesConfig

    def locate(self, config: Any, folder: Path, *, purpose: Purpose = "data") -> Located:
        """The files in the order in which they are named; none may be named twice."""
        found = [path for text in config.files for path in find_files(text, folder)]
        twice = sorted({str(path) for path in found if found.count(path) > 1})
        if twice:
            raise SourceError(f"the file {twice[0]} is named twice in 'files'")
        common = Path(os.path.commonpath([path.parent for path in found]))
        return Located(common, {"files": list(config.files)}, files=tuple(found))
