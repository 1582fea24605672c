from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from gradus import scoring
from gradus.errors import UsageError
from gradus.scoring.gaps import Cutter, fill_all, gaps
from gradus.testing.world import write_causal, write_encoder

TEXTS = [
    "the king went to the gate",
    "",
    "and " * 40 + "all his men",
    "it rained on the old town by night, and nobody came",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cloze")
    write_encoder(made, TEXTS * 5)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(made)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(made)
    return made


def test_gaps_are_filled_as_a_plain_forward_pass_fills_them(folder: Path) -> None:
    engine = scoring.open(folder)
    names = [str(number) for number in range(len(TEXTS))]
    found = fill_all(engine, iter(TEXTS), names, window=16, share=0.15)
    model = BertForMaskedLM.from_pretrained(folder).double().eval()
    tokenizer = engine.tokenizer
    for text, answer in zip(TEXTS, found, strict=True):
        own = tokenizer(text, add_special_tokens=False)["input_ids"]
        nats, tokens, correct = 0.0, 0, 0
        for start in range(0, len(own), 14):
            part = own[start : start + 14]
            places = 1 + gaps(part, 0.15)
            ids = np.array([tokenizer.cls_token_id, *part, tokenizer.sep_token_id])
            fed = ids.copy()
            fed[places] = tokenizer.mask_token_id
            with torch.inference_mode():
                said = model(torch.from_numpy(fed)[None]).logits[0].log_softmax(-1).numpy()
            nats += said[places, ids[places]].sum()
            tokens += len(places)
            correct += int((said[places].argmax(-1) == ids[places]).sum())
        assert answer.nats == pytest.approx(nats, rel=1e-4, abs=1e-6)
        assert (answer.tokens, answer.correct) == (tokens, correct)
    assert found[1] == (0.0, 0, 0)


def test_what_stands_in_the_journal_is_not_asked_again(folder: Path, tmp_path: Path) -> None:
    engine = scoring.open(folder)
    names, journal = list("abcd"), tmp_path / "journal.jsonl"
    done: list[int] = []
    first = fill_all(
        engine, TEXTS, names, window=32, share=0.15, journal=journal, progress=done.append
    )
    seen = engine.tokens_seen
    assert done == [1, 2, 3, 4]
    again = fill_all(engine, TEXTS, names, window=32, share=0.15, journal=journal)
    assert again == first
    assert engine.tokens_seen == seen
    fill_all(engine, TEXTS, names, window=16, share=0.15, journal=journal)
    assert engine.tokens_seen > seen


def test_a_causal_model_and_a_window_without_room_are_refused(folder: Path, tmp_path: Path) -> None:
    write_causal(tmp_path / "lm", TEXTS)
    with pytest.raises(UsageError, match="causal"):
        fill_all(scoring.open(tmp_path / "lm"), TEXTS, list("abcd"), window=16, share=0.15)
    with pytest.raises(UsageError, match="no room"):
        Cutter(scoring.open(folder).tokenizer, 2, 0.15)


@given(st.lists(st.integers(0, 50_000), min_size=1, max_size=600), st.floats(0.01, 0.9))
def test_gaps_follow_from_the_tokens_alone(ids: list[int], share: float) -> None:
    found = gaps(ids, share)
    assert found.tolist() == gaps(list(ids), share).tolist() == sorted(set(found.tolist()))
    assert len(found) == max(1, round(share * len(ids)))
    assert found[0] >= 0
    assert found[-1] < len(ids)


def test_every_place_is_as_likely_to_be_hidden() -> None:
    counts = np.zeros(40)
    for number in range(2000):
        counts[gaps([number, *range(39)], 0.15)] += 1
    expected = 2000 * 6 / 40
    # A chi-squared value of 39 degrees of freedom is above 73 once in a thousand.
    assert ((counts - expected) ** 2 / expected).sum() < 73
