"""A language model that is asked for log-likelihoods of texts.

Legend: N items, K options.

Items are taken in stretches: of one stretch at a time there are token ids, sorted by length, the
heads they share found, and of one batch at a time there are hidden states. Memory is bounded by
both, not by N.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradus.errors import UsageError
from gradus.scoring.continuations import ContinuationTree
from gradus.scoring.engine import Scorer
from gradus.scoring.journal import Journal, answered, key_of
from gradus.scoring.masked import MaskedScorer
from gradus.scoring.records import DEFAULT_WINDOW, Progress, Rolled, Scored, Source
from gradus.scoring.rolling import Piece, Stretches, pieces, stretches
from gradus.scoring.seam import Pair, encode_pairs, fit, tokenizer_digest
from gradus.scoring.vocabulary import accepted

# Items of a stretch; with 1,024 tokens each, their ids take about 70 MB.
STRETCH = 2048
# Tokens of a stretch of rolling windows.
STRETCH_TOKENS = 1 << 18


class TextScorer:
    """Asks a causal or a masked language model how probable texts are.

    Implements `gradus.scoring.records.Engine`; `gradus.scoring.open` makes one. What a causal
    model is asked, a masked one refuses, and the other way round.

    Attributes:
        ref: the weights.
        tokenizer: theirs.
        contract: dtype, back end and tokenizer (digest).
    """

    def __init__(self, scorer: Scorer | MaskedScorer, tokenizer: Any, source: Source) -> None:
        self._scorer, self.tokenizer, self._source = scorer, tokenizer, source
        self.ref = source.ref
        self.contract: Mapping[str, str] = {
            "dtype": source.dtype,
            "backend": "torch",
            "tokenizer": tokenizer_digest(tokenizer)[:16],
        }
        self._writer: Any = None

    @property
    def scorer(self) -> Scorer:
        """What takes token ids.

        Raises:
            UsageError: a masked language model, which has no continuations.
        """
        return self._causal

    @property
    def limit(self) -> int | None:
        """Tokens that a text may have in one pass; None for any number."""
        return self._scorer.limit

    @property
    def tokens_seen(self) -> int:
        """Tokens computed so far, shared ones counted once."""
        written = 0 if self._writer is None else int(self._writer.tokens_seen)
        return self._scorer.tokens_seen + written

    @property
    def shares(self) -> bool:
        """Whether texts share a row and what they begin with; see `gradus.scoring.engine`."""
        return isinstance(self._scorer, Scorer) and self._scorer.shares

    def score(self, context: str, continuation: str) -> Scored:
        """How probable `continuation` is after `context`; see `score_all`."""
        return self.score_all([(context, continuation)])[0]

    def choose(self, context: str, options: Sequence[str]) -> list[Scored]:
        """How probable each option is after `context`; see `choose_all`."""
        return self.choose_all([context], [options])[0]

    def rolling(
        self, text: str, window: int | None = None, stride: int | None = None, *, bos: bool = True
    ) -> Rolled:
        """How probable a whole text is; see `rolling_all`."""
        return self.rolling_all([text], window=window, stride=stride, bos=bos)[0]

    def pseudo(self, text: str) -> Rolled:
        """The pseudo-log-likelihood of a text; see `pseudo_all`."""
        return self.pseudo_all([text])[0]

    def score_all(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        rivals: Callable[[str], bool] | None = None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[Scored]:
        """How probable each continuation is after its context, N answers in the order of `pairs`.

        Tokens at the seam are lm-evaluation-harness's, and so is what happens to a context that is
        too long: it loses its beginning (`gradus.scoring.seam`). Contexts that begin alike share
        what is computed of it.

        Args:
            pairs: N contexts, each with its continuation; a space between them belongs to either.
            rivals: asked with a token's text, a leading space included; the first token of a
                continuation then counts as the most probable one as soon as no token that it
                accepts is more probable. Concerns `greedy` alone.
            journal: a JSONL file; answers are appended as they are known, and what stands there
                isn't asked again.
            progress: called with the number of items done.

        Raises:
            UsageError: a masked model; a continuation without tokens, or too long for the model.
            DataError: a broken line in the journal.
            StorageError: the journal can't be written.
        """
        among, about = None, list[str]()
        if rivals is not None:
            among = accepted(self.tokenizer, rivals, self._causal.vocabulary)
            about = [hashlib.sha256(among.numpy().tobytes()).hexdigest()]

        def ask(places: Sequence[int]) -> Iterator[tuple[int, Scored]]:
            for start in range(0, len(places), STRETCH):
                part = places[start : start + STRETCH]
                for number, scored in self._scored([pairs[p] for p in part], part, among):
                    yield part[number], scored

        items = [[*pair, *about] for pair in pairs]
        found = answered("score", self.identity, items, ask, journal=journal, progress=progress)
        return [Scored(*answer) for answer in found]

    def score_tokens(
        self,
        pairs: Sequence[Pair],
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[Scored]:
        """As `score_all`, of contexts and continuations that are token ids already.

        Nothing is put before a context; none may be empty.
        """

        def ask(places: Sequence[int]) -> Iterator[tuple[int, Scored]]:
            for start in range(0, len(places), STRETCH):
                part = places[start : start + STRETCH]
                encoded = [fit(pairs[p], self._causal.limit) for p in part]
                for number, scored in self._answers(encoded, part, None):
                    yield part[number], scored

        items = [[list(context), list(continuation)] for context, continuation in pairs]
        found = answered("tokens", self.identity, items, ask, journal=journal, progress=progress)
        return [Scored(*answer) for answer in found]

    def choose_all(
        self,
        contexts: Sequence[str],
        options: Sequence[Sequence[str]],
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[list[Scored]]:
        """How probable every option is after its context, N lists in the order of the options.

        Options of one context share it, and each other's beginnings. The rest is as in `score_all`.
        """
        if len(contexts) != len(options):
            raise UsageError(
                f"{len(contexts):,} contexts and {len(options):,} lists of options: give one list "
                "of options to each context"
            )

        def ask(places: Sequence[int]) -> Iterator[tuple[int, list[Scored]]]:
            for part in stretches(places, [len(options[p]) for p in places], STRETCH):
                pairs = [(contexts[p], option) for p in part for option in options[p]]
                owners = [(p, k) for p in part for k in range(len(options[p]))]
                waiting = {p: dict[int, Scored]() for p in part}
                yield from ((p, []) for p in part if not options[p])
                for number, scored in self._scored(pairs, [p for p, _ in owners], None):
                    place, option = owners[number]
                    waiting[place][option] = scored
                    if len(waiting[place]) == len(options[place]):
                        done = waiting.pop(place)
                        yield place, [done[k] for k in range(len(done))]

        items = [[c, list(o)] for c, o in zip(contexts, options, strict=True)]
        found = answered("choose", self.identity, items, ask, journal=journal, progress=progress)
        return [[Scored(*one) for one in answer] for answer in found]

    def rolling_all(
        self,
        texts: Sequence[str],
        *,
        window: int | None = None,
        stride: int | None = None,
        bos: bool = True,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[Rolled]:
        """How probable each whole text is: every token once, in windows of `window` tokens.

        Args:
            texts: N texts; each is scored by itself.
            window: None for the model's limit.
            stride: tokens from one window's beginning to the next; None for the window. See
                `gradus.scoring.windows.windows` for which tokens are scored in which window.
            bos: whether a beginning-of-text token stands before each text, so that its first token
                is scored too. Where the tokenizer puts one there of its own accord, it stands
                there in any case, and is never scored itself.
            journal: as in `score_all`, window by window.
            progress: called with the number of texts done.

        Raises:
            UsageError: a masked model; a window that is longer than the model's limit, or a
                stride that is longer than the window.
        """
        found = self.rolling_parts(
            texts,
            [[len(text)] for text in texts],
            window=window,
            stride=stride,
            bos=bos,
            journal=journal,
            progress=progress,
        )
        return [only for (only,) in found]

    def rolling_parts(
        self,
        texts: Sequence[str],
        ends: Sequence[Sequence[int]],
        *,
        window: int | None = None,
        stride: int | None = None,
        bos: bool = True,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[list[Rolled]]:
        """As `rolling_all`, with one answer for each stretch of a text; windows run across them.

        `ends` has for each text the rising character offsets at which its stretches end, the last
        of them its length. A token belongs to the stretch that holds its last character.

        Raises:
            UsageError: as `rolling_all`; or the ends of a text don't rise to its length.
        """
        scorer = self._causal
        width = window or scorer.limit or DEFAULT_WINDOW
        if scorer.limit is not None and width > scorer.limit:
            raise UsageError(
                f"a window of {width:,} tokens, and the model has positions for {scorer.limit:,}; "
                "take a shorter window"
            )
        totals = Stretches(texts, ends, progress)
        cut = pieces(self.tokenizer, texts, ends, width, stride or width, bos)
        known = nullcontext(None) if journal is None else Journal(journal)
        with known as book:
            held, tokens = list[Piece](), 0
            for piece in totals.announced(cut):
                key = "" if book is None else key_of("rolling", self.identity, piece.digest)
                if book is not None and key in book.known:
                    totals.add(piece, np.array(book.known[key]))
                    continue
                held.append(piece._replace(key=key))
                tokens += len(piece.context) + len(piece.continuation)
                if tokens >= STRETCH_TOKENS:
                    self._roll(held, totals, book)
                    held, tokens = [], 0
            self._roll(held, totals, book)
        return totals.answers()

    def _roll(self, held: Sequence[Piece], totals: Stretches, book: Journal | None) -> None:
        """Score windows, add them up and note them down."""
        trees = [ContinuationTree([piece.continuation]) for piece in held]
        for read in self._causal.read([piece.context for piece in held], trees):
            piece = held[read.place]
            sums = np.bincount(piece.parts - piece.parts[0], read.nats)
            if book is not None:
                book.add(piece.key, sums.tolist())
            totals.add(piece, sums)

    def pseudo_all(
        self,
        texts: Sequence[str],
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[Rolled]:
        """The pseudo-log-likelihood of each text under a masked model (Salazar et al. 2020).

        The sum over its tokens of the log-likelihood of each, masked, given all the others; those
        that the tokenizer adds are seen and not scored.

        Raises:
            UsageError: a causal model, or a text that is too long for the model.
        """
        masked = self.masked

        def ask(places: Sequence[int]) -> Iterator[tuple[int, Rolled]]:
            for start in range(0, len(places), STRETCH):
                part = places[start : start + STRETCH]
                for number, nats in masked.pseudo([texts[p] for p in part]):
                    yield part[number], Rolled(math.fsum(nats), len(nats))

        found = answered(
            "pseudo", self.identity, list(texts), ask, journal=journal, progress=progress
        )
        return [Rolled(*answer) for answer in found]

    def generate_all(
        self,
        prompts: Sequence[str],
        *,
        settings: Any = None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """What the model writes after each prompt; see `gradus.generation`."""
        if self._writer is None:
            from gradus import generation

            self._writer = generation.open(
                self.ref, dtype=self._source.dtype, threads=self._source.threads
            )
        written: list[str] = self._writer.generate_all(
            prompts, settings=settings, journal=journal, progress=progress
        )
        return written

    @property
    def masked(self) -> MaskedScorer:
        """The masked language model; UsageError for a causal one."""
        if not isinstance(self._scorer, MaskedScorer):
            raise UsageError(
                "a causal language model has no pseudo-log-likelihood: ask it with rolling"
            )
        return self._scorer

    @property
    def _causal(self) -> Scorer:
        if isinstance(self._scorer, MaskedScorer):
            raise UsageError(
                "a masked language model sees both sides of a text, so it can't say how probable "
                "a continuation is: ask it with pseudo"
            )
        return self._scorer

    @property
    def identity(self) -> dict[str, str]:
        """What an answer in a journal depends on beside the item."""
        return {**self.contract, "weights": self.ref.digest}

    def _scored(
        self, pairs: Sequence[tuple[str, str]], names: Sequence[int], among: torch.Tensor | None
    ) -> Iterator[tuple[int, Scored]]:
        """Number and answer of each pair of one stretch, as they are done."""
        limit = self._causal.limit
        encoded = [fit(pair, limit) for pair in encode_pairs(self.tokenizer, pairs)]
        for number, (_, continuation) in enumerate(encoded):
            if not continuation:
                raise UsageError(
                    f"item {names[number]}: the continuation {pairs[number][1]!r} has no token of "
                    "its own after its context, so there is nothing to score"
                )
        yield from self._answers(encoded, names, among)

    def _answers(
        self, encoded: Sequence[Pair], names: Sequence[int], among: torch.Tensor | None
    ) -> Iterator[tuple[int, Scored]]:
        """The same of token ids that fit the model."""
        scorer = self._causal
        groups: dict[tuple[int, ...], list[int]] = {}
        for number, (context, _) in enumerate(encoded):
            groups.setdefault(tuple(context), []).append(number)
        numbers = list(groups.values())
        trees = [ContinuationTree([encoded[n][1] for n in found]) for found in numbers]
        names_of = [names[found[0]] for found in numbers]
        for read in scorer.read(list(groups), trees, names=names_of, among=among):
            tree = trees[read.place]
            sums, greedy = tree.sums(read.nats), tree.all(read.greedy)
            for option, number in enumerate(numbers[read.place]):
                tokens = len(tree.options[option])
                yield number, Scored(float(sums[option]), tokens, bool(greedy[option]))
