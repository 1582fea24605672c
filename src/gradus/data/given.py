"""What data sets and corpora have in common: where they come from and how they are cut."""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from gradus import registry, sources
from gradus.data.fields import DataPart
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


class Shares(DataPart):
    """Shares of what is cut, or of the train source where other splits are given.

    Attributes:
        train: share to train on; left out, what the others leave.
        dev: share of both halves of dev together; left out, 0.1.
        test: share that `evaluate` alone reads; left out, 0.1 of a data set, none of a corpus.
    """

    train: Share | None = None
    dev: Share | None = None
    test: Share | None = None


class GivenConfig(DataPart):
    """Sources, their format and the shares of their splits.

    Attributes:
        source: one source, or sources by split: ``{train: …, test: …}`` with dev if there is one.
        format: a format of the catalog; ``auto`` goes by the file's suffix.
        options: the format's own options.
        encoding: one encoding, or several to be tried in order for each file.
        split: shares.

    Class attributes:
        dev_serves: what rests on dev.
        test_share: share of test where the plan says none and a single source is cut.
    """

    dev_serves: ClassVar[str]
    test_share: ClassVar[float]

    source: Mapping[str, Any]
    format: str = "auto"
    options: Mapping[str, Any] = {}
    encoding: Encoding | tuple[Encoding, ...] | None = None
    split: Shares = Shares()

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
            raise ValueError(f"split.dev: must be above 0, {self.dev_serves} rest on dev")
        return self

    def shares(self) -> dict[str, float]:
        """The share of each split that is cut out of the (train) source, train among them."""
        given = by_split(self.source)
        default = {"dev": DEFAULT_SHARE, "test": self.test_share if "" in given else 0.0}
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
