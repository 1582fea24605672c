"""A checkpoint whose answers are post-processed, as its manifest says.

Legend: N texts, K labels, W words of all texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from gradus.predict.around import AroundPredictor
from gradus.predict.base import Predictor
from gradus.predict.postprocess import KEY, NEUTRAL, Postprocess, mapped_labels, tempered
from gradus.records import Span

if TYPE_CHECKING:
    import numpy as np

    from gradus.objectives.tagging_sequences import Tagset

STRETCH: Final = 4096


class PostprocessedPredictor(AroundPredictor):
    """Another predictor whose answers are post-processed.

    Attributes:
        post: what is done with them.
    """

    kind: ClassVar[str] = "postprocessed"
    summary: ClassVar[str] = "post-processing"

    def __init__(self, inner: Predictor, post: Postprocess) -> None:
        """Put `post` around `inner`.

        Raises:
            UsageError: it isn't for a checkpoint with such labels and target.
        """
        super().__init__(inner)
        post.check(inner.labels, inner.target)
        self.post = post
        self.labels = mapped_labels(inner.labels, post.label_map)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Those of the checkpoint, under those that are named."""
        return self.post.thresholds_of(self.inner.thresholds, self.inner.labels, self.target)

    @property
    def abstain_below(self) -> float | None:
        """See `Predictor.abstain_below`."""
        own = self.post.abstain_below
        return self.inner.abstain_below if own is None else own

    @property
    def label_map(self) -> Mapping[str, str]:
        """From the names in training to those here."""
        own = self.post.label_map
        first = {old: own.get(new, new) for old, new in self.inner.label_map.items()}
        return {**own, **first}

    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """See `Predictor.log_probs`."""
        rows = self.inner.log_probs(texts, progress=progress)
        return self.post.log_probs(rows, self.inner.labels, self.target)

    def spans(
        self,
        texts: Sequence[str],
        *,
        words: Sequence[Sequence[tuple[int, int]]] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[tuple[Span, ...]]:
        """See `Predictor.spans`."""
        if self.post.temperature == 1.0 and self.post.repair in (None, "viterbi"):
            found = self.inner.spans(texts, words=words, progress=progress)
        else:
            found = list(self._decoded(texts, words, progress))
        return [tuple(self._kept(spans)) for spans in found]

    def _kept(self, spans: Sequence[Span]) -> Iterator[Span]:
        for span in spans:
            label = self.post.label_map.get(span.label, span.label)
            least = max(self.post.thresholds.get(label, 0.0), self.post.abstain_below or 0.0)
            if span.score is None or span.score >= least:
                yield replace(span, label=label)

    def _decoded(
        self,
        texts: Sequence[str],
        words: Sequence[Sequence[tuple[int, int]]] | None,
        progress: Callable[[int], None] | None,
    ) -> Iterator[tuple[Span, ...]]:
        """Spans of the tags at this temperature, in stretches, so that memory stays bounded."""
        from gradus.data.words import find_words
        from gradus.objectives.tagging_sequences import tagset_of
        from gradus.objectives.tagging_spans import spans_of

        tagset = tagset_of(self.inner.tags)
        for start in range(0, len(texts), STRETCH):
            part = list(texts[start : start + STRETCH])
            of: list[Sequence[tuple[int, int]]] = (
                [find_words(text) for text in part]
                if words is None
                else list(words[start : start + STRETCH])
            )
            rows = self.tag_log_probs(part, words=of)
            yield from (
                spans_of(rows, of, tagset)
                if self.post.repair in (None, "viterbi")
                else self._repaired(rows, of, tagset)
            )
            if progress is not None:
                progress(start + len(part))

    def _repaired(
        self, rows: np.ndarray, words: Sequence[Sequence[tuple[int, int]]], tagset: Tagset
    ) -> list[tuple[Span, ...]]:
        from gradus.objectives.tagging_repair import repaired
        from gradus.objectives.tagging_spans import as_spans

        assert self.post.repair is not None
        tags, found, start = rows.argmax(axis=1), [], 0
        best = rows.max(axis=1)
        for of in words:
            part = slice(start, start + len(of))
            whole = repaired(tags[part], tagset, self.post.repair)
            found.append(as_spans(whole, best[part], of, tagset))
            start += len(of)
        return found

    def tag_log_probs(
        self,
        texts: Sequence[str],
        *,
        words: Sequence[Sequence[tuple[int, int]]] | None = None,
    ) -> np.ndarray:
        """See `Predictor.tag_log_probs`; tags keep the names of the weights' labels."""
        rows = self.inner.tag_log_probs(texts, words=words)
        return tempered(rows, self.post.temperature, self.target)

    @property
    def contract(self) -> Mapping[str, str]:
        """The checkpoint's, and what is done with its answers."""
        from gradus.checkpoints import hash_json

        return {**self.inner.contract, KEY: hash_json(self.post.to_json())[:16]}


def neutral(thresholds: Sequence[float]) -> bool:
    """Whether these are the thresholds of a checkpoint of which none were tuned."""
    return all(least == NEUTRAL for least in thresholds)
