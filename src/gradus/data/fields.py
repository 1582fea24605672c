"""What a plan says about the fields of records: which hold what, and which rows are left out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator


class DataPart(BaseModel):
    """Base of what a plan says about data: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BinsConfig(DataPart):
    """How the number in the label's field becomes one of several labels.

    Attributes:
        edges: thresholds, rising; a number that lies on one belongs to the label above it.
        names: the labels from below the first edge to above the last, one more than edges.
    """

    edges: Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(min_length=1)]
    names: tuple[str, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"edges must rise, but they are {list(self.edges)}")
        if len(self.names) != len(self.edges) + 1 or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"{len(self.edges)} edges part {len(self.edges) + 1} labels: name each once, "
                f"not {list(self.names)}"
            )
        return self

    def name_of(self, number: float) -> str:
        """The label of a number.

        >>> BinsConfig(edges=(-0.1, 0.1), names=("low", "middle", "high")).name_of(0.1)
        'high'
        """
        return self.names[bisect_right(self.edges, number)]


class ColumnsConfig(DataPart):
    """Which fields hold what.

    Left out, the text is the field ``text`` and the label the one field with a usual name:
    ``label``, ``category`` or ``class``; with several labels also ``labels``; for numbers
    ``label``, ``score``, ``value`` or ``rating``; for spans ``spans`` or ``entities``. In nested
    records (JSON, Parquet) dots lead inside: ``info.0.score``.

    Attributes:
        text: the field that holds the text; two fields make pairs of texts. For spans it may hold
            a list of words, whose tags (IOB1, IOB2 or IOBES) the label's field then lists.
        label: the field that holds the label, labels, number or spans.
        group: the field whose value no two splits share.
        keep: fields to look at results by.
        separator: what stands between several labels in one string.
        bins: makes labels of the numbers that the label's field holds.
    """

    text: str | tuple[str, ...] | None = None
    label: str | None = None
    group: str | None = None
    keep: tuple[str, ...] = ()
    separator: str | None = Field(default=None, min_length=1)
    bins: BinsConfig | None = None

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if isinstance(text, tuple) and (len(text) != 2 or text[0] == text[1]):
            raise ValueError(f"must be one field, or two of a pair, not {list(text)}")
        return text

    @field_validator("keep")
    @classmethod
    def _check_keep(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(keep)) != len(keep):
            raise ValueError("names a field twice")
        return keep

    def texts(self) -> tuple[str, ...]:
        """The fields of the text that are named: none, one or two."""
        if self.text is None:
            return ()
        return (self.text,) if isinstance(self.text, str) else self.text


class FilterConfig(DataPart):
    """Which rows are left out; how many is said in the facts, by key.

    Attributes:
        min_words: fewest words a text may have, as white space parts them.
        max_words: most of them.
        min_chars: fewest characters.
        max_chars: most of them.
        where: field -> the values of which a row must have one.
        drop_labels: labels that aren't wanted: rows with them go; of several labels or spans, only
            they.
    """

    min_words: PositiveInt | None = None
    max_words: PositiveInt | None = None
    min_chars: PositiveInt | None = None
    max_chars: PositiveInt | None = None
    where: Mapping[str, tuple[str | bool | int | float, ...]] = {}
    drop_labels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for unit in ("words", "chars"):
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{unit} {low} is above max_{unit} {high}: nothing is left")
        for name, values in self.where.items():
            if not values:
                raise ValueError(f"where.{name} lists no value: nothing is left")
        return self
