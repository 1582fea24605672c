"""What ``gradus overlap`` reads before the corpus: benchmarks, a filter, the corpus's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus.errors import DataError, UsageError

if TYPE_CHECKING:
    from gradus.benchmarks.named import Named
    from gradus.benchmarks.texts import TextBenchmark
    from gradus.data.overlap.bloom import Bloom
    from gradus.data.overlap.corpus import Corpus
    from gradus.data.overlap.index import Index

TEXTS: Final = "texts"


@dataclass(frozen=True, slots=True)
class Read:
    """A benchmark's items.

    Attributes:
        name: what it is called.
        kind: the benchmark; None for texts of the user's own.
        path: its file.
        ids: N content hashes.
        texts: N texts.
    """

    name: str
    kind: type[TextBenchmark] | None
    path: Path | None
    ids: tuple[str, ...]
    texts: tuple[str, ...]

    def index(self, *, n: int | None, most_documents: int | None) -> Index:
        """Its n-grams."""
        from gradus.data.overlap.index import Index

        return Index(self.texts, n=n, most_documents=most_documents)


def opened(paths: Sequence[Path], text: str, format: str | None) -> Corpus | None:
    """The corpus; None where none is given."""
    from gradus.data.overlap.corpus import Corpus

    return Corpus.of(paths, text=text, format=format) if paths else None


def held(
    path: Path | None,
    source: Corpus | None,
    capacity: int | None,
    rate: float | None,
    usual: int,
) -> tuple[Bloom | None, bool]:
    """The filter that is asked for, and whether it has yet to be made.

    Raises:
        UsageError: the file is of another corpus or has other settings; options without a file.
    """
    from gradus.data.overlap.bloom import RATE, Bloom

    if path is None:
        if capacity is not None or rate is not None:
            raise UsageError("--capacity and --false-positive-rate go with --filter FILE")
        return None, False
    if source is not None and not path.exists():
        if path.suffix == "" and str(path).endswith("/"):
            raise UsageError(f"--filter {path}: name a file")
        about = source.facts()
        return Bloom(capacity or usual, RATE if rate is None else rate, about=about), True
    made = Bloom.load(path)
    if source is not None and dict(made.about) != source.facts():
        raise UsageError(
            f"--filter {path}: was made of another corpus; leave --corpus out to use it, or name "
            "another file to make one"
        )
    if (capacity or made.capacity, rate or made.rate) != (made.capacity, made.rate):
        raise UsageError(
            f"--filter {path}: was made for {made.capacity:,} n-grams at {made.rate:g}: leave "
            "--capacity and --false-positive-rate out, or name another file"
        )
    return made, False


def benchmarks(given: Sequence[str]) -> list[Read]:
    """The items of every benchmark.

    Raises:
        UsageError: one has no such form, or stands twice.
        UnknownName: there is no such benchmark.
        DataError: a file isn't in its format.
    """
    from gradus.benchmarks import named
    from gradus.cli.evaluate import entry

    asked = [named.read(entry(text)) for text in given]
    double = named.twice(asked)
    if double is not None:
        raise UsageError(f"--benchmark {double} is given twice")
    return [_own(one) if one.kind == TEXTS else _published(one) for one in asked]


def _published(asked: Named) -> Read:
    from pydantic import ValidationError

    from gradus.benchmarks import named

    kind = asked.load()
    try:
        config = kind.Config.model_validate(dict(asked.options))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()]
        raise UsageError(f"--benchmark {asked.name}: {'; '.join(faults)}") from error
    path = named.place(config, Path.cwd())
    if path is not None:
        config = config.model_copy(update={"path": str(path)})
    documents = kind.read(config, path or Path())
    if not documents:
        raise DataError(f"holds nothing for {kind.name}", file=path)
    ids, texts = zip(*((one.id, one.text) for one in documents), strict=True)
    return Read(asked.name, kind, path, ids, texts)


def _own(asked: Named) -> Read:
    """Texts of a file in any format, a record or a line each."""
    from gradus.data.overlap.corpus import Corpus
    from gradus.data.splits import content_id

    options: dict[str, Any] = dict(asked.options)
    path = options.pop("path", None)
    field = options.pop("text", "text")
    if options or not isinstance(path, str) or not isinstance(field, str):
        raise UsageError(
            f"--benchmark {asked.name}: texts take path and, where records have fields, text, as "
            "in 'held-out={benchmark: texts, path: held-out.jsonl, text: body}'"
        )
    parts: dict[int, list[str]] = {}
    for piece in Corpus.of([Path(path)], text=field).pieces():
        if piece.text.strip():
            parts.setdefault(piece.document, []).append(piece.text)
    texts = tuple("".join(part) for part in parts.values())
    if not texts:
        raise DataError("holds no texts", file=path)
    return Read(asked.name, None, Path(path), tuple(map(content_id, texts)), texts)
