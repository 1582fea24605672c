"""What a plan says about one data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from gradus import registry
from gradus.data.conversations import check_prompt
from gradus.data.fields import ColumnsConfig, FilterConfig
from gradus.data.given import DEFAULT_SHARE, GivenConfig, Shares, by_split
from gradus.errors import UnknownName, unknown
from gradus.records import Labelled, Target


class SplitConfig(Shares):
    """Shares of the rows, or of the train source where other splits are given.

    Left out, dev has 0.1, test 0.1 (unless sources are given by split), train the rest. With
    `stratify` every label has its exact quota in each split, and the assignment is stored.

    Attributes:
        train: share of the texts to train on.
        dev: share of both halves of dev together.
        test: share of the texts that `evaluate` alone reads.
        stratify: exact label quotas instead of quotas in expectation.
    """

    stratify: bool = False


class DataConfig(GivenConfig):
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

    dev_serves: ClassVar[str] = "early stopping and gates"
    test_share: ClassVar[float] = DEFAULT_SHARE

    target: Labelled = "label"
    prompt: Annotated[str, AfterValidator(check_prompt)] | None = None
    columns: ColumnsConfig = ColumnsConfig()
    filter: FilterConfig = FilterConfig()
    sample: Annotated[float, Field(gt=0, lt=1)] | PositiveInt | None = None
    duplicates: Literal["drop", "keep"] = "drop"
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
