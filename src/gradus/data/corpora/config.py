"""What a plan says about one corpus."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from gradus import registry, sources
from gradus.data.config import DEFAULT_SHARE, GIVEN, Encoding, Share, by_split, options_of
from gradus.data.fields import DataPart
from gradus.errors import UnknownName


class CorpusColumns(DataPart):
    """Which fields of a record hold what; dots lead inside nested records.

    Attributes:
        text: the document's text; left out, the field ``text``.
        domain: what results are broken down by, e.g. ``file`` of a text file, a site, a topic.
        language: the language's code; left out, it is told from the text.
        score: a number that `clean.min_score` asks for.
        group: the field whose value no two splits share, e.g. the work that a scene is from.
    """

    text: str | None = None
    domain: str | None = None
    language: str | None = None
    score: str | None = None
    group: str | None = None


class CleanConfig(DataPart):
    """What is done to documents, in this order; each leaves its counts in the corpus's facts.

    Attributes:
        unicode: the normal form that texts are brought to.
        min_score: least value of `columns.score`. WebText took pages with three karma or more
            (Radford et al. 2019, section 2.1).
        min_characters: fewest characters that a document may have.
        max_characters: most of them.
        languages: the languages that are kept, as codes such as ``en`` and ``zh``.
        repetition: share of repeated lines above which a document is dropped. At 0.3 these are
            the rules of Gopher (Rae et al. 2021, table A1), those on paragraphs and n-grams among
            them; another value scales all their thresholds alike.
        exact_duplicates: ``drop`` keeps one document of each content.
        near_duplicates: Jaccard similarity from which of two documents one is dropped.
    """

    unicode: Literal["NFC", "NFKC", "NFD", "NFKD"] | None = None
    min_score: Annotated[float, Field(allow_inf_nan=False)] | None = None
    min_characters: PositiveInt | None = None
    max_characters: PositiveInt | None = None
    languages: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    repetition: Annotated[float, Field(gt=0, le=1)] | None = None
    exact_duplicates: Literal["drop", "keep"] = "drop"
    near_duplicates: Annotated[float, Field(gt=0.3, le=1)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.min_characters, self.max_characters
        if low is not None and high is not None and low > high:
            raise ValueError(
                f"min_characters {low} is above max_characters {high}: nothing is left"
            )
        if self.near_duplicates is not None and self.exact_duplicates == "keep":
            raise ValueError("near_duplicates: drops exact ones too: drop 'exact_duplicates: keep'")
        return self


class CorpusSplit(DataPart):
    """Shares of the documents, by hash of their content, or of their group where one is named.

    Attributes:
        train: share to train on; left out, what the others leave.
        dev: share of both halves of dev together.
        test: share that `evaluate` alone reads; left out, none.
    """

    train: Share | None = None
    dev: Share | None = None
    test: Share | None = None


class CorpusConfig(DataPart):
    """One entry of a plan's ``corpora``.

    Attributes:
        source: one source, or sources by split: ``{train: …, test: …}`` with dev if there is one.
        format: a format of the catalog; ``auto`` goes by the file's suffix.
        options: the format's own options, e.g. ``{whole: true}`` for a document a file.
        columns: which fields hold what.
        exclude: patterns of file names that are left out, e.g. ``*_f.txt``.
        encoding: one encoding, or several to be tried in order for each file.
        clean: what is done to documents.
        split: shares.
        limit: at most so many documents, those with the least content hash.
    """

    source: Mapping[str, Any]
    format: str = "auto"
    options: Mapping[str, Any] = {}
    columns: CorpusColumns = CorpusColumns()
    exclude: tuple[str, ...] = ()
    encoding: Encoding | tuple[Encoding, ...] | None = None
    clean: CleanConfig = CleanConfig()
    split: CorpusSplit = CorpusSplit()
    limit: PositiveInt | None = None

    @field_validator("source")
    @classmethod
    def _check_source(cls, source: Mapping[str, Any]) -> Mapping[str, Any]:
        parts = by_split(source)
        faults = []
        for split, spec in parts.items():
            prefix = f"{split}: " if split else ""
            faults += [f"{prefix}{fault}" for fault in sources.check(spec, purpose="data")]
        if "" not in parts:
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

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.format != "auto":
            kind = registry.load("formats", self.format)
            options_of(kind, self.options, kind.implies or "label")
        if self.encoding == ():
            raise ValueError("encoding: names no encoding")
        if self.clean.min_score is not None and self.columns.score is None:
            raise ValueError("clean.min_score: name the score's field with 'columns: {score: …}'")
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
            raise ValueError("split.dev: must be above 0, validation and gates rest on dev")
        return self

    def shares(self) -> dict[str, float]:
        """The share of each split that is cut out of the (train) source, train among them."""
        given = by_split(self.source)
        default = {"dev": DEFAULT_SHARE, "test": 0.0}
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
