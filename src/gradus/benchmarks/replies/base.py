"""What benchmarks on files share that have the model write a reply to each prompt."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.benchmarks.texts import Document, TextBenchmark
from gradus.data.formats.base import Tally
from gradus.data.formats.files import decode_lines, decode_whole
from gradus.data.formats.jsonl import parse_object
from gradus.data.splits import content_id
from gradus.data.values import json_kind
from gradus.errors import DataError
from gradus.records import Target
from gradus.sources.base import require

if TYPE_CHECKING:
    from gradus.generation.decoding import Decoding
    from gradus.metrics.replies import Replies
    from gradus.scoring.records import Engine, Progress


class ReplyBenchmark(TextBenchmark):
    """Base of the benchmarks whose items are replies.

    A document's fields are ``prompt`` (a string, or a `Cut`) and ``references``.

    Class attributes, beside those of `TextBenchmark`:
        format: the prompt's form, in words; part of the contract.
    """

    kind: ClassVar[Target] = "reply"
    format: ClassVar[str]

    @classmethod
    @abstractmethod
    def decoding(cls, config: Any) -> Decoding:
        """How replies are written."""

    @classmethod
    def finished(cls, text: str) -> str:
        """What of the written text is the reply."""
        return text.strip()

    @classmethod
    def ask(
        cls,
        config: Any,
        documents: Sequence[Document],
        engine: Engine,
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> Replies:
        """See `TextBenchmark.ask`."""
        from gradus.metrics.replies import Replies

        texts = engine.generate_all(
            [document.fields["prompt"] for document in documents],
            settings=cls.decoding(config),
            journal=journal,
            progress=progress,
        )
        return Replies(
            tuple(cls.finished(text) for text in texts),
            tuple(tuple(document.fields["references"]) for document in documents),
            tuple(document.id for document in documents),
        )

    @classmethod
    def form(cls, config: Any) -> str:
        """The prompt's form with what the config says of it."""
        return cls.format

    @classmethod
    def terms(cls, config: Any, engine: Engine) -> dict[str, str]:
        """Format, decoding and, where it isn't the engine's own, what writes."""
        from gradus.generation import backend_of

        found = {"format": cls.form(config), "decoding": cls.decoding(config).said}
        ref = getattr(engine, "ref", None)
        if ref is not None and backend_of(ref) == "llama.cpp":
            found |= {"backend": "llama.cpp", "dtype": "as stored"}
        return found


def document(prompt: str, references: Sequence[str], shown: str) -> Document:
    """A document whose id is the content hash of its prompt.

    `shown` is what a reader sees of it.
    """
    fields = {"prompt": prompt, "references": tuple(references)}
    return Document(content_id(str(prompt)), shown, fields)


def records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line (from 1) and object of a file of JSON lines; blank lines are passed over.

    Raises:
        SourceError: there is no such file.
        DataError: a line isn't a JSON object, the file isn't UTF-8, or it holds nothing.
    """
    require(path, "the file")
    found = False
    for number, line in enumerate(decode_lines(path, ("utf-8",), Tally()), start=1):
        if not line.isspace():
            found = True
            yield number, parse_object(line, path, number)
    if not found:
        raise DataError("the file has blank lines only", file=path)


def lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file without their ends.

    Raises:
        SourceError: there is no such file.
        DataError: a line is blank, or the file is empty or isn't UTF-8.
    """
    require(path, "the file")
    found = []
    for number, line in enumerate(decode_lines(path, ("utf-8",), Tally()), start=1):
        if line.isspace():
            raise DataError(
                "the line is blank: both files must have one sentence on each line",
                file=path,
                line=number,
            )
        found.append(line.strip())
    return found


def whole(path: Path) -> dict[str, Any]:
    """The JSON object that a file is.

    Raises:
        SourceError: there is no such file.
        DataError: the file ends early, or isn't one JSON object.
    """
    import json

    require(path, "the file")
    text = decode_whole(path, ("utf-8",), Tally())
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        early = "the file ends early" if error.pos >= len(text.rstrip()) else error.msg
        raise DataError(
            f"not valid JSON: {early}; get the file again", file=path, line=error.lineno
        ) from error
    except (ValueError, RecursionError) as error:  # a number too long, nesting too deep
        raise DataError(f"not readable JSON: {error}", file=path) from error
    if not isinstance(found, dict):
        raise DataError(f"must be a JSON object, is {json_kind(found)}", file=path, line=1)
    return found


class Reader:
    """Fields of nested records, with the place of each in messages.

    ``Reader(path, record, 3)["answers"]`` is checked by the method that takes it.
    """

    def __init__(
        self, file: Path, fields: Mapping[str, Any], *, line: int | None = None, at: str = ""
    ) -> None:
        """`at` is the path to the record within its document, as ``data[0]``."""
        self.file, self.fields, self.line, self.at = file, fields, line, at

    def fault(self, name: str, message: str) -> DataError:
        """The error for a field."""
        field = f"{self.at}.{name}" if self.at else name
        return DataError(message, file=self.file, line=self.line, field=field)

    def _get(self, name: str, kind: type, called: str) -> Any:
        if name not in self.fields:
            raise self.fault(name, f"is missing; there are {', '.join(self.fields) or 'none'}")
        value = self.fields[name]
        if not isinstance(value, kind):
            raise self.fault(name, f"must be {called}, is {json_kind(value)}")
        return value

    def text(self, name: str, *, empty: bool = False) -> str:
        """A string, with something in it unless `empty`."""
        found: str = self._get(name, str, "a string")
        if not empty and not found.strip():
            raise self.fault(name, "is empty")
        return found

    def texts(self, name: str) -> list[str]:
        """A list of at least one string, none of them empty."""
        found: list[Any] = self._get(name, list, "a list of strings")
        if not found:
            raise self.fault(name, "is an empty list")
        for place, value in enumerate(found):
            if not isinstance(value, str) or not value.strip():
                what = "is empty" if isinstance(value, str) else f"is {json_kind(value)}"
                raise self.fault(f"{name}[{place}]", f"must be a string, {what}")
        return found

    def each(self, name: str) -> list[Reader]:
        """The objects of a list."""
        found: list[Any] = self._get(name, list, "a list")
        return [self._inner(f"{name}[{place}]", value) for place, value in enumerate(found)]

    def inner(self, name: str) -> Reader:
        """An object."""
        return self._inner(name, self._get(name, dict, "an object"))

    def _inner(self, name: str, value: Any) -> Reader:
        if not isinstance(value, dict):
            raise self.fault(name, f"must be an object, is {json_kind(value)}")
        at = f"{self.at}.{name}" if self.at else name
        return Reader(self.file, value, line=self.line, at=at)
