"""Predicting with an exported graph, whatever engine runs it.

Legend: N texts, K labels, L tokens of a text, n texts of equal length.

A graph turns token ids, int64 [n, L], into logits, float32 [n, K] (standardised numbers, [n, 1]; of
taggers [n, L, K]); ``tokenizer.json`` stands beside it. There is no attention mask: a batch holds
texts of one length, so that no token of padding is ever computed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from gradus.data.words import find_words
from gradus.errors import CheckpointError
from gradus.objectives.tagging_windows import Windowed, WordEncoder
from gradus.predict.base import Predictor
from gradus.predict.outputs import (
    head_outputs,
    in_units,
    log_probabilities,
    target_of,
    thresholds_of,
)
from gradus.predict.tagging import Tagger, in_one, of_words
from gradus.records import CheckpointRef, Span

if TYPE_CHECKING:
    import numpy as np

TOKENIZER: Final = "tokenizer.json"
BATCH_TOKENS: Final = 1024
BATCH_TEXTS: Final = 128
# Texts are tokenised and put into batches within stretches of this many, so that memory stays
# bounded; the next stretch is tokenised while this one is inferred.
STRETCH: Final = 4096

Call = Callable[["np.ndarray"], "np.ndarray"]
"""From token ids int64 [n, L] to what the graph gives for them."""


class TextEncoder:
    """Texts to token ids, through the Rust tokenizer itself and on all cores."""

    def __init__(self, file: Path, preprocessing: Mapping[str, Any]) -> None:
        """Read the tokenizer; it cuts texts as the manifest's `preprocessing` says.

        Raises:
            CheckpointError: the file or the preprocessing can't be read.
        """
        self._tokenizer = read_tokenizer(file)
        try:
            self._empty = [int(i) for i in preprocessing["empty_text"]]
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(
                int(preprocessing["max_tokens"]), direction=str(preprocessing["truncation_side"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{file.parent}: its preprocessing is incomplete or wrong ({error}); make it anew"
            ) from error

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text; one without any gets those that stand for an empty text."""
        coded = self._tokenizer.encode_batch_fast(list(texts))
        return [encoding.ids or self._empty for encoding in coded]


class WindowEncoder:
    """Texts to the numbers that a tagger's graph takes: token ids and shapes of words in one."""

    def __init__(self, file: Path, preprocessing: Mapping[str, Any]) -> None:
        """Read the tokenizer; windows are cut as the manifest's `preprocessing` says.

        Raises:
            CheckpointError: the file or the preprocessing can't be read.
        """
        try:
            self._encoder = WordEncoder.of(read_tokenizer(file), preprocessing)
            self._vocabulary = int(preprocessing["vocabulary"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{file.parent}: its preprocessing is incomplete or wrong ({error}); make it anew"
            ) from error

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of all windows of `texts`, whose words are found by the rule."""
        made = self._encoder(list(texts), [find_words(text) for text in texts])
        return in_one(made, self._vocabulary)


Encoder = TextEncoder | WindowEncoder


def encoder(file: Path, preprocessing: Mapping[str, Any]) -> Encoder:
    """The encoder that belongs to a checkpoint's target.

    Raises:
        CheckpointError: the file or the preprocessing can't be read.
    """
    kind = WindowEncoder if target_of(preprocessing) == "spans" else TextEncoder
    return kind(file, preprocessing)


def read_tokenizer(file: Path) -> Any:
    """The ``tokenizers.Tokenizer`` in a file.

    Raises:
        CheckpointError: it can't be read.
    """
    from tokenizers import Tokenizer

    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{file}: the tokenizer can't be read ({error})") from error
    try:
        return Tokenizer.from_str(content)
    except Exception as error:  # tokenizers raises nothing narrower
        raise CheckpointError(f"{file}: the tokenizer can't be read ({error})") from error


def equal_length_batches(lengths: np.ndarray) -> list[np.ndarray]:
    """Rows in batches of one length each, the batch with most tokens first.

    At most `BATCH_TOKENS` tokens (but at least one text) and `BATCH_TEXTS` texts a batch. Which
    texts share a batch follows from the lengths alone, their order included.
    """
    import numpy as np

    order = np.argsort(lengths, kind="stable")
    batches = []
    for run in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        longest = int(lengths[run].max(initial=1))
        size = min(BATCH_TEXTS, max(1, BATCH_TOKENS // longest))
        batches += [run[i : i + size] for i in range(0, len(run), size)]
    return sorted(batches, key=lambda rows: -len(rows) * int(lengths[rows[0]]))


class GraphPredictor(Predictor):
    """A graph in some engine: token ids in, logits out, quantised or not.

    Batches hold texts of one length and are worked off by as many callers as there are threads,
    each with one thread inside; a single text gets a session of its own with all threads inside.
    The same list of texts gives the same bits on the same machine, whatever the thread count. Which
    texts share a batch (see `equal_length_batches`) moves a row by rounding alone, as scales are
    taken token by token: at most 6e-6 in a log-probability on 300 texts of BANKING77 with MiniLM,
    where one scale for the whole batch moved it by up to 1.98.
    """

    backend: ClassVar[str]
    lanes: ClassVar[int] = 2
    same_bits: ClassVar[bool] = True

    def __init__(
        self,
        *,
        folder: Path,
        labels: Sequence[str],
        preprocessing: Mapping[str, Any],
        threads: int,
        size_bytes: int,
    ) -> None:
        """See `open`."""
        self.labels, self.target = tuple(labels), target_of(preprocessing)
        self._folder, self._preprocessing = folder, dict(preprocessing)
        self._threads, self._size_bytes = threads, size_bytes
        self._sessions: dict[int, Call] = {}
        self._session(1)
        self._encode = encoder(folder / TOKENIZER, preprocessing)
        if self.target == "spans":
            self._tagger = Tagger(
                tokenizer=read_tokenizer(folder / TOKENIZER),
                labels=labels,
                preprocessing=preprocessing,
                log_probs=self._of_words,
            )

    @classmethod
    def open(
        cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> Self:
        """Load graph and tokenizer; the graph settles what is computed in which dtype.

        Raises:
            CheckpointError: the graph or the tokenizer can't be read.
            MissingExtra: the engine isn't installed.
        """
        from gradus import hardware
        from gradus.checkpoints import read_manifest

        folder = Path(ref.path)
        manifest = read_manifest(folder)
        return cls(
            folder=folder,
            labels=manifest.labels,
            preprocessing=manifest.preprocessing,
            threads=threads or hardware.threads(),
            size_bytes=manifest.size_bytes,
        )

    @abstractmethod
    def _open_graph(self, folder: Path, threads: int) -> Call:
        """The graph in `folder`, with so many threads inside one call; calls may overlap."""

    def _session(self, threads: int) -> Call:
        if threads not in self._sessions:
            self._sessions[threads] = self._open_graph(self._folder, threads)
        return self._sessions[threads]

    @property
    def thresholds(self) -> tuple[float, ...]:
        """See `Predictor.thresholds`."""
        return thresholds_of(self._preprocessing, len(self.labels))

    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N, K], in the texts' order; see `Predictor.log_probs`."""
        if self.target not in ("label", "labels"):
            raise self._lacks("label")
        return log_probabilities(self._outputs(texts, progress), self.target)

    def numbers(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N], in the texts' order; see `Predictor.numbers`."""
        if self.target != "number":
            raise self._lacks("number")
        return in_units(self._outputs(texts, progress), self._preprocessing)

    def spans(
        self,
        texts: Sequence[str],
        *,
        words: Sequence[Sequence[tuple[int, int]]] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[tuple[Span, ...]]:
        """N tuples of spans; see `Predictor.spans`."""
        if self.target != "spans":
            raise self._lacks("spans")
        return self._tagger.spans(texts, words, progress)

    @property
    def tags(self) -> tuple[str, ...]:
        """The K tags; see `Predictor.tags`."""
        if self.target != "spans":
            raise self._lacks("spans")
        return self._tagger.names

    def tag_log_probs(
        self,
        texts: Sequence[str],
        *,
        words: Sequence[Sequence[tuple[int, int]]] | None = None,
    ) -> np.ndarray:
        """float64 [W, K]; see `Predictor.tag_log_probs`."""
        if self.target != "spans":
            raise self._lacks("spans")
        return self._tagger.log_probs(texts, words)

    def _of_words(self, windowed: Windowed) -> np.ndarray:
        """Log-probabilities of all words' tags, float64 [W, K]."""
        import numpy as np

        ids = in_one(windowed, int(self._preprocessing["vocabulary"]))
        parts: list[np.ndarray] = [np.empty((0, 1))] * len(ids)
        if len(ids) == 1:
            parts = [self._infer(ids, self._threads)[0]]
        elif ids:
            with ThreadPoolExecutor(self._threads, thread_name_prefix=self.kind) as pool:
                for places, logits in _finished(self._submit(pool, ids, 0)):
                    for place, rows in zip(places, logits, strict=True):
                        parts[place] = rows
        tags = self._tagger.tags
        logits = np.concatenate(parts) if parts else np.empty((0, tags))
        return of_words(windowed, logits, str(self._preprocessing["word"]))

    def _outputs(self, texts: Sequence[str], progress: Callable[[int], None] | None) -> np.ndarray:
        """What the graph gives, [N, K] (or [N, 1] for numbers)."""
        import numpy as np

        if len(texts) == 1:
            logits = self._infer(self._encode(texts), self._threads)
            if progress is not None:
                progress(1)
            return logits
        rows = np.empty((len(texts), head_outputs(self._preprocessing, len(self.labels))))
        done = 0
        for places, logits in self._inferred(texts):
            rows[places] = logits
            done += len(places)
            if progress is not None:
                progress(done)
        return rows

    def _infer(self, ids: Sequence[Sequence[int]], threads: int) -> np.ndarray:
        """Logits, float32 [n, K], of texts of one length."""
        import numpy as np

        return self._session(threads)(np.array(ids, dtype=np.int64))

    def _inferred(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places and logits of each batch, as they get ready."""
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix=self.kind)
        try:
            waiting: dict[Future[np.ndarray], np.ndarray] = {}
            for start in range(0, len(texts), STRETCH):
                ids = self._encode(texts[start : start + STRETCH])
                yield from _finished(waiting)
                waiting = self._submit(pool, ids, start)
            yield from _finished(waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit(
        self, pool: ThreadPoolExecutor, ids: list[list[int]], start: int
    ) -> dict[Future[np.ndarray], np.ndarray]:
        import numpy as np

        batches = equal_length_batches(np.array([len(row) for row in ids]))
        return {
            pool.submit(self._infer, [ids[i] for i in rows], 1): start + rows for rows in batches
        }

    @property
    def contract(self) -> Mapping[str, str]:
        """dtype, back end, batching, where texts are cut, and which tokenizer cuts them."""
        from gradus.checkpoints import hash_file

        return {
            "dtype": str(self._preprocessing["dtype"]),
            "backend": self.backend,
            "batching": f"equal lengths, {BATCH_TOKENS} tokens, {BATCH_TEXTS} texts",
            "max_tokens": str(self._preprocessing["max_tokens"]),
            "tokenizer": hash_file(self._folder / TOKENIZER)[:16],
        }

    @property
    def size_bytes(self) -> int:
        """Bytes of all files of the checkpoint."""
        return self._size_bytes


def _finished(
    waiting: Mapping[Future[np.ndarray], np.ndarray],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for future in as_completed(waiting):
        yield waiting[future], future.result()
