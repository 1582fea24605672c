from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gradus.errors import UsageError
from gradus.generation.llama import LlamaDecoder
from gradus.scoring.continuations import ContinuationTree
from gradus.scoring.engine import Scorer
from gradus.scoring.projection import Projection

from .causal import FAMILIES, VOCABULARY, make_causal_lm, plain_log_likelihood

PER_TOKEN = 1e-4  # nats; the bound that the engine promises in float32
# Capped logits, ALiBi and state-space layers can't lie in one row.
ONE_BY_ONE = {"gemma2", "bloom", "mamba"}
OPTIONS = ([5], [6, 7], [6, 7, 8], [6, 9, 8, 11], [12, 5])


def draw_contexts(n: int, seed: int = 1) -> list[list[int]]:
    draw = np.random.default_rng(seed)
    return [draw.integers(3, VOCABULARY, draw.integers(1, 20)).tolist() for _ in range(n)]


def expect(family: str, contexts: Any, options: Any) -> np.ndarray:
    model = make_causal_lm(family)
    return np.array([[plain_log_likelihood(model, c, o) for o in options] for c in contexts])


def test_choose_gives_what_a_plain_forward_pass_gives(family: str) -> None:
    contexts = draw_contexts(7)
    scorer = Scorer(make_causal_lm(family), batch_tokens=40)
    assert scorer.shares == (family not in ONE_BY_ONE)
    found = scorer.choose(contexts, OPTIONS)
    lengths = [len(o) for o in OPTIONS]
    expected = expect(family, contexts, OPTIONS)
    assert expected.std() > 0.3  # a nearly uniform model would agree with anything
    assert (np.abs(found - expected) / lengths).max() < PER_TOKEN


def test_score_gives_what_a_plain_forward_pass_gives(family: str) -> None:
    contexts = draw_contexts(4)
    requests = [(c, o) for o in (*OPTIONS, [9, 9, 9, 9, 9, 9]) for c in contexts]
    model = make_causal_lm(family)
    expected = [plain_log_likelihood(model, c, o) for c, o in requests]
    found = Scorer(make_causal_lm(family)).score(requests)
    assert found.dtype == np.float64
    assert (np.abs(found - expected) / [len(o) for _, o in requests]).max() < PER_TOKEN


def test_a_shared_head_changes_nothing(family: str) -> None:
    head = [7, 8, 9, 10, 11, 12, 13]
    contexts = [*(head + c for c in draw_contexts(5)), head, [5, 6], head[:3]]
    scorer = Scorer(make_causal_lm(family))
    scorer.share(head)
    found = scorer.choose(contexts, OPTIONS)
    assert np.abs(found - expect(family, contexts, OPTIONS)).max() < 4 * PER_TOKEN
    scorer.share([])
    np.testing.assert_allclose(scorer.choose(contexts, OPTIONS), found, rtol=1e-5)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - ONE_BY_ONE))
def test_a_row_does_not_depend_on_its_batch(family: str) -> None:
    contexts = draw_contexts(30)
    scorer = Scorer(make_causal_lm(family))
    together = scorer.choose(contexts, OPTIONS)
    alone = np.concatenate([scorer.choose([c], OPTIONS) for c in contexts])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_single_tokens_take_one_row_of_logits_a_context(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(make_causal_lm("llama"))
    projected: list[int] = []
    read = Projection.read

    def counted(self: Projection, hidden: torch.Tensor, *given: Any, **named: Any) -> Any:
        projected.append(len(hidden))
        return read(self, hidden, *given, **named)

    monkeypatch.setattr(Projection, "read", counted)
    fed = count_fed(monkeypatch)
    contexts = draw_contexts(6)
    scorer.choose(contexts, [[5], [6], [7]])
    assert sum(projected) == 6
    assert sum(fed) == sum(map(len, contexts))


def count_fed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each pass through the layers is given, from now on."""
    fed: list[int] = []
    hidden = LlamaDecoder.hidden

    def counted(self: LlamaDecoder, ids: torch.Tensor, *given: Any) -> torch.Tensor:
        fed.append(ids.numel())
        return hidden(self, ids, *given)

    monkeypatch.setattr(LlamaDecoder, "hidden", counted)
    return fed


def test_the_context_is_fed_once_for_all_options(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(make_causal_lm("llama"))
    fed = count_fed(monkeypatch)
    scorer.choose([[3, 4, 5, 6]], OPTIONS)
    # [6], [6 7] and [6 9] and [6 9 8] and [12] are the beginnings that something follows.
    assert sum(fed) == 4 + 5


def test_families_with_a_forward_pass_of_their_own_take_it() -> None:
    own = {f: Scorer(make_causal_lm(f))._decoder is not None for f in ("llama", "gpt2", "gemma2")}
    assert own == {"llama": True, "gpt2": True, "gemma2": False}


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_bfloat16_is_close_and_reads_in_float32(family: str) -> None:
    contexts = draw_contexts(5)
    half = Scorer(make_causal_lm(family), dtype="bfloat16")
    found, expected = half.choose(contexts, OPTIONS), expect(family, contexts, OPTIONS)
    computing = half._decoder or half.model.base_model
    assert computing.dtype == torch.bfloat16
    assert not half.shares or half._projection.head.weight.dtype == torch.float32
    assert 0 < np.abs(found - expected).max() < 0.5


def test_progress_counts_contexts() -> None:
    seen: list[int] = []
    Scorer(make_causal_lm("gpt2")).choose(draw_contexts(4), OPTIONS, progress=seen.append)
    assert seen == [1, 2, 3, 4]


def test_nothing_to_score_is_no_error() -> None:
    scorer = Scorer(make_causal_lm("gpt2"))
    assert scorer.score([]).shape == (0,)
    assert scorer.choose([], OPTIONS).shape == (0, len(OPTIONS))


@pytest.mark.parametrize(
    ("context", "continuation", "message"),
    [
        ([], [5], "context 0 has no token"),
        ([5], [], "continuation 0 has no token"),
        ([5] * 60, [5] * 6, "66 tokens, and the model has positions for 64 before the last"),
    ],
)
def test_what_cannot_be_scored_is_named(context: Any, continuation: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Scorer(make_causal_lm("gpt2")).score([(context, continuation)])


def test_products_stay_whole_where_float32_is_asked_for() -> None:
    from gradus.scoring.products import exact, products

    draw = torch.Generator().manual_seed(1)
    left, right = torch.randn(300, 512, generator=draw), torch.randn(512, 400, generator=draw)
    expected = left.double() @ right.double()
    before = torch.backends.mkldnn.matmul.fp32_precision
    with products():
        assert (left @ right - expected).abs().max() < 1e-3
        assert (torch.backends.mkldnn.matmul.fp32_precision == before) is not exact()
    assert torch.backends.mkldnn.matmul.fp32_precision == before


def test_what_the_model_would_say_is_greedy() -> None:
    model = make_causal_lm("llama")
    ids = [5, 9, 7]
    for _ in range(4):
        ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    tree = ContinuationTree([ids[3:], [*ids[3:6], (ids[6] + 1) % VOCABULARY], [ids[3]]])
    for scorer in (Scorer(model), Scorer(make_causal_lm("bloom"))):
        reads = list(scorer.read([tuple(ids[:3])], [tree]))
        assert len(reads) == 1
        assert not scorer.shares or tree.all(reads[0].greedy).tolist() == [True, False, True]
