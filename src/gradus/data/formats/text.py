"""Plain text: a text a line, or a text a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from gradus.data.formats.base import Format, FormatConfig, RawRecord, Sheet, Tally
from gradus.data.formats.files import COMPRESSED, decode_lines, decode_whole
from gradus.errors import DataError


class TextConfig(FormatConfig):
    """What one text is, and where its label comes from.

    Attributes:
        whole: the file is one text; else each of its lines is.
        label: the name of the ``file`` (without endings) or of its ``folder`` is the label; left
            out, the texts have none.
    """

    whole: bool = False
    label: Literal["file", "folder"] | None = None


class Text(Format):
    """One text a line, or with ``whole`` a text a file; blank lines are passed over.

    Without labels such texts are for what needs none: samples of real use that an audit compares
    data with, and texts to pretrain on.
    """

    name: ClassVar[str] = "text"
    summary: ClassVar[str] = "plain text, one text a line or a file; a label only from its path"
    example: ClassVar[str] = (
        '{source: {file: "reviews/*.txt"}, format: text, options: {label: file}}'
    )
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".text")
    fixed: ClassVar[bool] = True
    Config: ClassVar[type[FormatConfig]] = TextConfig
    options: TextConfig

    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """One record a text."""
        sheet, tried = Sheet(path), tuple(encodings or ("utf-8",))
        fields: dict[str, Any] = {"file": path.name}
        if self.options.label is not None:
            fields["label"] = _stem(path) if self.options.label == "file" else path.parent.name
        if self.options.whole:
            yield RawRecord({**fields, "text": decode_whole(path, tried, tally)}, sheet, 1)
            return
        blank = True
        for number, line in enumerate(decode_lines(path, tried, tally), start=1):
            text = line.rstrip("\r\n")
            if text.strip():
                blank = False
                yield RawRecord({**fields, "text": text}, sheet, number)
        if blank:
            raise DataError("the file has blank lines only", file=path)


def _stem(path: Path) -> str:
    """The name without endings that say format or compression."""
    inner = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return inner.stem
