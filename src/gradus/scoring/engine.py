"""Log-likelihoods of continuations under a causal language model.

Legend: N requests or contexts, K options, T tokens of a batch, d hidden size, V vocabulary, R
places at which something is read.

Contexts lie end to end in one row without padding, the continuations of a context follow it as a
tree, and what contexts have in common at their beginning is computed once: each token is fed once.
Only hidden states at which a token is read are projected on the vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch

from gradus.errors import UsageError
from gradus.generation import decoder
from gradus.generation.decoder import Decoder
from gradus.scoring import attention, prefixes
from gradus.scoring.attention import KeysValues, Row, RowAttention, Run
from gradus.scoring.continuations import ContinuationTree
from gradus.scoring.products import products
from gradus.scoring.projection import Projection, read_logits
from gradus.training.models import max_positions
from gradus.training.packing import inference_batches

# What lies between the products stays in the processor's cache.
BATCH_TOKENS = 1024
PROBE_TOLERANCE = 1e-4
_NO_NODES = torch.empty(0, 0, dtype=torch.bool)

Request = tuple[Sequence[int], Sequence[int]]


class Read(NamedTuple):
    """What was read after the context `place`, in the order of its tree's readings.

    Attributes:
        place: which context.
        nats: float64 [R], log-likelihoods.
        greedy: bool [R], whether no token was likelier.
    """

    place: int
    nats: np.ndarray
    greedy: np.ndarray


@dataclass(frozen=True, slots=True)
class _Head:
    """Tokens that were computed before, with their keys and values by layer."""

    tokens: tuple[int, ...] = ()
    keys: KeysValues = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Item:
    """One context, without the head where it has one, and the tree of its continuations."""

    place: int
    context: tuple[int, ...]
    tree: ContinuationTree

    @property
    def fed(self) -> int:
        return len(self.context) + len(self.tree.tokens)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Items of one shape see in the same way; for a chain only its length matters."""
        if self.tree.chain:
            return (self.fed, 0, 0)
        return (self.fed, len(self.context), id(self.tree))


class Scorer:
    """Scores continuations with a model.

    Attributes:
        model: the model, with the attention that scoring needs.
        shares: whether contexts share a row and continuations their context. Found out by trying
            against the model's own forward pass; a model of another build (state-space layers,
            ALiBi, capped logits) is asked for one continuation at a time instead, which is slower
            and gives the same numbers.
        limit: how many tokens may be fed at once, which are all but the last of a context with its
            continuation; None for any number.
        tokens_seen: how many tokens have been fed so far.
    """

    def __init__(
        self, model: Any, *, dtype: str = "float32", batch_tokens: int = BATCH_TOKENS
    ) -> None:
        """Prepare `model` (with its language-model head, float32), which is changed in place.

        The vocabulary's logits are float32 whatever `dtype` is: in bfloat16 they would be rounded
        to 1/16 and more. With bfloat16 the numbers they are made of are rounded to it, the sums
        aren't.
        """
        self.limit, self.tokens_seen = max_positions(model), 0
        self.model, self._batch_tokens = model.eval(), batch_tokens
        self._base = model.base_model
        self._projection = Projection(model.get_output_embeddings())
        self._usual = model.config._attn_implementation
        self._head = _Head()
        self._decoder: Decoder | None = None
        self._dtype: torch.dtype | None = None
        self.shares = self._probe()
        self.model.set_attn_implementation(self._usual)
        self.to(dtype)

    @property
    def vocabulary(self) -> int:
        """V, how many logits the model has."""
        size: int = self._projection.head.weight.shape[0]
        return size

    def to(self, dtype: str) -> None:
        """Compute hidden states in `dtype` from now on; logits stay in float32.

        A family that `gradus.generation` has a forward pass of its own for is computed by that. A
        model that is asked for one continuation at a time computes its logits in `dtype` too.
        """
        kind = getattr(torch, dtype)
        if self._dtype == kind:
            return
        self._dtype, self._head = kind, _Head()
        if not self.shares:
            self.model.to(kind)
            return
        self._projection.rounded = kind is torch.bfloat16
        if self._decoder is not None or self._base.dtype is torch.float32:
            self.model.set_attn_implementation(self._usual)
            self._decoder = decoder.of(self.model, kind, rows=self._batch_tokens)
        if self._decoder is None:
            # Tied to the embeddings, the head would be converted with them.
            self._projection.head = copy.deepcopy(self._projection.head).float()
            self.model.set_attn_implementation(attention.ATTENTION)
            self._base.to(kind)

    @torch.inference_mode()
    def share(self, head: Sequence[int]) -> None:
        """Keep the keys and values of `head`, for contexts that begin with it and go on after.

        What the contexts of one call have in common is found without this; a head that is shared
        stays from call to call.
        """
        if tuple(head) == self._head.tokens:
            return
        self._head = _Head()
        if head and self.shares:
            self._head = self._longer(self._head, tuple(head))

    def score(self, requests: Sequence[Request]) -> np.ndarray:
        """float64 [N], summed log-likelihood in nats of each continuation after its context.

        `requests` are pairs of token ids. Continuations of the same context share it.

        Raises:
            UsageError: a context or a continuation is empty, or both are longer than the model
                has positions for.
        """
        places: dict[tuple[int, ...], list[int]] = {}
        for place, (context, _) in enumerate(requests):
            places.setdefault(tuple(context), []).append(place)
        trees = [self._tree([requests[p][1] for p in found], found) for found in places.values()]
        rows = np.empty(len(requests))
        found = list(places.values())
        for done in self.read(list(places), trees, names=[f[0] for f in found]):
            rows[found[done.place]] = trees[done.place].sums(done.nats)
        return rows

    def choose(
        self,
        contexts: Sequence[Sequence[int]],
        options: Sequence[Sequence[int]],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """float64 [N, K], summed log-likelihood in nats of each option after each context.

        `progress` is called with the number of contexts done.

        Raises:
            UsageError: as `score`.
        """
        tree = self._tree(options, range(len(options)))
        rows = np.empty((len(contexts), len(options)))
        scored = self.read([tuple(c) for c in contexts], [tree] * len(contexts))
        for number, done in enumerate(scored, start=1):
            rows[done.place] = tree.sums(done.nats)
            if progress is not None:
                progress(number)
        return rows

    def _tree(self, options: Sequence[Sequence[int]], places: Sequence[int]) -> ContinuationTree:
        for place, option in zip(places, options, strict=True):
            if not option:
                raise UsageError(f"continuation {place} has no token, so there is nothing to score")
        return ContinuationTree(options)

    def read(
        self,
        contexts: Sequence[tuple[int, ...]],
        trees: Sequence[ContinuationTree],
        *,
        names: Sequence[int] | None = None,
        among: torch.Tensor | None = None,
    ) -> Iterator[Read]:
        """All readings of every context's tree, in the order in which they are done.

        Args:
            contexts: N contexts, token ids.
            trees: N trees of continuations, of at least one token each.
            names: what the contexts are called in messages; their numbers by default.
            among: bool [V]; the first token of a continuation is greedy as soon as none of these
                tokens is likelier.

        Raises:
            UsageError: as `score`.
        """
        called = range(len(contexts)) if names is None else names
        for name, context, tree in zip(called, contexts, trees, strict=True):
            self._check(name, context, tree)
        if not self.shares:
            for place, (context, tree) in enumerate(zip(contexts, trees, strict=True)):
                yield self._one_by_one(place, context, tree, among)
            return
        items = [_Item(p, *both) for p, both in enumerate(zip(contexts, trees, strict=True))]
        size = len(self._head.tokens)
        begins = [
            0 < size < len(item.context) and item.context[:size] == self._head.tokens
            for item in items
        ]
        for head, wanted in ((self._head, True), (_Head(), False)):
            chosen = [item for item, begun in zip(items, begins, strict=True) if begun is wanted]
            yield from self._below(chosen, head, among)

    def _check(self, name: int, context: Sequence[int], tree: ContinuationTree) -> None:
        if not context:
            raise UsageError(
                f"context {name} has no token, so nothing stands before its continuation; "
                "begin it with the tokenizer's first token"
            )
        fed = len(context) + max(len(option) for option in tree.options) - 1
        if self.limit is not None and fed > self.limit:
            raise UsageError(
                f"context {name} with its continuation has {fed + 1:,} tokens, and the model has "
                f"positions for {self.limit:,} before the last one; shorten it"
            )

    def _below(
        self, items: Sequence[_Item], head: _Head, among: torch.Tensor | None
    ) -> Iterator[Read]:
        """The readings of contexts that begin with `head`; what else they share is found here."""
        size = len(head.tokens)
        rests = [np.array(item.context[size:], dtype=np.int32) for item in items]
        waiting = [(prefixes.heads(rests), head)]
        while waiting:
            branch, above = waiting.pop()
            here = above
            if branch.size:
                tokens = items[branch.example].context[: size + branch.size]
                here = self._longer(above, tokens)
            cut = len(here.tokens)
            chosen = [items[row] for row in branch.rows]
            yield from self._batches(
                [_Item(item.place, item.context[cut:], item.tree) for item in chosen], here, among
            )
            waiting += [(longer, here) for longer in branch.branches]

    @torch.inference_mode()
    def _longer(self, head: _Head, tokens: tuple[int, ...]) -> _Head:
        """The head `tokens`, which begins with `head` and is longer."""
        keep: KeysValues = {}
        item = _Item(0, tokens[len(head.tokens) :], ContinuationTree([(0,)]))
        self._run([item], head, keep=keep)
        if head.tokens:
            for layer, both in keep.items():
                before = head.keys[layer]
                key, value = (torch.cat([a, b], 2) for a, b in zip(before, both, strict=True))
                keep[layer] = (key, value)
        return _Head(tokens, keep)

    def _batches(
        self, items: Sequence[_Item], head: _Head, among: torch.Tensor | None
    ) -> Iterator[Read]:
        ordered = sorted(items, key=lambda item: item.shape)
        lengths = np.array([item.fed for item in ordered], dtype=np.int64)
        for rows in inference_batches(lengths, self._batch_tokens):
            yield from self._read([ordered[row] for row in rows], head, among)

    def _run(
        self, items: Sequence[_Item], head: _Head, keep: KeysValues | None = None
    ) -> torch.Tensor:
        """Hidden states [R, d] at the places of the items' trees, item by item."""
        runs, ids, reads, start = list[Run](), list[int](), list[int](), 0
        for _, group in groupby(items, key=lambda item: item.shape):
            alike = list(group)
            first, tree = alike[0], alike[0].tree
            nodes = _NO_NODES if tree.chain else tree.visible
            sizes = len(alike), len(first.context), len(head.tokens)
            runs.append(Run.of(*sizes, tree.depths, nodes))
            for item in alike:
                ids += [*item.context, *item.tree.tokens]
                # The context's end, node -1, is the last token of the context.
                reads += [start + len(item.context) + node for node in item.tree.places]
                start += item.fed
        positions = torch.cat([run.positions.repeat(run.n) for run in runs])[None]
        self.tokens_seen += len(ids)
        row, tokens = Row(tuple(runs), head.keys, keep), torch.tensor([ids])
        if self._decoder is not None:
            seen = RowAttention(row, self._decoder.shape.scale, int(positions.max()) + 1)
            return self._decoder.hidden(tokens, positions, seen, None)[reads]
        with attention.under_way(row), products():
            output = self._base(input_ids=tokens, position_ids=positions, use_cache=False)
        hidden: torch.Tensor = output.last_hidden_state[0, reads]
        return hidden

    @torch.inference_mode()
    def _read(self, items: Sequence[_Item], head: _Head, among: torch.Tensor | None) -> list[Read]:
        """The readings of each item."""
        hidden = self._run(items, head)
        starts = np.cumsum([0, *(len(item.tree.places) for item in items)])
        rows = [item.tree.read_at + start for item, start in zip(items, starts, strict=False)]
        ranked = None
        if among is not None:
            ranked = np.concatenate([item.tree.firsts for item in items])
        nats, greedy = self._projection.read(
            hidden,
            np.concatenate(rows),
            np.concatenate([item.tree.read_tokens for item in items]),
            among=among,
            ranked=ranked,
        )
        cuts = np.cumsum([len(item.tree.readings) for item in items])[:-1]
        places = [item.place for item in items]
        return list(map(Read, places, np.split(nats, cuts), np.split(greedy, cuts)))

    @torch.inference_mode()
    def _one_by_one(
        self,
        place: int,
        context: Sequence[int],
        tree: ContinuationTree,
        among: torch.Tensor | None,
    ) -> Read:
        """The readings by the model's own forward pass, one continuation at a time."""
        nats, greedy = [], []
        for option in tree.options:
            ids = torch.tensor([[*context, *option[:-1]]])
            self.tokens_seen += ids.shape[1]
            logits = self.model(input_ids=ids, use_cache=False).logits[0, -len(option) :].float()
            each, flags = read_logits(logits, np.array(option), among=among)
            nats.append(each)
            greedy.append(flags)
        return Read(place, np.concatenate(nats), np.concatenate(greedy))

    @torch.inference_mode()
    def _probe(self) -> bool:
        """Whether a row with a head, two lengths and trees gives the model's own logits."""
        size = self.model.get_input_embeddings().num_embeddings
        usable = [i for i in range(min(size, 64)) if i != self.model.config.pad_token_id]
        draw = np.random.default_rng(0)
        head, *contexts = (
            tuple(int(i) for i in draw.choice(usable, length)) for length in (3, 4, 4, 6)
        )
        a, b, c, d = (int(i) for i in draw.choice(usable, 4, replace=False))
        tree = ContinuationTree([(a, b, c), (a, c, d), (b, d), (c,)])
        items = [_Item(place, context, tree) for place, context in enumerate(contexts)]
        expected = torch.cat([self._usual_logits([*head, *x.context], tree) for x in items])
        attention.register()
        try:
            self.model.set_attn_implementation(attention.ATTENTION)
            start = self._longer(self._longer(_Head(), head[:1]), head)
            found = self._projection.head(self._run(items, start))
        except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, KeyError):
            # An architecture whose attention or positions don't take such rows.
            return False
        finally:
            self.tokens_seen = 0
        if found.shape != expected.shape:
            return False
        # Logits that differ by a constant would be the same probabilities: compare their spread.
        scale = (expected - expected.mean(dim=-1, keepdim=True)).abs().max()
        return bool((found - expected).abs().max() < PROBE_TOLERANCE * scale)

    def _usual_logits(self, context: list[int], tree: ContinuationTree) -> torch.Tensor:
        """[R, V] at the tree's places, from a plain forward pass along each branch."""
        rows = []
        for node in tree.places:
            ids = torch.tensor([context + tree.branch(node)])
            rows.append(self.model(input_ids=ids, use_cache=False).logits[0, -1])
        return torch.stack(rows)
