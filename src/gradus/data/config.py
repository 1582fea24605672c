"""What a plan says about one data set."""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from gradus import registry, sources
from gradus.data.conversations import check_prompt
from gradus.data.fields import ColumnsConfig, DataPart, FilterConfig
from gradus.errors import UnknownName, unknown
from gradus.records import Labelled, Target

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


class SplitConfig(DataPart):
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


class DataConfig(DataPart):
    """One entry of a plan's ``data``.

    Attributes:
        source: one source, or sources by split: ``{train: …, test: …}`` with dev if there is one.
        format: a format of the catalog; ``auto`` goes by the file's suffix, a folder is `folders`.
        options: the format's own options.
        target: what texts are labelled with: one ``label``, any number of ``labels``, a
            ``number``, ``spans`` of characters, or the ``reply`` that a language model shall write.
            Left out, what the format implies, else a label.
        prompt: with ``target: reply``, how a text is put to the model, as "Sum up: {text}";
            ``{text:.600}`` keeps its first 600 characters.
        columns: which fields hold text and label.
        filter: which rows are left out.
        sample: a share of each source's texts, or a number of them, by content hash.
        duplicates: ``drop`` leaves out exact copies of a text; ``keep`` keeps them within their
            split, as published figures on given splits want it. Either way no text of test is in
            dev or train, and none of dev in train.
        encoding: one encoding, or several to be tried in order for each file. Left out, UTF-8;
            the format may allow stray files in another.
        labels: the labels in the order of the outputs; left out, sorted by name.
        split: shares.
        dev: ``halves`` (select and gate apart) or ``joined`` (verdicts are then optimistic).
        limit: at most so many distinct texts of each source, those with the least content hash.
        audit: whether a run looks for near-duplicates across splits, conflicting labels and drift.
        gates: conditions on the measurements of the data themselves.
    """

    source: Mapping[str, Any]
    format: str = "auto"
    options: Mapping[str, Any] = {}
    target: Labelled = "label"
    prompt: Annotated[str, AfterValidator(check_prompt)] | None = None
    columns: ColumnsConfig = ColumnsConfig()
    filter: FilterConfig = FilterConfig()
    sample: Annotated[float, Field(gt=0, lt=1)] | PositiveInt | None = None
    duplicates: Literal["drop", "keep"] = "drop"
    encoding: Encoding | tuple[Encoding, ...] | None = None
    labels: tuple[str, ...] | None = None
    split: SplitConfig = SplitConfig()
    dev: Literal["halves", "joined"] = "halves"
    limit: PositiveInt | None = None
    audit: bool = True
    gates: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _imply_target(cls, raw: Any) -> Any:
        """Where the plan says no target, the format's own; the resolved plan has it written."""
        if isinstance(raw, Mapping) and "target" not in raw and raw.get("source"):
            implied = _implied(str(raw.get("format", "auto")), raw["source"])
            return {**raw, "target": implied} if implied else raw
        return raw

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
        if labels is not None and (len(set(labels)) != len(labels) or not labels):
            raise ValueError("must be labels, each once")
        return labels

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        target = self.target
        if target == "label" and self.labels is not None and len(self.labels) < 2:
            raise ValueError("labels: must be at least two")
        if target in ("number", "reply") and self.labels is not None:
            raise ValueError(f"labels: a {target} has none, drop them or 'target: {target}'")
        if target != "reply" and self.prompt is not None:
            raise ValueError(f"prompt: asks for a reply, and this is 'target: {target}'")
        if target in ("number", "reply") and self.filter.drop_labels:
            raise ValueError(f"filter.drop_labels: a {target} has no labels")
        if target != "labels" and self.columns.separator is not None:
            raise ValueError("columns.separator: only 'target: labels' has several in a string")
        if target != "label" and self.columns.bins is not None:
            raise ValueError(f"columns.bins: makes one label of a number, this is '{target}'")
        if target == "spans" and len(self.columns.texts()) == 2:
            raise ValueError("columns.text: spans are marked in one text, not in a pair")
        if self.format != "auto":
            options_of(registry.load("formats", self.format), self.options, target)
        return self

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        stratify, group = self.split.stratify, self.columns.group is not None
        if stratify and self.target in ("number", "spans", "reply"):
            raise ValueError(
                f"split.stratify: needs 'target: label' or labels, this is '{self.target}'"
            )
        if stratify and group:
            raise ValueError("split.stratify: quotas would tear groups apart: drop it or the group")
        if self.duplicates == "keep" and (stratify or group):
            raise ValueError(
                "duplicates: copies can be kept only where splits go by content: drop "
                f"'{'split.stratify' if stratify else 'columns.group'}'"
            )
        if isinstance(self.sample, int) and self.limit is not None:
            raise ValueError("limit: 'sample' is a number of texts already: drop one")
        return self

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


def options_of(kind: Any, options: Mapping[str, Any], target: Target) -> Any:
    """A format's options, typed.

    Raises:
        ValueError: an option isn't known or wrong, or the format gives another target.
    """
    if kind.implies not in (None, target):
        raise ValueError(f"target: the format {kind.name} gives {kind.implies}, not '{target}'")
    try:
        return kind.Config.model_validate(dict(options))
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"])
            if fault["type"] == "extra_forbidden":
                faults.append(
                    unknown(f"option of the format {kind.name}", name, kind.Config.model_fields)
                )
            else:
                faults.append(f"{name}: {fault['msg'].removeprefix('Value error, ')}")
        raise ValueError(f"options: {'; '.join(faults)}") from error


def _implied(format_name: str, source: Any) -> Target | None:
    """The target that a format, or a file's suffix, has of itself."""
    try:
        if format_name != "auto":
            found: Target | None = registry.load("formats", format_name).implies
            return found
    except UnknownName:
        return None  # told by the check of the format itself
    specs = by_split(source).values() if isinstance(source, Mapping) else ()
    suffixes = {
        suffix.lower()
        for spec in specs
        if isinstance(spec, Mapping)
        for file in (spec.get("file"), *_listed(spec.get("files")))
        if isinstance(file, str)
        for suffix in PurePath(file).suffixes[-2:]
    }
    for name in registry.names("formats"):
        kind = registry.load("formats", name)
        if kind.implies and suffixes & set(kind.suffixes):
            implied: Target = kind.implies
            return implied
    return None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_by_split(source: Mapping[str, Any]) -> bool:
    return any(key in source for key in GIVEN)
