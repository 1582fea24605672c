"""Links within the documents lead somewhere; files of the project that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gradus import registry

from .blocks import ROOT, documents

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^ *(```+).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`((?:src|docs|plans|bench|tests|dev)/[\w./-]+)`")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
# Written by `make docs`, and by whoever takes the picture of the demo's report.
GENERATED = ("docs/reference/",)
# Shown as an example of what one would write.
EXAMPLES = re.compile(r"kappa|centroid|environment|focal")


def prose(document: str) -> str:
    return _FENCED.sub("", (ROOT / document).read_text("utf-8"))


def anchors(text: str) -> set[str]:
    """The anchors that headings get, as GitHub and mkdocs make them."""
    plain = (re.sub(r"[^\w\s-]", "", h.lower()) for h in _HEADING.findall(text))
    return {re.sub(r"\s", "-", heading.strip()) for heading in plain}


@pytest.mark.parametrize("document", documents())
def test_links_lead_somewhere(document: str) -> None:
    for link in _LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        inside = str(Path(target).resolve().relative_to(ROOT))
        if inside.startswith(GENERATED):
            continue
        assert target.exists(), f"{document}: {link} doesn't exist"
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), f"{document}: no anchor {link}"


@pytest.mark.parametrize("document", documents())
def test_named_files_exist(document: str) -> None:
    for name in _NAMED.findall(prose(document)):
        if name.startswith(GENERATED) or EXAMPLES.search(name):
            continue
        assert (ROOT / name).exists(), f"{document} names {name}"


def test_every_step_and_objective_is_told_of_in_a_guide() -> None:
    guides = "\n".join((ROOT / d).read_text("utf-8") for d in documents() if "guides" in d)
    for section in ("steps", "objectives", "formats", "sources"):
        for name in registry.names(section):
            assert registry.plain(name) in guides, f"no guide tells of {section} {name}"
