"""Language modelling as a task, against what transformers itself says of the same tokens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.test_blocks import BACK, END, FRONT, MASK, SPECIALS, Documents
from torch.nn.functional import cross_entropy

from gradus.errors import TrainingError
from gradus.training.architectures import ARCHITECTURES, ArchitectureConfig, Special
from gradus.training.blocks import (
    NONE,
    CausalBlocks,
    Cutting,
    LanguageBatch,
    MaskedBlocks,
    Mixture,
)
from gradus.training.language import LanguageHead, LanguageTask
from gradus.training.masking import Masking
from gradus.training.tally import Held

VOCABULARY, BLOCK = 90, 16
CAUSAL = ("gpt2", "gpt1", "llama")


def model(architecture: str, tied: bool | None = None) -> Any:
    torch.manual_seed(1)
    config = ArchitectureConfig(architecture=architecture, layers=2, width=32, heads=4, tied=tied)
    made = (
        ARCHITECTURES[architecture]
        .make(config, config.shape(32), Special(VOCABULARY, END, END, None))
        .eval()
    )
    with torch.no_grad():
        for parameter in made.parameters():
            # Larger weights, so that what is predicted differs from token to token.
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return made


def blocks(architecture: str, stream: Documents, how: Cutting) -> Any:
    if architecture != "bert":
        return CausalBlocks(stream, BLOCK, how)
    masking = Masking(0.15, "token", MASK, np.arange(VOCABULARY) < SPECIALS)
    return MaskedBlocks(stream, BLOCK, how, masking=masking, around=(FRONT, BACK))


def task(
    architecture: str,
    full: Any = None,
    *,
    apart: bool = False,
    kinds: dict[str, np.ndarray] | None = None,
    **options: Any,
) -> LanguageTask:
    stream = Documents.of([9, 21, 13, 30], ends=True)
    train = Mixture([blocks(architecture, stream, Cutting(apart=apart))], [1.0], 0)
    held = Held(
        blocks(architecture, stream, Cutting(apart=apart, whole=True)),
        np.array([50, 60, 70, 80]),
        kinds or {},
    )
    return LanguageTask(
        full or model(architecture),
        name="test",
        train=train,
        held={"plays": held},
        causal=architecture != "bert",
        digest="",
        **options,
    )


def outright(full: Any, batch: LanguageBatch) -> torch.Tensor:
    """float32 [n], the loss of each target, segment by segment, by the model's own forward."""
    full.base_model.set_attn_implementation("eager")
    found = []
    for piece, n, length in batch.layout.slices():
        logits = full(input_ids=batch.ids[piece].view(n, length)).logits.flatten(0, 1)
        targets = batch.targets[piece]
        losses = cross_entropy(logits, targets, reduction="none", ignore_index=NONE)
        found.append(losses[targets != NONE])
    return torch.cat(found)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("architecture", [*CAUSAL, "bert"])
def test_loss_and_gradients_are_those_of_the_whole_model(architecture: str, apart: bool) -> None:
    made = task(architecture, apart=apart)
    batch = made.train.batch(range(len(made.train)))
    features = made.features(made.backbone.run(batch), batch.layout)
    value = made.loss(features, batch, None)  # type: ignore[arg-type]  # it has no say
    value.backward()
    found = {name: p.grad for name, p in made.full.named_parameters()}
    again = model(architecture)
    expected = outright(again, batch)
    expected.sum().backward()
    assert made.weight(batch) == len(expected)
    assert float(value.detach()) == pytest.approx(float(expected.sum().detach()), rel=1e-5)
    for name, parameter in again.named_parameters():
        assert parameter.grad is not None
        assert found[name] is not None
        # A bias of keys has no gradient but rounding.
        scale = max(float(parameter.grad.abs().max()), 1e-3)
        assert torch.allclose(found[name], parameter.grad, atol=2e-4 * scale), name


def test_apart_no_document_knows_of_the_one_before() -> None:
    made = task("gpt2", apart=True)
    features = lambda texts, batch: made.backbone.run(batch)  # noqa: E731
    with torch.inference_mode():
        together = made.examine(features, torch.float32)
    alone = []
    for size, low in zip([9, 21, 13, 30], np.cumsum([0, 9, 21, 13]), strict=True):
        ids = torch.tensor([END, *range(SPECIALS + int(low), SPECIALS + int(low) + size), END])
        logits = []
        full = model("gpt2")
        full.base_model.set_attn_implementation("eager")
        with torch.no_grad():
            # Cut where the stream is cut: the block's border is a multiple of 16 of the stream.
            start = int(low) + len(alone)
            borders = [0, *(b - start for b in range(0, 80, BLOCK) if start < b < start + size + 1)]
            for a, b in zip(borders, [*borders[1:], size + 1], strict=True):
                logits.append(full(input_ids=ids[None, a:b]).logits[0])
        alone.append(float(cross_entropy(torch.cat(logits), ids[1:], reduction="sum")))
    assert together.values["select_loss"] == pytest.approx(sum(alone) / (73 + 4), rel=1e-5)


@pytest.mark.parametrize("architecture", ["gpt2", "bert"])
def test_what_is_examined_by_hand(architecture: str) -> None:
    kinds = {"domain=a": np.array([True, False, True, False])}
    made = task(architecture, kinds=kinds)
    features = lambda texts, batch: made.backbone.run(batch)  # noqa: E731
    with torch.inference_mode():
        found = made.examine(features, torch.float32)
    batch = made.select.batch(range(len(made.select)))
    with torch.no_grad():
        nats = outright(model(architecture), batch).double().numpy()
    told = batch.targets.numpy() != NONE
    places, targets = batch.places[told], batch.targets.numpy()[told]
    values = found.values
    assert values["select_loss"] == pytest.approx(nats.mean(), rel=1e-5)
    assert values["select_token_perplexity"] == pytest.approx(math.exp(nats.mean()), rel=1e-5)
    assert values["select_loss_low"] < nats.mean() < values["select_loss_high"]
    begins = np.array([0, 10, 32, 46, 77])
    document = np.searchsorted(begins, places, side="right") - 1
    if architecture == "gpt2":
        text = targets != END
        bits = nats[text].sum() / math.log(2) / 260
        assert values["select_bits_per_byte"] == pytest.approx(bits, rel=1e-5)
        first = text & np.isin(document, [0, 2])
        bits = nats[first].sum() / math.log(2) / 120
        assert values["select_bits_per_byte{domain=a}"] == pytest.approx(bits, rel=1e-5)
    else:
        assert 0 <= values["select_accuracy"] <= 1
        assert "select_bits_per_byte" not in values
    assert found.nats is not None
    assert found.terms is not None
    owners = batch.owners[told]
    expected = np.bincount(owners, weights=nats, minlength=len(made.select))
    assert np.allclose(found.nats, expected, rtol=1e-5)
    assert np.array_equal(found.terms, np.bincount(owners, minlength=len(made.select)))
    rows = np.array([1, 0])
    with torch.inference_mode():
        sums, terms = made.nats(made.select, rows, torch.float32)
    assert np.allclose(sums, expected[rows], rtol=1e-5)
    assert np.array_equal(terms, found.terms[rows])


def test_blocks_of_train_that_are_followed_stay_the_same() -> None:
    made = task("bert")
    with torch.inference_mode():
        rows = np.arange(2)
        first = made.nats(made.train, rows, torch.float32)
        made.begin_epoch(4)
        again = made.nats(made.train, rows, torch.float32)
    assert np.array_equal(first[0], again[0])
    assert made.train.epoch == 4


def test_the_interval_is_that_of_a_ratio_over_documents() -> None:
    from scipy import stats

    made = task("gpt2")
    features = lambda texts, batch: made.backbone.run(batch)  # noqa: E731
    with torch.inference_mode():
        values = made.examine(features, torch.float32).values
        batch = made.select.batch(range(len(made.select)))
        nats = outright(model("gpt2"), batch).double().numpy()
    document = np.searchsorted([0, 10, 32, 46, 77], batch.places, side="right") - 1
    above, below = np.bincount(document, weights=nats), np.bincount(document)
    # The jackknife's error is a way of its own to the linearised one; near it for any ratio.
    left = [(above.sum() - a) / (below.sum() - b) for a, b in zip(above, below, strict=True)]
    error = math.sqrt(3 / 4 * float(((np.array(left) - np.mean(left)) ** 2).sum()))
    half = (values["select_loss_high"] - values["select_loss_low"]) / 2
    assert half == pytest.approx(stats.t.ppf(0.975, 3) * error, rel=0.5)


@pytest.mark.parametrize("tied", [True, False])
def test_each_parameter_is_there_once(tied: bool) -> None:
    full = model("gpt2", tied)
    parameters = task("gpt2", full).parameters()
    assert len({id(p) for p in parameters.values()}) == len(parameters)
    assert {id(p) for p in parameters.values()} == {id(p) for p in full.parameters()}
    assert any(name.startswith("head.") for name in parameters) != tied


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_heads_of_masked_families_are_understood(family: str) -> None:
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        DistilBertConfig,
        DistilBertForMaskedLM,
        RobertaConfig,
        RobertaForMaskedLM,
    )

    sizes = {
        "vocab_size": 61,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 40,
    }
    torch.manual_seed(0)
    if family == "distilbert":
        full: Any = DistilBertForMaskedLM(
            DistilBertConfig(vocab_size=61, dim=16, n_layers=1, n_heads=2, hidden_dim=32)
        )
    else:
        kind, config = {
            "bert": (BertForMaskedLM, BertConfig),
            "roberta": (RobertaForMaskedLM, RobertaConfig),
        }[family]
        full = kind(config(**sizes))
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    head = LanguageHead(full.eval())
    ids = torch.arange(4, 20)[None]
    with torch.no_grad():
        hidden = full.base_model(ids).last_hidden_state[0]
        logits = head.transformed(hidden) @ head.weight.T + head.bias
        expected = full(ids).logits[0]
    assert torch.allclose(logits, expected, atol=1e-5)


def test_a_model_without_a_language_head_is_refused() -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    with pytest.raises(TrainingError, match="no language-model head"):
        LanguageHead(BertForSequenceClassification(config))


def test_operations_of_a_batch_by_hand() -> None:
    made = task("gpt2")
    batch = made.train.batch([0, 1])
    # Attention: two products of L x L x d, forward once and backward twice, half of it causal.
    attention = 3 * 2 * (2 * 2 * 2 * BLOCK**2 * 32) * 0.5
    head = 6 * VOCABULARY * 32 * 2 * BLOCK
    assert made.flops(batch.layout, 100.0) == pytest.approx(3200 + attention + head)


def test_it_learns_documents_by_heart(tmp_path: Any) -> None:
    from gradus.testing.world import ListeningMonitor
    from gradus.training.loop import train
    from gradus.training.pretraining import PretrainStage

    made = task("llama", z_loss=1e-4)
    stage = PretrainStage(steps=120, lr=1e-2, batch_size=4, validate_every=60, gap_rows=0)
    monitor = ListeningMonitor(None)
    train(made, [stage], seed=0, work=tmp_path, monitor=monitor)
    losses = [row["select_loss"] for row in monitor.rows if "select_loss" in row]
    assert len(losses) == 2
    # Each token of these documents is followed by one other alone.
    assert losses[-1] < 0.5 < math.log(VOCABULARY) / 2
