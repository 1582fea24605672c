"""Prompts: from a corpus's documents, from a file, or as they stand in a plan.

A prompt of a corpus is the beginning of a passage, and what stands there next is what people wrote
to it. Where enough documents are long enough, each gives its own beginning; else the documents are
cut into passages that don't overlap, each beginning with a line, and those with the smallest hashes
are taken: the same every time, and no other corpus changes which.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gradus.errors import DataError
from gradus.records import Record
from gradus.writing.records import prompt_mark

if TYPE_CHECKING:
    from gradus.data.corpora import Documents

NUMBER: Final = 60
CHARACTERS: Final = 200
THEN: Final = 400
_LAST_WORD = re.compile(r"\s+\S*$")
_LINE = re.compile(r"\n\s*(?=\S)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt(Record):
    """What writers are given.

    Attributes:
        text: the prompt.
        human: what people wrote to it; None where that isn't known.
        source: what names and numbers of a text must agree with, beside the prompt; None for none.
    """

    text: str
    human: str | None = None
    source: str | None = None


class PromptsConfig(BaseModel):
    """Where prompts come from: a corpus, a file, or the plan itself.

    A list of strings stands for `texts`.

    Attributes:
        corpus: a corpus of the plan; its documents' beginnings, or passages of them, are prompts.
        split: of the corpus; ``test`` is read by `evaluate` alone.
        number: so many prompts; of a corpus 60 when left out, else all.
        characters: length of a prompt of a corpus, at most; cut between words where there are any.
        then: characters that every text is cut to, people's as well, so that lengths are alike; of
            a corpus 400 when left out, else texts are left as they are.
        file: JSON lines with the fields prompt and, where they are known, human and source.
        texts: the prompts themselves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: str | None = None
    split: Literal["dev.gate", "dev.select", "train"] = "dev.gate"
    number: Annotated[int, Field(ge=1)] | None = None
    characters: Annotated[int, Field(ge=1)] | None = None
    then: Annotated[int, Field(ge=1)] | None = None
    file: str | None = None
    texts: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_list(cls, raw: Any) -> Any:
        return {"texts": raw} if isinstance(raw, list) else raw

    @model_validator(mode="after")
    def _one_of_three(self) -> PromptsConfig:
        given = [name for name in ("corpus", "file", "texts") if getattr(self, name) is not None]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise ValueError(f"name one of corpus, file and texts (here: {said})")
        if self.corpus is None and self.characters is not None:
            raise ValueError("characters is the length of a corpus's prompts; leave it out")
        if self.texts is not None:
            _check_texts(self.texts)
        return self

    @property
    def human(self) -> bool | None:
        """Whether people's texts are known; None where only the file tells."""
        return None if self.file is not None else self.corpus is not None

    @property
    def longest(self) -> int | None:
        """Characters that texts are cut to; None where they are left as they are."""
        return THEN if self.then is None and self.corpus is not None else self.then


def _check_texts(texts: Sequence[str]) -> None:
    if not texts:
        raise ValueError("no prompt is given")
    if any(not text.strip() for text in texts):
        raise ValueError("a prompt is empty")
    twice = [text for i, text in enumerate(texts) if text in texts[:i]]
    if twice:
        raise ValueError(
            f"a prompt stands there twice ({twice[0][:40]!r}); several texts to each "
            "prompt are asked for with 'each'"
        )


def given(config: PromptsConfig, folder: Path) -> tuple[Prompt, ...]:
    """The prompts of a file or of the plan itself; relative paths are relative to `folder`.

    Raises:
        DataError: a line of the file is broken; names file, line and field.
    """
    if config.texts is not None:
        found = [Prompt(text=text) for text in config.texts]
    else:
        assert config.file is not None, "a corpus's prompts are taken from its documents"
        found = read_prompts(folder / config.file)
    return tuple(_cut_human(one, config.longest) for one in found[: config.number])


def _cut_human(prompt: Prompt, longest: int | None) -> Prompt:
    if prompt.human is None or longest is None:
        return prompt
    return Prompt(text=prompt.text, human=cut(prompt.human, longest), source=prompt.source)


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a file of JSON lines with the fields prompt, human and source.

    Raises:
        DataError: the file can't be read, holds no prompt, or a line is broken or stands there
            twice; names file, line and field.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't be read ({error})", file=path) from error
    found: list[Prompt] = []
    first: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        prompt = _parse(line, path, number)
        before = first.setdefault(prompt.text, number)
        if before != number:
            raise DataError(
                f"the same prompt stands in line {before:,}: several texts to each prompt are "
                "asked for with 'each'",
                file=path,
                line=number,
                field="prompt",
            )
        found.append(prompt)
    if not found:
        raise DataError("holds no prompt", file=path)
    return found


def _parse(line: str, path: Path, number: int) -> Prompt:
    where: dict[str, Any] = {"file": path, "line": number}
    try:
        raw = json.loads(line)
    except ValueError as error:
        raise DataError(f"not valid JSON ({error})", **where) from error
    if not isinstance(raw, dict):
        raise DataError('not a JSON object, such as {"prompt": "Once upon a time"}', **where)
    for name, value in raw.items():
        if name not in ("prompt", "human", "source"):
            raise DataError(
                "isn't a field of a prompt: prompt, human and source are", **where, field=name
            )
        if not isinstance(value, str) and not (value is None and name != "prompt"):
            raise DataError("should be a string", **where, field=name)
    if not raw.get("prompt", "").strip():
        raise DataError("is missing or empty", **where, field="prompt")
    return Prompt(text=raw["prompt"], human=raw.get("human"), source=raw.get("source"))


def of_documents(config: PromptsConfig, documents: Documents) -> tuple[Prompt, ...]:
    """Prompts from the documents of one split of a corpus, with what stands there next.

    Raises:
        DataError: no document is long enough for a prompt and what follows it.
    """
    number = config.number or NUMBER
    characters, then = config.characters or CHARACTERS, config.longest or THEN
    found: dict[str, Prompt] = {}
    for text in documents.texts():  # their order is one of chance
        body = text.lstrip()
        if len(body) >= characters + then:
            _add(found, _prompt(body, characters, then))
        if len(found) == number:
            return tuple(found.values())
    passages = heapq.nsmallest(
        2 * number,  # what begins alike is one prompt
        ((hashlib.sha256(p.encode()).hexdigest(), p) for p in _all(documents, characters + then)),
    )
    found = {}
    for _, passage in passages:
        if len(found) < number:
            _add(found, _prompt(passage, characters, then))
    if not found:
        raise DataError(
            f"no document of {config.corpus}.{config.split} has {characters + then:,} characters: "
            "ask for fewer in 'characters' and 'then'"
        )
    return tuple(found.values())


def _all(documents: Documents, size: int) -> Iterator[str]:
    """Passages of `size` characters that begin with a line and don't overlap."""
    for text in documents.texts():
        start = len(text) - len(text.lstrip())
        while start + size <= len(text):
            yield text[start : start + size]
            line = _LINE.search(text, start + size - 1)
            if line is None:
                break
            start = line.end()


def _prompt(passage: str, characters: int, then: int) -> Prompt:
    text = cut(passage, characters)
    return Prompt(text=text, human=cut(passage[len(text) :], then))


def _add(found: dict[str, Prompt], prompt: Prompt) -> None:
    found.setdefault(prompt_mark(prompt.text), prompt)


def cut(text: str, most: int) -> str:
    """The beginning of a text, at most so long, not within a word where that costs little.

    A text that is whole stays as it is. Space before the cut goes. Where the last word would take a
    quarter of what is left, or words aren't written apart, the cut is where the length ends.

    >>> cut("To be, or not to be", 12)
    'To be, or'
    >>> cut("春江潮水连海平", 4)
    '春江潮水'
    """
    if len(text) <= most:
        return text
    head = text[:most]
    if text[most].isspace():
        return head.rstrip() or head
    last = _LAST_WORD.search(head)
    if last is not None and last.start() >= 0.75 * most:
        return head[: last.start()]
    return head


def digest(prompts: Sequence[Prompt]) -> str:
    """SHA-256 (hex) over the prompts with what belongs to them."""
    rows: list[Mapping[str, Any]] = [prompt.to_json() for prompt in prompts]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
