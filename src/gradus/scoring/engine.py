"""Log-likelihoods of continuations under a causal language model.

Legend: N requests or contexts, K options, T tokens of a batch, d hidden size, V vocabulary, R
places at which something is read.

Contexts lie end to end in one row without padding, the continuations of a context follow it as a
tree, and a head that all contexts share is computed once: each token is fed once. Only hidden
states at which a token is read are projected on the vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch

from gradus.errors import UsageError
from gradus.scoring import attention
from gradus.scoring.attention import KeysValues, Row, Run
from gradus.scoring.continuations import ContinuationTree
from gradus.training.models import max_positions
from gradus.training.packing import inference_batches

BATCH_TOKENS = 4096
# Rows of logits at a time: 256 of them are 50 MB for a vocabulary of 50,000.
PROJECTED = 256
PROBE_TOLERANCE = 1e-4

Request = tuple[Sequence[int], Sequence[int]]


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
        limit: how many tokens a context with its continuation may have; None for any number.
    """

    def __init__(
        self, model: Any, *, dtype: str = "float32", batch_tokens: int = BATCH_TOKENS
    ) -> None:
        """Prepare `model` (with its language-model head, float32), which is changed in place.

        The vocabulary's logits are float32 whatever `dtype` is: in bfloat16 they would be rounded
        to 1/16 and more.
        """
        self.limit = max_positions(model)
        self.model, self._batch_tokens = model.eval(), batch_tokens
        self._base, self._output = model.base_model, model.get_output_embeddings()
        self._usual = model.config._attn_implementation
        self._head_ids: tuple[int, ...] = ()
        self._head: KeysValues = {}
        self.shares = self._probe()
        if not self.shares:
            self.model.set_attn_implementation(self._usual)
        self.to(dtype)

    def to(self, dtype: str) -> None:
        """Compute hidden states in `dtype` from now on; logits stay in float32.

        A model that is asked for one continuation at a time computes its logits in `dtype` too.
        """
        kind = getattr(torch, dtype)
        if self._base.dtype == kind:
            return
        if self.shares:
            # Tied to the embeddings, the head would be converted with them.
            self._output = copy.deepcopy(self._output).float()
            self._base.to(kind)
        else:
            self.model.to(kind)
        self._head_ids, self._head = (), {}

    @torch.inference_mode()
    def share(self, head: Sequence[int]) -> None:
        """Keep the keys and values of `head`, for contexts that begin with it and go on after."""
        if tuple(head) == self._head_ids:
            return
        self._head_ids, self._head = tuple(head), {}
        if head and self.shares:
            self._run([_Item(0, self._head_ids, ContinuationTree([(0,)]))], {}, keep=self._head)

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
        trees = [
            self._tree([requests[place][1] for place in found], found) for found in places.values()
        ]
        rows = np.empty(len(requests))
        found = list(places.values())
        for place, values in self._scores(list(places), trees, [f[0] for f in found]):
            rows[found[place]] = values
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
        scored = self._scores(
            [tuple(c) for c in contexts], [tree] * len(contexts), range(len(contexts))
        )
        for done, (place, values) in enumerate(scored, start=1):
            rows[place] = values
            if progress is not None:
                progress(done)
        return rows

    def _tree(self, options: Sequence[Sequence[int]], places: Sequence[int]) -> ContinuationTree:
        for place, option in zip(places, options, strict=True):
            if not option:
                raise UsageError(f"continuation {place} has no token, so there is nothing to score")
        return ContinuationTree(options)

    def _scores(
        self,
        contexts: Sequence[tuple[int, ...]],
        trees: Sequence[ContinuationTree],
        names: Sequence[int],
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Place and float64 [K] of every context, in the order in which they are done."""
        for name, context, tree in zip(names, contexts, trees, strict=True):
            self._check(name, context, tree)
        if not self.shares:
            for place, (context, tree) in enumerate(zip(contexts, trees, strict=True)):
                yield place, self._one_by_one(context, tree)
            return
        with_head, without = [], []
        size = len(self._head_ids)
        for place, (context, tree) in enumerate(zip(contexts, trees, strict=True)):
            if self._head and len(context) > size and context[:size] == self._head_ids:
                with_head.append(_Item(place, context[size:], tree))
            else:
                without.append(_Item(place, context, tree))
        yield from self._batches(with_head, self._head)
        yield from self._batches(without, {})

    def _check(self, name: int, context: Sequence[int], tree: ContinuationTree) -> None:
        if not context:
            raise UsageError(
                f"context {name} has no token, so nothing stands before its continuation; "
                "begin it with the tokenizer's first token"
            )
        longest = len(context) + max(len(option) for option in tree.options)
        if self.limit is not None and longest > self.limit:
            raise UsageError(
                f"context {name} with its continuation has {longest:,} tokens, and the model has "
                f"positions for {self.limit:,}; shorten it"
            )

    def _batches(
        self, items: Sequence[_Item], head: KeysValues
    ) -> Iterator[tuple[int, np.ndarray]]:
        ordered = sorted(items, key=lambda item: item.shape)
        lengths = np.array([item.fed for item in ordered], dtype=np.int64)
        for rows in inference_batches(lengths, self._batch_tokens):
            batch = [ordered[row] for row in rows]
            yield from self._read(batch, head)

    def _run(
        self, items: Sequence[_Item], head: KeysValues, keep: KeysValues | None = None
    ) -> torch.Tensor:
        """Hidden states [R, d] at the places of the items' trees, item by item."""
        runs, ids, positions, reads, start = [], [], [], [], 0
        before = len(self._head_ids) if head else 0
        for _, group in groupby(items, key=lambda item: item.shape):
            alike = list(group)
            first, size = alike[0], len(alike[0].context)
            depths = torch.tensor(first.tree.depths, dtype=torch.int64)
            places = before + torch.cat([torch.arange(size), size + depths])
            plain = first.tree.chain and not head
            mask = None if plain else first.tree.mask(size, before)
            runs.append(Run(len(alike), first.fed, places, mask))
            positions.append(places.repeat(len(alike)))
            for item in alike:
                ids += [*item.context, *item.tree.tokens]
                # The context's end, node -1, is the last token of the context.
                reads += [start + len(item.context) + node for node in item.tree.places]
                start += item.fed
        with attention.under_way(Row(tuple(runs), head, keep)):
            output = self._base(
                input_ids=torch.tensor([ids]),
                position_ids=torch.cat(positions)[None],
                use_cache=False,
            )
        hidden: torch.Tensor = output.last_hidden_state[0, reads]
        return hidden

    @torch.inference_mode()
    def _read(self, items: Sequence[_Item], head: KeysValues) -> list[tuple[int, np.ndarray]]:
        """Place and float64 [K] of each item."""
        hidden = self._run(items, head)
        rows, tokens, start = [], [], 0
        for item in items:
            row_of = {node: start + i for i, node in enumerate(item.tree.places)}
            rows += [row_of[reading.node] for reading in item.tree.readings]
            tokens += [reading.token for reading in item.tree.readings]
            start += len(item.tree.places)
        read = self._log_likelihoods(hidden, np.array(rows), np.array(tokens))
        done, start = [], 0
        for item in items:
            options = [reading.option for reading in item.tree.readings]
            part = read[start : start + len(options)]
            start += len(options)
            done.append((item.place, np.bincount(options, part, minlength=len(item.tree.options))))
        return done

    def _log_likelihoods(
        self, hidden: torch.Tensor, rows: np.ndarray, tokens: np.ndarray
    ) -> np.ndarray:
        """float64, log-likelihood of ``tokens[i]`` at row ``rows[i]`` of hidden states [R, d]."""
        found = np.empty(len(rows))
        for low in range(0, len(hidden), PROJECTED):
            logits = self._output(hidden[low : low + PROJECTED].float()).float()
            here = np.flatnonzero((rows >= low) & (rows < low + PROJECTED))
            at = torch.from_numpy(rows[here] - low)
            chosen = logits[at, torch.from_numpy(tokens[here])].double()
            found[here] = (chosen - logits.logsumexp(dim=-1).double()[at]).numpy()
        return found

    @torch.inference_mode()
    def _one_by_one(self, context: Sequence[int], tree: ContinuationTree) -> np.ndarray:
        """float64 [K] by the model's own forward pass, one continuation at a time."""
        found = np.empty(len(tree.options))
        for number, option in enumerate(tree.options):
            ids = torch.tensor([[*context, *option[:-1]]])
            logits = self.model(input_ids=ids, use_cache=False).logits[0, -len(option) :].float()
            chosen = logits[torch.arange(len(option)), torch.tensor(option)].double()
            found[number] = float((chosen - logits.logsumexp(dim=-1).double()).sum())
        return found

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
            self.shares = True
            self.share(head)
            found = self._output(self._run(items, self._head))
        except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, KeyError):
            # An architecture whose attention or positions don't take such rows.
            return False
        finally:
            self._head_ids, self._head = (), {}
        if found.shape != expected.shape:
            return False
        # Logits that differ by a constant would be the same probabilities: compare their spread.
        scale = (expected - expected.mean(dim=-1, keepdim=True)).abs().max()
        return bool((found - expected).abs().max() < PROBE_TOLERANCE * scale)

    def _usual_logits(self, context: list[int], tree: ContinuationTree) -> torch.Tensor:
        """[R, V] at the tree's places, from a plain forward pass along each branch."""
        rows = []
        for node in tree.places:
            branch: list[int] = []
            while node >= 0:
                branch.insert(0, tree.tokens[node])
                node = tree.parents[node]
            ids = torch.tensor([context + branch])
            rows.append(self.model(input_ids=ids, use_cache=False).logits[0, -1])
        return torch.stack(rows)
