"""Benchmarks that read a published file and ask a language model about it.

One file holds one benchmark: where its data come from, how they are read, what is asked, and which
metrics belong to the answers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from gradus.benchmarks.base import Benchmark
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.metrics.base import Items
    from gradus.scoring.records import Engine, Progress


class TextBenchmarkConfig(BaseModel):
    """What every benchmark on a file takes.

    Attributes:
        path: the file or folder, in the published format.
        limit: only the first so many documents; all when left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    limit: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One item of a benchmark.

    Attributes:
        id: content hash (hex, `gradus.data.rows` has the function); equal items get equal ids.
        text: what a reader is shown of it.
        fields: whatever `observe` needs.
    """

    id: str
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)


class TextBenchmark(Benchmark):
    """Base of the benchmarks on published files.

    Class attributes, beside those of `Benchmark`:
        Config: its typed config; a plan's and the command line's keys.
        kind: what is observed, which decides the class of items (`gradus.benchmarks.of`).
        origin: where the file is published, a URL or a citation.
        licence: as published.
        sha256: digest -> what that file is, for files whose digest is public knowledge.
        chance: the first compared metric's value for a model that knows nothing; None where that
            isn't defined.
        published: metric -> column of `gradus.benchmarks.suite.published`, for figures beside our
            own.
    """

    Config: ClassVar[type[TextBenchmarkConfig]] = TextBenchmarkConfig
    kind: ClassVar[Target]
    origin: ClassVar[str]
    licence: ClassVar[str]
    sha256: ClassVar[Mapping[str, str]] = {}
    chance: ClassVar[float | None] = None
    published: ClassVar[Mapping[str, str]] = {}

    @classmethod
    @abstractmethod
    def read(cls, config: Any, path: Path) -> Sequence[Document]:
        """The documents of the file at `path` (absolute), in its order, `limit` of them.

        Raises:
            DataError: the file isn't in the published format, or ends early; names file and line.
            SourceError: there is no such file.
        """

    @classmethod
    @abstractmethod
    def ask(
        cls,
        config: Any,
        documents: Sequence[Document],
        engine: Engine,
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> Items:
        """What the model says of every document, as items with the documents' ids."""

    @classmethod
    def terms(cls, config: Any, engine: Engine) -> dict[str, str]:
        """What belongs to the numbers' contract beside dtype, back end and tokenizer.

        As ``window``, ``stride``, ``bos``, ``detokeniser``, ``format``; values are strings.
        """
        return {}

    @classmethod
    def contract(cls, config: Any, engine: Engine, sha256: str) -> dict[str, str]:
        """The whole contract of numbers taken with `engine` on a file with that digest.

        `sha256` is empty for a benchmark that finds its own data.
        """
        limit = getattr(config, "limit", None)
        stated = {
            **engine.contract,
            **cls.terms(config, engine),
            "file": sha256,
            "limit": f"the first {limit}" if limit else "",
        }
        return {key: str(value) for key, value in stated.items() if value}
