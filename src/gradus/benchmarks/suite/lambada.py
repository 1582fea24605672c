"""LAMBADA: the last word of a passage, which takes more than its last sentence to guess."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from gradus.benchmarks.suite.detokenisers import TREEBANK
from gradus.benchmarks.suite.files import SuiteConfig, check_split, lines_of, read_text
from gradus.benchmarks.suite.stop_words import DIGEST, STOP_WORDS, begins_answer, is_stop_word
from gradus.benchmarks.texts import Document, TextBenchmark, TextBenchmarkConfig
from gradus.data.splits import content_id
from gradus.errors import DataError
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.metrics.texts import Texts
    from gradus.scoring.records import Engine, Progress

OFFICIAL_PASSAGES: Final[Mapping[str, int]] = {"test": 5_153, "valid": 4_869}


class LambadaConfig(SuiteConfig):
    """What LAMBADA takes.

    Attributes:
        split: which file it must be; left out, whichever of the published ones it is.
        stop_words: judge the prediction among words that aren't stop words alone.
        detokeniser: what is done to a passage; left out, nothing to one of JSON lines, which is
            ordinary text, and what can be undone to one of the authors' plain text.
    """

    split: Literal["test", "valid"] | None = None
    stop_words: bool = False
    detokeniser: Literal["invertible", "none"] | None = None


class Lambada(TextBenchmark):
    """Would greedy decoding write the last word, and how probable is it?"""

    name: ClassVar[str] = "lambada.v1"
    summary: ClassVar[str] = "LAMBADA: the last word of a passage after all that comes before it"
    protocol: ClassVar[str] = (
        "The last word is what stands behind the last space; it is scored, its space included, "
        "after the passage before it. It counts as right when each of its tokens is the most "
        "probable one where it stands. With `stop_words` the first of them only has to be the "
        "most probable among tokens that begin a word which isn't a stop word, as the paper's "
        "filter wants the best word that isn't one; a target that is itself a stop word is "
        "wrong then. Its log-likelihood, and so the perplexity, is the same either way."
    )
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "target_perplexity", "log_likelihood_nats")
    compared: ClassVar[tuple[str, ...]] = ("accuracy", "target_perplexity")
    Config: ClassVar[type[TextBenchmarkConfig]] = LambadaConfig
    kind: ClassVar[Target] = "text"
    origin: ClassVar[str] = (
        "Paperno et al. 2016, The LAMBADA dataset; lambada_test.jsonl (plain text by the authors "
        "of GPT-2) of https://openaipublic.blob.core.windows.net/gpt-2/data/lambada_test.jsonl, "
        "or lambada_test_plain_text.txt of https://zenodo.org/record/2630551"
    )
    licence: ClassVar[str] = "CC BY 4.0"
    sha256: ClassVar[Mapping[str, str]] = {
        "4aa8d02cd17c719165fc8a7887fddd641f43fcafa4b1c806ca8abc31fabdb226": "test, JSON lines",
    }
    # Greedy decoding that knows nothing doesn't hit one word in a vocabulary.
    chance: ClassVar[float | None] = 0.0
    published: ClassVar[Mapping[str, str]] = {
        "accuracy": "lambada-accuracy",
        "target_perplexity": "lambada-perplexity",
    }

    @classmethod
    def read(cls, config: Any, path: Path) -> Sequence[Document]:
        """See `TextBenchmark.read`; `fields` are the context, the target and its word."""
        lines = lines_of(read_text(path), path)
        plain = not lines[0].lstrip().startswith("{")
        passages = [
            line if plain else _text(line, number, path)
            for number, line in enumerate(lines, start=1)
        ]
        check_split(
            len(passages),
            OFFICIAL_PASSAGES,
            config.split,
            "passages",
            "LAMBADA",
            whole=config.whole,
            path=path,
        )
        undo = config.detokeniser == "invertible" or (config.detokeniser is None and plain)
        return [
            _document(passage, number, path, undo=undo)
            for number, passage in enumerate(passages[: config.limit], start=1)
        ]

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
        import numpy as np

        from gradus.metrics.texts import Texts

        words = [str(document.fields["word"]) for document in documents]
        scored = engine.score_all(
            [(document.fields["context"], document.fields["target"]) for document in documents],
            rivals=begins_answer if config.stop_words else None,
            journal=journal,
            progress=progress,
        )
        barred = [config.stop_words and is_stop_word(word) for word in words]
        return Texts(
            nats=np.asarray([one.nats for one in scored], np.float64),
            tokens=np.asarray([one.tokens for one in scored], np.int64),
            words=np.ones(len(words), np.int64),
            characters=np.asarray([len(word) for word in words], np.int64),
            bytes=np.asarray([len(word.encode()) for word in words], np.int64),
            greedy=np.asarray([one.greedy for one in scored], np.bool_) & ~np.asarray(barred, bool),
            ids=tuple(document.id for document in documents),
        )

    @classmethod
    def terms(cls, config: Any, engine: Engine) -> dict[str, str]:
        """See `TextBenchmark.terms`."""
        filtered = f"first token among words but {len(STOP_WORDS)} stop words ({DIGEST})"
        return {
            "format": "last word behind the last space, the space scored with it",
            "prediction": filtered if config.stop_words else "every token the most probable",
            "detokeniser": config.detokeniser or "invertible (treebank) for plain text, else none",
        }


def _text(line: str, number: int, path: Path) -> str:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"isn't JSON ({error.msg})", file=path, line=number) from error
    text = record.get("text") if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise DataError(
            'isn\'t of the form {"text": "…"} with a passage in it',
            file=path,
            line=number,
            field="text",
        )
    return text


def _document(passage: str, number: int, path: Path, *, undo: bool) -> Document:
    context, _, word = passage.rpartition(" ")
    if not context.strip() or not word.strip():
        raise DataError(
            "a passage of one word: there is nothing to guess the last word from",
            file=path,
            line=number,
            field="text",
        )
    if undo:
        context = TREEBANK.detokenise(context)
    fields = {"context": context, "target": f" {word}", "word": word}
    return Document(content_id(passage), passage, fields)
