"""Web pages: a text a file, taken out of the HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from gradus.data.formats.base import Format, FormatConfig, RawRecord, Sheet, Tally
from gradus.data.formats.files import COMPRESSED, broken_bytes, read_bytes, with_bom
from gradus.errors import DataError, MissingExtra

_CHARSET: Final = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)""", re.I
)
_HEAD: Final = 4096


class HtmlConfig(FormatConfig):
    """What of a page counts as its text, and where a label comes from.

    Attributes:
        favour: ``precision`` leaves out more that may be menus and the like, ``recall`` keeps
            more that may be text.
        comments: readers' comments below an article.
        tables: the text in tables.
        label: the name of the ``file`` (without endings) or of its ``folder`` is the label.
    """

    favour: Literal["balance", "precision", "recall"] = "balance"
    comments: bool = False
    tables: bool = True
    label: Literal["file", "folder"] | None = None


class Html(Format):
    """A page a file: the main text without menus, advertisements and footers, found by trafilatura.

    Barbaresi (2021), "Trafilatura: A Web Scraping Library and Command-Line Tool for Text Discovery
    and Extraction", ACL demonstrations. Beside ``text`` a record has ``title``, empty where the
    page says none. A page on which no text is found has an empty text, which a corpus leaves out.
    The encoding is the plan's, else what the page declares, else UTF-8.
    """

    name: ClassVar[str] = "html"
    summary: ClassVar[str] = "web pages, one text a file: the main text without menus and footers"
    example: ClassVar[str] = (
        '{source: {file: "pages/*.html"}, format: html, options: {label: folder}}'
    )
    suffixes: ClassVar[tuple[str, ...]] = (".html", ".htm", ".xhtml")
    fixed: ClassVar[bool] = True
    Config: ClassVar[type[FormatConfig]] = HtmlConfig
    options: HtmlConfig

    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """One record a file.

        Raises:
            DataError: the file can't be read, or isn't in the encoding.
            MissingExtra: trafilatura isn't installed.
        """
        content = read_bytes(path)
        if not content.strip():
            raise DataError("the file is empty", file=path)
        page = _decode(path, content, encodings, tally)
        text, title = _extract(page, self.options)
        fields: dict[str, Any] = {"file": path.name, "title": title, "text": text}
        if self.options.label is not None:
            inner = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
            fields["label"] = inner.stem if self.options.label == "file" else path.parent.name
        yield RawRecord(fields, Sheet(path), 1)


def _decode(path: Path, content: bytes, encodings: Sequence[str] | None, tally: Tally) -> str:
    tried = tuple(encodings) if encodings else _declared(content)
    for encoding in tried:
        try:
            text = content.decode(with_bom(encoding))
        except (UnicodeDecodeError, LookupError):
            continue  # the next one; the error for none at all is raised below
        # That a page is in the encoding which it declares is no stray.
        tally.count(path, encoding, tried if encodings else (encoding,))
        return text
    raise broken_bytes(path, tried[-1])


def _declared(content: bytes) -> tuple[str, ...]:
    """The encoding that a page declares, and UTF-8."""
    found = _CHARSET.search(content[:_HEAD])
    return (found[1].decode("ascii").lower(), "utf-8") if found else ("utf-8",)


def _extract(page: str, options: HtmlConfig) -> tuple[str, str]:
    """Main text and title of a page; empty where there is none."""
    try:
        import trafilatura
    except ImportError as error:
        raise MissingExtra("trafilatura", "corpus", "the format html") from error
    tree = trafilatura.load_html(page)
    if tree is None:
        return "", ""
    titles = tree.xpath("//title/text()")
    text = trafilatura.extract(
        tree,
        favor_precision=options.favour == "precision",
        favor_recall=options.favour == "recall",
        include_comments=options.comments,
        include_tables=options.tables,
    )
    return text or "", " ".join(str(titles[0]).split()) if titles else ""
