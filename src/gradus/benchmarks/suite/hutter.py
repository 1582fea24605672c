"""The first 10^8 bytes of Wikipedia, with and without markup (Mahoney 2006)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from gradus.benchmarks.suite.files import PARTIAL_HINT, Count, read_bytes
from gradus.benchmarks.suite.running import RunningConfig, RunningText, blocks
from gradus.benchmarks.texts import TextBenchmarkConfig
from gradus.errors import DataError

SIZE: Final = 100_000_000

SPLITS: Final[Mapping[str, tuple[float, float]]] = {
    "test": (0.95, 1.0),
    "valid": (0.9, 0.95),
    "all": (0.0, 1.0),
}
"""Shares of the file at which a split begins and ends: the last two twentieths, as customary."""


class HutterConfig(RunningConfig):
    """What enwik8 and text8 take.

    Attributes:
        split: the last 5 million bytes, the 5 million before them, or the whole file; of a file
            that is partial, always all that is there.
        block: bytes (enwik8) or characters (text8) that make an item at least, for intervals.
    """

    split: Literal["test", "valid", "all"] = "test"
    block: Count = 5_000


class Hutter(RunningText):
    """Base of enwik8 and text8.

    Class attributes, beside those of `RunningText`:
        size: bytes of the published file.
        title: the file's name.
        ends: what a block ends with.
    """

    Config: ClassVar[type[TextBenchmarkConfig]] = HutterConfig
    licence: ClassVar[str] = "CC BY-SA 3.0 and GFDL (text of Wikipedia)"
    layout: ClassVar[Literal["documents", "lines", "text", "sentences"]] = "text"
    line_ends: ClassVar[bool] = False
    size: ClassVar[int] = SIZE
    title: ClassVar[str]
    ends: ClassVar[str]

    @classmethod
    def documents(cls, config: Any, path: Path) -> Sequence[str]:
        """Blocks of the split.

        Raises:
            DataError: the file hasn't 10^8 bytes, or bytes that the published one can't have.
        """
        raw = read_bytes(path)
        if len(raw) > cls.size or (len(raw) < cls.size and config.whole):
            hint = f"; {PARTIAL_HINT}" if len(raw) < cls.size else ""
            raise DataError(
                f"{len(raw):,} bytes, and {cls.title} has exactly {cls.size:,}: the file is "
                f"truncated or another one, e.g. still packed{hint}",
                file=path,
            )
        cls.check(raw, path)
        if len(raw) == cls.size:
            first, last = SPLITS[config.split]
            raw = raw[round(first * cls.size) : round(last * cls.size)]
        return blocks(_text(raw, path), config.block, after=cls.ends)

    @classmethod
    def check(cls, raw: bytes, path: Path) -> None:
        """Refuse bytes that the published file can't have."""

    @classmethod
    def own_terms(cls, config: Any) -> dict[str, str]:
        """The split and the blocks."""
        return {"split": config.split, "block": f"{config.block} characters"}


def _text(raw: bytes, path: Path) -> str:
    """The bytes as text, without the parts of characters that a split cuts at both ends."""
    start = 0
    while start < min(4, len(raw)) and raw[start] & 0xC0 == 0x80:
        start += 1
    try:
        return raw[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return raw[start : start + error.start].decode("utf-8")
        raise DataError(
            f"byte {error.start + start:,} of the split isn't UTF-8, as all of enwik8 is: this is "
            "another file, or a damaged one",
            file=path,
        ) from error
