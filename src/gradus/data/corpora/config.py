"""What a plan says about one corpus."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from gradus import registry
from gradus.data.config import options_of
from gradus.data.fields import DataPart
from gradus.data.given import GivenConfig


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


class CorpusConfig(GivenConfig):
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

    dev_serves: ClassVar[str] = "validation and gates"
    test_share: ClassVar[float] = 0.0

    columns: CorpusColumns = CorpusColumns()
    exclude: tuple[str, ...] = ()
    clean: CleanConfig = CleanConfig()
    limit: PositiveInt | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.format != "auto":
            kind = registry.load("formats", self.format)
            options_of(kind, self.options, kind.implies or "label")
        if self.clean.min_score is not None and self.columns.score is None:
            raise ValueError("clean.min_score: name the score's field with 'columns: {score: …}'")
        return self
