"""Benchmarks on running text: how probable a corpus is, per word, character or byte.

A preset says how the text is cut into windows and what stands between its documents
(`gradus.benchmarks.presets`); single keys override it. Two ways of asking:

- documents apart: each is a text of its own, with windows of its own;
- joined: all are one text, through which the windows run, and the answer is parted again at the
  ends of the documents, or of blocks where a corpus has no documents.

An item is a document or block either way, so that intervals and paired tests have something to
resample, and its words, characters and bytes are those of the *published* text, whatever was done
to it before the model saw it.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import field_validator

from gradus.benchmarks import presets
from gradus.benchmarks.presets import Detokeniser, Preset
from gradus.benchmarks.suite.detokenisers import lm_eval_wikitext
from gradus.benchmarks.suite.files import Count, SuiteConfig
from gradus.benchmarks.suite.invertible import Convention
from gradus.benchmarks.texts import Document, TextBenchmark, TextBenchmarkConfig
from gradus.data.splits import content_id
from gradus.errors import UsageError
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.metrics.texts import Texts
    from gradus.scoring.records import Engine, Progress, Rolled

Words = Literal["tokens and line ends", "tokens", "lm-eval"]
"""What a canonical word is: a token of the published text and, where the literature counts one,
the end of each line; tokens alone; or what lm-evaluation-harness counts, the pieces between runs
of white space, empty ones at both ends of a document included."""

SEGMENT: Final = 10_000_000
"""Characters after which a joined text begins anew, so that memory stays bounded."""


class RunningConfig(SuiteConfig):
    """What benchmarks on running text take.

    Attributes:
        preset: what papers and tools mean, see `gradus.benchmarks.presets`; what follows
            overrides single settings of it.
        window: most tokens in one pass; at most the model's limit.
        stride: tokens from one window's beginning to the next.
        bos: whether each text is preceded by the beginning-of-text token.
        detokeniser: what is done to a corpus that was cut into words.
        documents: whether documents are scored each by itself or joined to one text.
        words: what word-level perplexity divides by.
    """

    preset: str = "gpt2-paper"
    window: Count | None = None
    stride: Count | None = None
    bos: bool | None = None
    detokeniser: Detokeniser | None = None
    documents: Literal["apart", "joined"] | None = None
    words: Words | None = None

    @field_validator("preset")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            presets.get(name)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return name


@dataclass(frozen=True, slots=True)
class Protocol:
    """A preset with what overrides it, for one benchmark.

    Attributes:
        preset: its name, and whether keys override it.
        window: most tokens in one pass; None for the model's limit.
        stride: tokens from window to window; None for the window.
        bos: whether a text is preceded by the beginning-of-text token.
        detokeniser: what is done to the published text.
        joined: what stands between documents; None where each is scored by itself.
        words: what a canonical word is.
    """

    preset: str
    window: int | None
    stride: int | None
    bos: bool
    detokeniser: Detokeniser
    joined: str | None
    words: Words

    def windows(self, limit: int | None) -> tuple[int | None, int | None]:
        """Window and stride for a model that takes `limit` tokens."""
        sizes = [size for size in (self.window, limit) if size is not None]
        window = min(sizes, default=None)
        stride = window if self.stride is None else self.stride
        if window is not None and stride is not None:
            stride = min(stride, window)
        return window, stride


class RunningText(TextBenchmark):
    """Base of the benchmarks on running text.

    Class attributes, beside those of `TextBenchmark`:
        convention: how the corpus was cut into words; None for ordinary text.
        layout: what the file consists of: ``documents``; ``lines`` of one text, taken in blocks;
            one ``text``, taken in blocks; or ``sentences`` that have nothing to do with one
            another and are always apart.
        line_ends: whether the literature counts the end of a line as a word.
    """

    Config: ClassVar[type[TextBenchmarkConfig]] = RunningConfig
    kind: ClassVar[Target] = "text"
    convention: ClassVar[Convention | None] = None
    layout: ClassVar[Literal["documents", "lines", "text", "sentences"]] = "documents"
    line_ends: ClassVar[bool] = True
    metrics: ClassVar[tuple[str, ...]] = (
        "word_perplexity",
        "token_perplexity",
        "bits_per_byte",
        "bits_per_character",
        "byte_perplexity",
        "log_likelihood_nats",
    )
    compared: ClassVar[tuple[str, ...]] = ("word_perplexity", "bits_per_byte")

    @classmethod
    def protocol_of(cls, config: RunningConfig) -> Protocol:
        """The preset with the single keys that override it."""
        preset = presets.get(config.preset)
        words = config.words or cls._words(preset)
        keys = ("window", "stride", "bos", "detokeniser", "documents", "words")
        changed = any(getattr(config, key) is not None for key in keys)
        detokeniser = config.detokeniser or preset.detokeniser
        if cls.convention is None:
            detokeniser = "none"
        return Protocol(
            preset=f"{preset.name}, changed" if changed else preset.name,
            window=config.window or preset.window,
            stride=config.stride or (None if config.window else preset.stride),
            bos=preset.bos if config.bos is None else config.bos,
            detokeniser=detokeniser,
            joined=cls._joined(preset, config.documents),
            words=words,
        )

    @classmethod
    def _words(cls, preset: Preset) -> Words:
        if preset.name == "lm-eval" and cls.layout == "documents":
            return "lm-eval"
        return "tokens and line ends" if cls.line_ends else "tokens"

    @classmethod
    def _joined(cls, preset: Preset, documents: str | None) -> str | None:
        if cls.layout == "sentences":
            return None
        if cls.layout == "text":
            return ""
        if cls.layout == "lines" or documents == "joined":
            return preset.joined or ""
        return None if documents == "apart" else preset.joined

    @classmethod
    @abstractmethod
    def documents(cls, config: Any, path: Path) -> Sequence[str]:
        """The published texts of the documents or blocks, line ends included."""

    @classmethod
    def read(cls, config: Any, path: Path) -> Sequence[Document]:
        """See `TextBenchmark.read`; `fields` are the text that is scored and its counts."""
        protocol = cls.protocol_of(config)
        found = cls.published_text(cls.documents(config, path), protocol)[: config.limit]
        return [cls._document(text, protocol) for text in found]

    @classmethod
    def published_text(cls, texts: Sequence[str], protocol: Protocol) -> Sequence[str]:
        """The published texts under a protocol: all of them as they are."""
        return texts

    @classmethod
    def _document(cls, text: str, protocol: Protocol) -> Document:
        fields = {
            "scored": cls.scored(text, protocol),
            "words": count_words(text, protocol.words),
            "characters": len(text),
            "bytes": len(text.encode("utf-8")),
        }
        return Document(content_id(text), text, fields)

    @classmethod
    def scored(cls, text: str, protocol: Protocol) -> str:
        """What the model sees of a document's published text."""
        if protocol.detokeniser == "lm-eval":
            return lm_eval_wikitext(text)
        if protocol.detokeniser == "invertible" and cls.convention is not None:
            text = cls.convention.detokenise(text)
        if not protocol.joined:
            return text
        return protocol.joined.join(cls.rows(text))

    @classmethod
    def rows(cls, text: str) -> list[str]:
        """The rows of a document that a preset joins with something of its own between."""
        return text.removesuffix("\n").split("\n")

    @classmethod
    def ask(
        cls,
        config: Any,
        documents: Sequence[Document],
        engine: Engine,
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> Texts:
        """See `TextBenchmark.ask`."""
        protocol = cls.protocol_of(config)
        window, stride = protocol.windows(engine.limit)
        texts = [str(document.fields["scored"]) for document in documents]
        if protocol.joined is None:
            rolled = engine.rolling_all(
                texts,
                window=window,
                stride=stride,
                bos=protocol.bos,
                journal=journal,
                progress=progress,
            )
        else:
            whole, ends = joined(texts, protocol.joined)
            parted = engine.rolling_parts(
                whole,
                ends,
                window=window,
                stride=stride,
                bos=protocol.bos,
                journal=journal,
                progress=progress,
            )
            rolled = [part for one in parted for part in one]
        return _items(documents, rolled)

    @classmethod
    def terms(cls, config: Any, engine: Engine) -> dict[str, str]:
        """See `TextBenchmark.terms`."""
        protocol = cls.protocol_of(config)
        window, stride = protocol.windows(engine.limit)
        detokeniser: str = protocol.detokeniser
        if detokeniser == "invertible" and cls.convention is not None:
            detokeniser = f"invertible ({cls.convention.name})"
        apart = "sentences apart" if cls.layout == "sentences" else "documents apart"
        return {
            "preset": protocol.preset,
            "window": "unlimited" if window is None else str(window),
            "stride": "unlimited" if stride is None else str(stride),
            "bos": "yes" if protocol.bos else "no",
            "detokeniser": detokeniser,
            "joined": apart if protocol.joined is None else repr(protocol.joined),
            "words": protocol.words,
            **cls.own_terms(config),
        }

    @classmethod
    def own_terms(cls, config: Any) -> dict[str, str]:
        """What a benchmark adds to the contract; the file itself stands there by its digest."""
        return {}


def count_words(text: str, convention: Words) -> int:
    r"""Canonical words of a published text.

    >>> [count_words(" a b \n \n", words) for words in ("tokens and line ends", "tokens")]
    [4, 2]
    >>> count_words(" a b \n \n", "lm-eval")
    4
    """
    if convention == "lm-eval":
        return len(re.split(r"\s+", text))
    words = len(text.split())
    return words + text.count("\n") if convention == "tokens and line ends" else words


def joined(texts: Sequence[str], between: str) -> tuple[list[str], list[list[int]]]:
    """Texts as few long ones of `SEGMENT` characters or a little more, and where each ends in them.

    >>> joined(["ab", "c"], "|")
    (['ab|c'], [[3, 4]])
    """
    whole, ends = [], []
    parts: list[str] = []
    places: list[int] = []
    size = 0
    for place, text in enumerate(texts):
        last = place + 1 == len(texts) or size + len(text) >= SEGMENT
        parts.append(text if last else text + between)
        size += len(parts[-1])
        places.append(size)
        if last:
            whole.append("".join(parts))
            ends.append(places)
            parts, places, size = [], [], 0
    return whole, ends


def blocks(text: str, size: int, *, after: str) -> list[str]:
    r"""A text in stretches of `size` characters or more, each up to and with the next `after`.

    >>> blocks("a bc d ef", 3, after=" ")
    ['a bc ', 'd ef']
    """
    found, start = [], 0
    while start < len(text):
        end = text.find(after, start + size - 1)
        end = len(text) if end < 0 else end + len(after)
        found.append(text[start:end])
        start = end
    return found


def _items(documents: Sequence[Document], rolled: Sequence[Rolled]) -> Texts:
    import numpy as np

    from gradus.metrics.texts import Texts

    def counts(name: str) -> np.ndarray:
        return np.asarray([document.fields[name] for document in documents], np.int64)

    return Texts(
        nats=np.asarray([one.nats for one in rolled], np.float64),
        tokens=np.asarray([one.tokens for one in rolled], np.int64),
        words=counts("words"),
        characters=counts("characters"),
        bytes=counts("bytes"),
        ids=tuple(document.id for document in documents),
    )
