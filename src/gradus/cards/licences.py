"""Under which licence weights or data stand, as far as their source says so; never a guess."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gradus.cards.licence_names import identifier, of_text
from gradus.checkpoints import CARD
from gradus.records import Record

UNKNOWN: Final = "unknown"
OTHER: Final = "other"

# The Hub's own rule for where the head of a card ends.
HEAD: Final = re.compile(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))")
_MOST: Final = 1 << 20
_LEGAL: Final = re.compile(r"(?i)(licen[cs]e|notice|copying)(\.(md|txt|rst))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence(Record):
    """What a source says of its licence.

    Attributes:
        hub: the Hub's identifier; ``other`` for a licence that it has no name for, ``unknown``
            where nothing is said.
        said: as the source writes it.
        where: who says so, as the end of "according to"; empty for unknown.
        others: what else is said elsewhere, where that is something else.
        texts: files with the text of the licence and notices.
    """

    hub: str = UNKNOWN
    said: str = ""
    where: str = ""
    others: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the source says anything."""
        return self.hub != UNKNOWN


def of_source(origin: Mapping[str, Any], path: Path | None = None) -> Licence:
    """The licence of a source.

    Args:
        origin: how a plan names it; ``license`` in it is what the plan says.
        path: the file or folder that it stands for on this machine, where that is known.
    """
    folder = None if path is None else path if path.is_dir() else path.parent
    stated = [one for one in _statements(origin, folder) if one[0].strip()]
    texts = tuple(str(file) for file in _texts(origin, folder))
    if not stated:
        return Licence(texts=texts)
    said, where = stated[0]
    hub = identifier(said) or OTHER
    others = [
        f"{other} according to {place}"
        for other, place in stated[1:]
        if (identifier(other) or other) != (identifier(said) or said)
    ]
    return Licence(
        hub=hub, said=_short(said), where=where, others=tuple(dict.fromkeys(others)), texts=texts
    )


def head(card: Path) -> dict[str, Any]:
    """The YAML at the head of a card in the Hub's format; empty where there is none to read."""
    import yaml

    try:
        with card.open(encoding="utf-8-sig", newline="") as file:
            found = HEAD.search(file.read(_MOST))
        raw = yaml.safe_load(found.group(2)) if found else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}  # somebody else's file, which needn't be a card at all
    return raw if isinstance(raw, dict) else {}


def _statements(origin: Mapping[str, Any], folder: Path | None) -> Iterator[tuple[str, str]]:
    """What is said of the licence and where, nearest to the files first."""
    if origin.get("license"):
        yield str(origin["license"]), "the plan"
    if folder is not None:
        yield _of_card(folder / CARD), "its model card"
    if "hub" in origin:
        cached = _cached(str(origin["hub"]), origin.get("revision"))
        if cached is not None and cached.parent != folder:
            yield _of_card(cached), "its card on the Hub"
    if "package" in origin:
        yield _of_package(str(origin["package"])), "the metadata of its package"
    for file in _in(folder):
        known = of_text(_read(file))
        if known is not None:
            yield known, f"the file {file.name} beside it"


def _of_card(card: Path) -> str:
    found = head(card)
    said = found.get("license_name") if found.get("license") == OTHER else found.get("license")
    if isinstance(said, list):
        said = said[0] if len(said) == 1 else ", ".join(str(one) for one in said)
    return "" if said in (None, UNKNOWN, OTHER) else str(said)


def _of_package(name: str) -> str:
    try:
        metadata = importlib.metadata.metadata(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ""
    for field in ("License-Expression", "License"):
        said = next(iter(metadata.get_all(field) or ()), "").strip()
        if said and said.lower() != UNKNOWN:
            return of_text(said) or _short(said)
    classifiers = [
        one.rpartition("::")[2].strip()
        for one in metadata.get_all("Classifier") or ()
        if one.startswith("License ::")
    ]
    return classifiers[0] if len(classifiers) == 1 else ""


def _cached(repository: str, revision: object) -> Path | None:
    """The card of a repository in the Hub's cache on this machine; asks no network."""
    from gradus.errors import MissingExtra
    from gradus.sources.hub_client import client

    wanted = None if revision is None else str(revision)
    try:
        hub = client("the card of a repository")
        found = hub.try_to_load_from_cache(repository, CARD, revision=wanted)
    except (MissingExtra, ValueError):  # a name that the Hub can't have
        return None
    return Path(found) if isinstance(found, str) else None


def _texts(origin: Mapping[str, Any], folder: Path | None) -> list[Path]:
    """Files with licence texts and notices: beside the weights, else in the package's metadata."""
    beside = _in(folder)
    if beside or "package" not in origin:
        return beside
    try:
        files = importlib.metadata.distribution(str(origin["package"])).files or ()
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return []
    legal = [file for file in files if ".dist-info" in str(file) and _LEGAL.fullmatch(file.name)]
    return [path for file in legal if (path := Path(str(file.locate()))).is_file()]


def _in(folder: Path | None) -> list[Path]:
    if folder is None or not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _LEGAL.fullmatch(p.name) and p.is_file())


def _read(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(_MOST)
    except OSError:
        return ""


def _short(said: str) -> str:
    line = " ".join(said.split())
    return line if len(line) <= 80 else f"{line[:77]}..."
