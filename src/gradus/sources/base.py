"""What a source is: a place that weights or data come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from gradus.errors import SourceError

Purpose = Literal["data", "weights"]


class SourceConfig(BaseModel):
    """Base of every source's config: the source's own key and its options, nothing else.

    Attributes:
        license: the licence as the plan states it, for model cards; left out, what the source says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    license: str | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """Where a source's files are.

    Attributes:
        path: an existing file or folder.
        origin: how a plan names it, with what pins it (a version, a commit).
        search: folders below which the one set of weights is looked for, when `path` names a
            whole package and not the weights themselves.
        files: the data files, in order, where there are several; `path` is then their folder.
        options: what the source says of how its data are read, for the format's options.
    """

    path: Path
    origin: Mapping[str, Any]
    search: tuple[Path, ...] = field(default=())
    files: tuple[Path, ...] = field(default=())
    options: Mapping[str, Any] = field(default_factory=dict)


class Source(ABC):
    """A kind of source; one file each, stateless.

    Class attributes:
        key: what a plan writes, e.g. ``package`` in ``{package: NAME}``.
        summary: one line for `gradus ls`.
        example: the source as it stands in a plan, in YAML.
        purposes: what it can give.
        Config: its typed config; the field named `key` is required.
    """

    key: ClassVar[str]
    summary: ClassVar[str]
    example: ClassVar[str]
    purposes: ClassVar[frozenset[str]]
    Config: ClassVar[type[SourceConfig]]

    @abstractmethod
    def locate(self, config: Any, folder: Path, *, purpose: Purpose = "data") -> Located:
        """Find the files; paths in `config` are relative to `folder`.

        Raises:
            SourceError: there is nothing there; says what was looked for and what is near.
            MissingExtra: an optional package is needed for it.
        """


def absolute(text: str, folder: Path) -> Path:
    """`text` as a path: ``~`` expanded, relative to `folder`."""
    return (folder / Path(text).expanduser()).absolute()


def require(path: Path, what: str) -> Path:
    """`path` itself when it exists.

    Raises:
        SourceError: it doesn't; names the nearest entries of the deepest folder that exists.
    """
    if path.exists():
        return path
    parent = path.parent
    missing = path.name
    while not parent.is_dir() and parent != parent.parent:
        missing = parent.name
        parent = parent.parent
    raise SourceError(f"{what} {path} doesn't exist: {nearby(missing, parent)}")


def nearby(name: str, folder: Path) -> str:
    """What stands in `folder` near `name`, as the end of a sentence."""
    try:
        entries = sorted(p.name for p in folder.iterdir() if not hidden(p.name))
    except OSError as error:
        return f"{folder} can't be read ({error.strerror})"
    near = get_close_matches(name, entries, n=3, cutoff=0.5)
    if near:
        return f"{folder} has {listing(near)}"
    return f"{folder} has {listing(entries)}" if entries else f"{folder} is empty"


def hidden(name: str) -> bool:
    """Whether a file or folder is left out wherever files are listed or read."""
    return name.startswith(".") or name == "__pycache__"


def listing(names: Iterable[str], most: int = 6) -> str:
    """At most `most` names in one line, with the number of those left out.

    >>> listing(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    names = list(names)
    text = ", ".join(f"'{name}'" for name in names[:most])
    return f"{text} and {len(names) - most} more" if len(names) > most else text


def check_inner(path: str) -> str:
    """A path within a package or repository, unchanged; ValueError when it points outside."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise ValueError(f"'{path}' must be a relative path without '..'")
    return path
