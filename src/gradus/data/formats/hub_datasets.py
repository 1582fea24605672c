"""What the `datasets` library stores: its own folders, and repositories of a hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from gradus.data.formats.base import Format, FormatConfig, RawRecord, Sheet, Tally
from gradus.errors import DataError, MissingExtra
from gradus.sources.base import listing


class DatasetsConfig(FormatConfig):
    """Which part of a repository is read; a source ``{hub: …}`` can say both itself.

    Attributes:
        config: one of a repository's configurations.
        split: one of its splits; needed where there are several.
    """

    config: str | None = None
    split: str | None = None


class Datasets(Format):
    """A folder that ``save_to_disk`` wrote, or a data repository of the hub.

    Rows are streamed. Numbers that stand for names (`ClassLabel`) become the names, also in lists,
    so that words and their tags need no table. No code of a repository is run.
    """

    name: ClassVar[str] = "datasets"
    summary: ClassVar[str] = "a hub's data set, or what the datasets library saved to disk"
    example: ClassVar[str] = "{source: {hub: stanfordnlp/imdb, split: train}, format: datasets}"
    folder: ClassVar[bool] = True
    Config: ClassVar[type[FormatConfig]] = DatasetsConfig
    options: DatasetsConfig

    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """One record a row, numbered from 1."""
        if not path.is_dir():
            raise DataError("the format datasets needs a folder, this is a file", file=path)
        chosen = self._chosen(path)
        sheet, number = Sheet(path, names_line=1), 0
        tally.count(path, "utf-8", ("utf-8",))
        names = _class_names(chosen.features)
        try:
            for row in chosen:
                number += 1
                yield RawRecord(_named(row, names), sheet, number)
        except (OSError, ValueError, UnicodeDecodeError) as error:
            raise self._unreadable(path, error) from error
        if not number:
            raise DataError("has no rows", file=path)

    def _chosen(self, path: Path) -> Any:
        """The one split that is read, as an iterable of rows."""
        try:
            import datasets  # type: ignore[import-untyped]  # it carries no types
        except ImportError as error:
            raise MissingExtra("datasets", "datasets", "the format datasets") from error
        try:
            if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
                found = datasets.load_from_disk(str(path))
            else:
                found = datasets.load_dataset(str(path), self.options.config, streaming=True)
        except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as error:
            raise self._unreadable(path, error) from error
        if not isinstance(found, Mapping):
            return self._whole(found, path)
        if self.options.split is None and len(found) == 1:
            return next(iter(found.values()))
        if self.options.split not in found:
            asked = "say which with" if self.options.split is None else "there is no such split:"
            raise DataError(
                f"has the splits {listing(found)}: {asked} 'options: {{split: "
                f"{self.options.split or next(iter(found))}}}'",
                file=path,
                field="split",
            )
        return found[self.options.split]

    def _whole(self, found: Any, path: Path) -> Any:
        """A data set that isn't divided into splits, unless one is asked for."""
        if self.options.split in (None, str(found.split)):
            return found
        raise DataError(
            f"has no split '{self.options.split}', it is one data set: drop 'split'",
            file=path,
            field="split",
        )

    def _unreadable(self, path: Path, error: Exception) -> DataError:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        return DataError(f"the datasets library can't read it ({reason})", file=path)


def _class_names(features: Any) -> dict[str, list[str]]:
    """Field -> names of its numbers, for classes and lists of classes."""
    found = {}
    for field, feature in (features or {}).items():
        inner = getattr(feature, "feature", feature)
        names = getattr(inner, "names", None)
        if names is not None:
            found[field] = list(names)
    return found


def _named(row: Mapping[str, Any], names: Mapping[str, list[str]]) -> Mapping[str, Any]:
    if not names:
        return row
    return {
        field: _name(value, names[field]) if field in names else value
        for field, value in row.items()
    }


def _name(value: Any, names: list[str]) -> Any:
    """The name of a class, or of each in a list; -1 stands for none."""
    if isinstance(value, list):
        return [_name(item, names) for item in value]
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return None
