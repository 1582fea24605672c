"""Reading published files, and refusing what isn't the whole of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from gradus.benchmarks.texts import TextBenchmarkConfig
from gradus.errors import DataError, SourceError

PARTIAL_HINT: Final = "to measure on what is there, set 'limit' or 'partial: true'"


class SuiteConfig(TextBenchmarkConfig):
    """What every benchmark of the suite takes.

    Attributes:
        partial: take a file that has fewer items than the published one; more are refused always.
    """

    partial: bool = False

    @property
    def whole(self) -> bool:
        """Whether the file must be the whole of the published one."""
        return self.limit is None and not self.partial


Count = Annotated[int, Field(ge=1)]


def read_bytes(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        SourceError: there is no such file, or it can't be read.
        DataError: it is empty.
    """
    try:
        found = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: can't be read ({error.strerror or error})") from error
    if not found:
        raise DataError("the file is empty", file=path)
    return found


def read_text(path: Path) -> str:
    """The file's text in UTF-8, line ends as they are.

    Raises:
        SourceError: there is no such file, or it can't be read.
        DataError: it is empty, isn't UTF-8, or has the line ends of another system.
    """
    raw = read_bytes(path)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"byte {error.start:,} isn't UTF-8, as the published file is", file=path, line=line
        ) from error
    if "\r\n" in text:
        line = text.count("\n", 0, text.index("\r\n")) + 1
        raise DataError(
            "the line ends in CR LF, the published file's lines end in LF: convert it back",
            file=path,
            line=line,
        )
    return text


def lines_of(text: str, path: Path) -> list[str]:
    """The lines, without their ends.

    Raises:
        DataError: the last line isn't ended: the file is truncated.
    """
    if not text.endswith("\n"):
        lines = text.count("\n") + 1
        raise DataError(
            "the file ends in the middle of this line: it is truncated; get it again",
            file=path,
            line=lines,
        )
    return text[:-1].split("\n")


def check_count(
    found: int, official: int, unit: str, what: str, *, whole: bool, path: Path
) -> None:
    """Refuse a file with another count than the published one's.

    Args:
        found: the file's count of `unit`.
        official: the published file's.
        unit: as ``passages``.
        what: the published file, as ``LAMBADA's test set``.
        whole: whether fewer are refused too; more always are.
        path: the file.

    Raises:
        DataError: the counts differ.
    """
    if found == official or (found < official and not whole):
        return
    if found < official:
        raise DataError(
            f"{found:,} {unit}, and {what} has {official:,}: the file is truncated or another "
            f"one; {PARTIAL_HINT}",
            file=path,
        )
    raise DataError(
        f"{found:,} {unit}, and {what} has {official:,}: this is another file",
        file=path,
    )


def check_split(
    found: int,
    official: Mapping[str, int],
    split: str | None,
    unit: str,
    what: str,
    *,
    whole: bool,
    path: Path,
) -> None:
    """As `check_count` for a file that is published in several splits, which are told apart.

    `split` is the one that it must be; None takes any.

    Raises:
        DataError: the count isn't that of `split`; says so where it is that of another.
    """
    if split is None:
        if found in official.values():
            return
        split = next(iter(official))
    others = [name for name, count in official.items() if count == found and name != split]
    if others and found != official[split]:
        raise DataError(
            f"{found:,} {unit}: this is the {others[0]} split of {what}, and '{split}' was asked "
            f"for; write 'split: {others[0]}' or give the other file",
            file=path,
        )
    check_count(found, official[split], unit, f"{what} ({split} split)", whole=whole, path=path)
