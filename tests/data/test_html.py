"""Texts of web pages."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import pytest

from gradus.data.corpora import load_corpus
from gradus.data.formats.base import Tally
from gradus.data.formats.html import Html, HtmlConfig
from gradus.errors import DataError, MissingExtra

pytest.importorskip("trafilatura", reason="the extra 'corpus' isn't installed")

FIRST = (
    "The council met on Tuesday to discuss the new bridge, which will cross the river at the café. "
    "Nobody objected for long."
)
SECOND = "Work begins in spring, said the mayor; it will take two years and cost nine million."
THIRD = (
    "The old bridge was closed two winters ago, when ice had loosened three of its piers. Since "
    "then a ferry has taken people across, never more than twenty at a time, and none at night."
)
PAGE = f"""<!doctype html><html><head><meta charset="CHARSET"><title> The
bridge</title><script>var x = "no text";</script></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/about">About us</a></li></ul></nav>
<article><h1>The bridge</h1><p>{FIRST}</p><p>{SECOND}</p><p>{THIRD}</p>
<table><tr><th>Year</th><th>Cost</th></tr><tr><td>2031</td><td>nine million</td></tr></table>
</article><footer><p>Copyright. All rights reserved.</p></footer></body></html>"""


def read(path: Path, encodings: tuple[str, ...] | None = None, **options: Any) -> dict[str, Any]:
    tally = Tally()
    (record,) = Html(HtmlConfig(**options)).records(path, encodings=encodings, tally=tally)
    assert tally.files == 1
    assert not tally.strays
    return dict(record.fields)


@pytest.mark.parametrize("charset", ["utf-8", "windows-1252", "ISO-8859-15"])
def test_the_text_without_what_stands_around_it(tmp_path: Path, charset: str) -> None:
    path = tmp_path / "bridge.html"
    path.write_bytes(PAGE.replace("CHARSET", charset).encode(charset))
    found = read(path, label="folder")
    assert FIRST in found["text"]
    assert SECOND in found["text"]
    assert "2031" in found["text"]
    assert not any(word in found["text"] for word in ("About us", "Copyright", "no text", "<p>"))
    assert found["title"] == "The bridge"
    assert (found["file"], found["label"]) == ("bridge.html", tmp_path.name)
    assert "2031" not in read(path, tables=False)["text"]


def test_compressed_pages_and_the_label_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bridge.html.gz"
    path.write_bytes(gzip.compress(PAGE.encode()))
    found = read(path, encodings=("utf-8",), label="file")
    assert found["label"] == "bridge"
    assert FIRST in found["text"]


def test_wrong_bytes_and_empty_files(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_bytes(PAGE.replace("CHARSET", "utf-8").encode("latin-1"))
    with pytest.raises(DataError, match="not valid utf-8: byte 0xe9"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        read(path)
    path.write_bytes(PAGE.replace("CHARSET", "no-such-code").encode())
    assert FIRST in read(path)["text"]


def test_a_corpus_of_pages_counts_those_without_text(tmp_path: Path) -> None:
    for number in range(40):
        page = PAGE.replace("CHARSET", "utf-8").replace("Tuesday", f"day {number}")
        (tmp_path / f"{number:02}.html").write_text(page)
    (tmp_path / "none.html").write_text("<html><body><script>1</script></body></html>")
    corpus = load_corpus(
        "web",
        {
            "source": {"folder": "."},
            "format": "html",
            "columns": {"domain": "title"},
            "split": {"dev": 0.6},
        },
        folder=tmp_path,
        seed=3,
        place=tmp_path / "corpora",
    )
    assert corpus.facts["cleaning"]["empty"]["dropped"] == 1
    assert sum(map(len, corpus.splits.values())) == 40
    assert {d.domain for docs in corpus.splits.values() for d in docs} == {"The bridge"}
    assert corpus.facts["format"] == "html"


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.html").write_text(PAGE)
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(MissingExtra, match=r"gradus-lm\[corpus\]"):
        read(tmp_path / "a.html")
