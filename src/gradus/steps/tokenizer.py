"""Step `tokenizer`: make a tokenizer from a corpus."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self

from pydantic import Field, model_validator

from gradus.data.tokenizer.recipe import Form, Kind, Recipe, Split, complete
from gradus.errors import DataError
from gradus.steps.base import Made, Needs, Step, StepConfig, StepContext, StepOutcome

if TYPE_CHECKING:
    from gradus.data.corpora import Documents
    from gradus.data.tokenizer.examine import Examined

EXAMINED: Final = 20_000_000
"""Bytes of each corpus's dev.select that a tokenizer is looked at with."""


class TokenizerConfig(StepConfig):
    """Config of `tokenizer`.

    Attributes:
        corpus: the corpus to learn from, or several, of which each is read in full (up to
            `sample_bytes`); a language that should count for more needs more text.
        kind: ``byte-bpe``, ``unigram``, ``wordpiece``, ``characters`` or ``bytes``.
        vocabulary: most tokens, special ones included.
        special: special tokens; left out: what is usual for the kind (``<|endoftext|>``, or
            BERT's five with ``wordpiece``). Names in use, as ``</s>`` or ``[MASK]``, get their
            usual roles.
        split: ``byte-bpe`` only: by which pattern a text is cut beforehand, ``gpt-2`` or ``gpt-4``.
        unicode: normalisation before anything else; left out, texts stay as they are.
        lowercase: leave capitals out, and with ``wordpiece`` accents.
        min_count: rarer pieces aren't made (``byte-bpe``, ``wordpiece``).
        coverage: share of all characters that shall have a token of their own (``unigram``,
            ``wordpiece``, ``characters``).
        sample_bytes: at most so much of each corpus, a random sample of its documents.
    """

    corpus: str | Annotated[tuple[str, ...], Field(min_length=1)]
    kind: Kind = "byte-bpe"
    vocabulary: Annotated[int, Field(ge=2, le=1_000_000)] = 4096
    special: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    split: Split = "gpt-2"
    unicode: Form | None = None
    lowercase: bool = False
    min_count: Annotated[int, Field(ge=1)] = 2
    coverage: Annotated[float, Field(gt=0, le=1)] = 0.9995
    sample_bytes: Annotated[int, Field(ge=1)] = 200_000_000

    @model_validator(mode="after")
    def _fits(self) -> Self:
        special = self.special or ()
        twice = sorted({one for one in special if special.count(one) > 1})
        if twice:
            raise ValueError(f"special names {twice[0]} twice")
        least = self.recipe().least
        if self.kind != "bytes" and self.vocabulary < least:
            raise ValueError(
                f"a vocabulary of {self.vocabulary} is too small for {self.kind}: its fixed tokens "
                f"and one piece are {least}"
            )
        names = self.names()
        if len(set(names)) < len(names):
            raise ValueError("corpus names one corpus twice")
        return self

    def names(self) -> tuple[str, ...]:
        """The corpora."""
        return (self.corpus,) if isinstance(self.corpus, str) else self.corpus

    def recipe(self) -> Recipe:
        """How the tokenizer is made, without what it is made from."""
        return Recipe(
            kind=self.kind,
            vocabulary=self.vocabulary,
            special=complete(self.kind, self.special),
            split=self.split,
            form=self.unicode,
            lowercase=self.lowercase,
            min_count=self.min_count,
            coverage=self.coverage,
        )


class Tokenizer(Step):
    """Train a tokenizer on the train split of a corpus.

    The same documents give the same tokenizer. What it does to dev.select, by language, is in the
    facts: bytes a token, coverage, tokens that are parts of a character, texts that decoding gives
    back unchanged. Steps name it by its id wherever a tokenizer may be named.
    """

    Config: ClassVar[type[StepConfig]] = TokenizerConfig
    makes: ClassVar[Made] = "tokenizer"
    seeded: ClassVar[bool] = False
    summary: ClassVar[str] = "make a tokenizer from a corpus"
    example: ClassVar[str] = """\
id: tok
step: tokenizer
corpus: plays
kind: byte-bpe
vocabulary: 4096
special: ["<|endoftext|>"]
"""

    @classmethod
    def needs(cls, config: TokenizerConfig) -> Needs:
        """The corpora."""
        if isinstance(config.corpus, str):
            return Needs(corpora={"corpus": config.corpus})
        return Needs(corpora={f"corpus[{i}]": name for i, name in enumerate(config.corpus)})

    @classmethod
    def produces(cls, config: TokenizerConfig) -> frozenset[str]:
        """Nothing that a gate could ask for: tokenizers differ in unit, not in quality."""
        return frozenset()

    def run(self, config: TokenizerConfig, context: StepContext) -> StepOutcome:
        """Train, save, look at dev.select.

        Raises:
            DataError: the corpora have no document to learn from.
            StorageError: the checkpoint can't be written.
        """
        from gradus.checkpoints import save_checkpoint
        from gradus.data.tokenizer.folder import KIND, write
        from gradus.data.tokenizer.train import train

        context.monitor.rewind(0)
        start = time.perf_counter()
        recipe = config.recipe()
        reading = _Reading(config, context)
        made = train(reading.texts, recipe)
        held_out = _held_out(made, recipe, context)
        facts = {
            **_asked(recipe),
            "vocabulary": made.get_vocab_size(with_added_tokens=True),
            "trained_on": reading.facts,
            "held_out": list(held_out.rows),
            "used_on_held_out": held_out.used,
        }
        saved = save_checkpoint(
            context.out / "checkpoint",
            kind=KIND,
            labels=(),
            preprocessing={},
            parents=(),
            facts=facts,
            write=lambda folder: write(made, recipe, folder),
        )
        return StepOutcome(
            checkpoint=context.out / "checkpoint",
            measure=(),
            notes=tuple(_notes(recipe, facts)),
            facts={**facts, "digest": saved.digest},
            cost={"tokenizer_seconds": time.perf_counter() - start},
        )


class _Reading:
    """The texts to learn from; the same each time they are asked for.

    Attributes:
        facts: by corpus, documents and bytes of the sample, and of the whole train split.
    """

    def __init__(self, config: TokenizerConfig, context: StepContext) -> None:
        self._monitor = context.monitor
        self._parts: list[Documents] = []
        self.facts: dict[str, Mapping[str, int]] = {}
        for name in config.names():
            whole = context.corpora[name].splits["train"]
            part = first(whole, config.sample_bytes)
            self._parts.append(part)
            self.facts[name] = {
                "documents": len(part),
                "bytes": part.bytes,
                "of_documents": len(whole),
                "of_bytes": whole.bytes,
            }
        if not any(len(part) for part in self._parts):
            raise DataError(f"{', '.join(config.names())}: no document to learn from")

    def texts(self) -> Iterator[str]:
        """One text in memory at a time."""
        total = sum(part.bytes for part in self._parts)
        done = 0
        for part in self._parts:
            for text, size in zip(part.texts(), part.lengths().tolist(), strict=True):
                self._monitor.progress(done, total, "reading")
                yield text
                done += size


def first(documents: Documents, most: int) -> Documents:
    """The first documents, at least one, up to `most` bytes; they stand in an order of chance."""
    import numpy as np

    if documents.bytes <= most:
        return documents
    count = int(np.searchsorted(np.cumsum(documents.lengths()), most, side="right"))
    return documents[: max(1, count)]


def _held_out(made: Any, recipe: Recipe, context: StepContext) -> Examined:
    from gradus.data.tokenizer.examine import examine

    def texts() -> Iterator[tuple[str, str]]:
        for corpus in context.corpora.values():
            if "dev.select" in corpus.splits:
                for document in first(corpus.splits["dev.select"], EXAMINED):
                    yield document.text, document.language or "und"

    return examine(made, texts(), unknown=recipe.roles.get("unk_token"))


def _asked(recipe: Recipe) -> dict[str, Any]:
    return {
        "kind": recipe.kind,
        "asked": recipe.vocabulary,
        "special": list(recipe.special),
        "split": recipe.split if recipe.kind == "byte-bpe" else None,
        "unicode": recipe.form,
        "lowercase": recipe.lowercase,
    }


def _notes(recipe: Recipe, facts: Mapping[str, Any]) -> Iterator[str]:
    held_out = facts["held_out"]
    for row in held_out:
        if row["tokens"]:
            yield (
                f"{row['language']}: {row['bytes_per_token']:.2f} bytes a token, "
                f"{100 * row['coverage']:.2f} % of characters covered "
                f"({row['documents']:,} documents of dev.select)"
            )
    if recipe.kind != "bytes" and facts["vocabulary"] < recipe.vocabulary:
        yield (
            f"the corpus has pieces for {facts['vocabulary']:,} of the {recipe.vocabulary:,} "
            "tokens that were asked for"
        )
    lossless = held_out[-1]["lossless"] if held_out else None
    if lossless is not None and lossless < 1:
        yield (
            f"decoding gives {100 * lossless:.1f} % of the documents back unchanged: bits per "
            "byte flatter a model that needn't predict what its tokenizer loses"
        )
