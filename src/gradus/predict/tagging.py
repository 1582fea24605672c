"""Finding spans with a transformer in torch.

Legend: N texts, W words of all texts together, K tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus.data.words import find_words
from gradus.objectives.tagging_sequences import Tagset
from gradus.objectives.tagging_spans import spans_of
from gradus.objectives.tagging_windows import Windowed, WordEncoder, Words
from gradus.records import Span

if TYPE_CHECKING:
    import numpy as np

BATCH_TOKENS = 4096
# Windows are sorted and packed within stretches of this many texts, so that memory stays bounded.
STRETCH = 4096


class Tagger:
    """What every back end that finds spans shares: words in, legal spans out."""

    def __init__(
        self,
        *,
        tokenizer: Any,
        labels: Sequence[str],
        preprocessing: Mapping[str, Any],
        log_probs: Callable[[Windowed], np.ndarray],
    ) -> None:
        """`tokenizer` is a ``tokenizers.Tokenizer``; `log_probs` gives [W, K] in the words' order.

        `preprocessing` is the manifest's.
        """
        self._encoder = WordEncoder.of(tokenizer, preprocessing)
        self._tagset = Tagset(labels, preprocessing["tags"])
        self._log_probs = log_probs

    @property
    def tags(self) -> int:
        """K."""
        return len(self._tagset)

    def spans(
        self,
        texts: Sequence[str],
        words: Sequence[Words] | None,
        progress: Callable[[int], None] | None,
    ) -> list[tuple[Span, ...]]:
        """See `Predictor.spans`."""
        found: list[tuple[Span, ...]] = []
        for start in range(0, len(texts), STRETCH):
            part = list(texts[start : start + STRETCH])
            if words is None:
                of: list[Words] = [find_words(text) for text in part]
            else:
                of = [words[i] for i in range(start, start + len(part))]
            found += spans_of(self._log_probs(self._encoder(part, of)), of, self._tagset)
            if progress is not None:
                progress(len(found))
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The K tags."""
        return tuple(self._tagset.tags)

    def log_probs(self, texts: Sequence[str], words: Sequence[Words] | None = None) -> np.ndarray:
        """See `Predictor.tag_log_probs`."""
        of = [find_words(text) for text in texts] if words is None else list(words)
        return self._log_probs(self._encoder(list(texts), of))


def open_tagger(
    folder: Path,
    *,
    model: Any,
    tokenizer: Any,
    labels: Sequence[str],
    preprocessing: Mapping[str, Any],
    dtype: str,
) -> Tagger:
    """A tagger over a transformers model with the head file in `folder`.

    Raises:
        CheckpointError: the head doesn't fit.
    """
    from gradus.objectives.pooled import load_head
    from gradus.objectives.tagging import ShapedBackbone, TagHead
    from gradus.objectives.vectors import HEAD_FILE

    backbone = ShapedBackbone(model)
    tags = len(Tagset(labels, preprocessing["tags"]))
    scale, shapes = float(preprocessing["scale"]), bool(preprocessing["shapes"])
    head = TagHead(backbone.width, tags, scale, shapes=shapes)
    load_head(head, folder / HEAD_FILE)
    backbone.shapes = head.shapes
    head.eval()

    def log_probs(windowed: Windowed) -> np.ndarray:
        return _log_probs(backbone, head, windowed, str(preprocessing["word"]), tags, dtype)

    return Tagger(
        tokenizer=tokenizer.backend_tokenizer,
        labels=labels,
        preprocessing=preprocessing,
        log_probs=log_probs,
    )


def _log_probs(
    backbone: Any, head: Any, windowed: Windowed, word: str, tags: int, dtype: str
) -> np.ndarray:
    """float64 [W, K], the words in the order of the texts."""
    import numpy as np
    import torch
    from torch.nn.functional import log_softmax

    from gradus.objectives.tagging import WordTokens, word_features
    from gradus.training.activations import autocast
    from gradus.training.packing import inference_batches

    tokens = WordTokens(windowed)
    rows = np.empty((len(windowed.words), tags))
    for part in inference_batches(tokens.lengths, BATCH_TOKENS):
        batch = tokens.batch(part)
        layout: Any = batch.layout
        with torch.inference_mode(), autocast(getattr(torch, dtype)):
            features = word_features(backbone.run(batch), layout, word)
            rows[layout.words.numpy()] = log_softmax(head(features).double(), dim=-1).numpy()
    return rows


def in_one(windowed: Windowed, vocabulary: int) -> list[list[int]]:
    """Each window's tokens as one number each: ``id + vocabulary * shape``."""
    pairs = zip(windowed.ids, windowed.shapes, strict=True)
    return [
        [i + vocabulary * shape for i, shape in zip(ids, shapes, strict=True)]
        for ids, shapes in pairs
    ]


def of_words(windowed: Windowed, logits: np.ndarray, word: str) -> np.ndarray:
    """float64 [W, K] log-probabilities of words from logits [T, K] of all windows' tokens.

    A word has its first token's logits, or with `word` ``mean`` the mean of its tokens'.
    """
    import numpy as np
    from scipy.special import log_softmax

    starts = np.cumsum([0, *(len(ids) for ids in windowed.ids)])[:-1]
    first = windowed.first + np.repeat(starts, windowed.owned)
    rows = np.empty((len(first), logits.shape[1]))
    if word == "first":
        rows[windowed.words] = logits[first]
        return np.asarray(log_softmax(rows, axis=-1))
    ends = np.cumsum(windowed.sizes)
    begins = ends - windowed.sizes
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(begins, windowed.sizes)
    chosen = logits[np.repeat(first, windowed.sizes) + within].astype(np.float64)
    if len(chosen):
        rows[windowed.words] = np.add.reduceat(chosen, begins) / windowed.sizes[:, None]
    return np.asarray(log_softmax(rows, axis=-1))
