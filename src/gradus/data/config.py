"""What a plan says about one data set."""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    field_validator,
    model_validator,
)

from gradus import registry, sources
from gradus.errors import UnknownName

GIVEN = ("train", "dev", "test")
DEFAULT_SHARE = 0.1


def _check_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise ValueError(f"unknown encoding '{name}', e.g. utf-8, latin-1, cp1252") from error
    return name


Encoding = Annotated[str, AfterValidator(_check_encoding)]
Share = Annotated[float, Field(ge=0, lt=1)]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnsConfig(_Config):
    """Which fields hold the text and the label.

    Left out, the text is the field ``text`` and the label the one field called ``label``,
    ``category`` or ``class``.

    Attributes:
        text: name of the field or column that holds the text.
        label: name of the field or column that holds the label.
    """

    text: str | None = None
    label: str | None = None


class SplitConfig(_Config):
    """Shares of the rows, or of the train source where other splits are given.

    Left out, dev has 0.1, test 0.1 (unless sources are given by split), train the rest. With
    `stratify` every label has its exact quota in each split, and the assignment is stored.

    Attributes:
        train: share of the texts to train on.
        dev: share of both halves of dev together.
        test: share of the texts that `evaluate` alone reads.
        stratify: exact label quotas instead of quotas in expectation.
    """

    train: Share | None = None
    dev: Share | None = None
    test: Share | None = None
    stratify: bool = False


class DataConfig(_Config):
    """One entry of a plan's ``data``.

    Attributes:
        source: one source, or sources by split: ``{train: …, test: …}`` with dev if there is one.
        format: a format of the catalog; ``auto`` goes by the file's suffix, a folder is `folders`.
        columns: which fields hold text and label.
        encoding: one encoding, or several to be tried in order for each file. Left out, UTF-8;
            the format may allow stray files in another.
        labels: the labels in the order of the outputs; left out, sorted by name.
        split: shares.
        dev: ``halves`` (select and gate apart) or ``joined`` (verdicts are then optimistic).
        limit: at most so many distinct texts of each source, those with the least content hash.
        gates: conditions on the measurements of the data themselves.
    """

    source: Mapping[str, Any]
    format: str = "auto"
    columns: ColumnsConfig = ColumnsConfig()
    encoding: Encoding | tuple[Encoding, ...] | None = None
    labels: tuple[str, ...] | None = None
    split: SplitConfig = SplitConfig()
    dev: Literal["halves", "joined"] = "halves"
    limit: PositiveInt | None = None
    gates: tuple[str, ...] = ()

    @field_validator("source")
    @classmethod
    def _check_source(cls, source: Mapping[str, Any]) -> Mapping[str, Any]:
        faults = []
        for split, spec in by_split(source).items():
            prefix = f"{split}: " if split else ""
            faults += [f"{prefix}{fault}" for fault in sources.check(spec, purpose="data")]
        if _is_by_split(source):
            faults += [f"unknown split '{key}'" for key in source if key not in GIVEN]
            if "train" not in source:
                faults.append("sources by split need one for train")
        if faults:
            raise ValueError("; ".join(faults))
        return source

    @field_validator("format")
    @classmethod
    def _check_format(cls, name: str) -> str:
        if name == "auto":
            return name
        try:
            return registry.resolve("formats", name)
        except UnknownName as error:
            raise ValueError(str(error)) from error

    @field_validator("encoding")
    @classmethod
    def _check_encodings(cls, value: str | tuple[str, ...] | None) -> Any:
        if value == ():
            raise ValueError("names no encoding")
        return value

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if labels is not None and (len(set(labels)) != len(labels) or len(labels) < 2):
            raise ValueError("must be at least two labels, each once")
        return labels

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        given = set(by_split(self.source)) - {"", "train"}
        for split in sorted(given):
            if getattr(self.split, split) is not None:
                raise ValueError(
                    f"split.{split}: {split} is given by its own source, drop the share"
                )
        shares = self.shares()
        total = sum(shares.values())
        if not math.isclose(total, 1.0, abs_tol=1e-9) or shares["train"] <= 0:
            text = ", ".join(f"{name} {share:g}" for name, share in shares.items())
            raise ValueError(
                f"split: the shares must sum to 1 and leave some for train, but they are {text} "
                f"(sum {total:g})"
            )
        if shares.get("dev") == 0:
            raise ValueError("split.dev: must be above 0, early stopping and gates rest on dev")
        return self

    def shares(self) -> dict[str, float]:
        """The share of each split that is cut out of the (train) source, train among them."""
        given = by_split(self.source)
        default = {"dev": DEFAULT_SHARE, "test": DEFAULT_SHARE if "" in given else 0.0}
        shares = {
            name: default[name] if (share := getattr(self.split, name)) is None else share
            for name in ("dev", "test")
            if name not in given
        }
        train = self.split.train
        rest = 1.0 - sum(shares.values()) if train is None else train
        return {"train": rest, **shares}

    def encodings(self) -> tuple[str, ...] | None:
        """The encodings to be tried in order; None leaves them to the format."""
        if self.encoding is None or isinstance(self.encoding, tuple):
            return self.encoding
        return (self.encoding,)


def by_split(source: Mapping[str, Any]) -> dict[str, Any]:
    """Source by split; a single source stands under the empty name."""
    if _is_by_split(source):
        return {key: source[key] for key in GIVEN if key in source}
    return {"": source}


def _is_by_split(source: Mapping[str, Any]) -> bool:
    return any(key in source for key in GIVEN)
