from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradus import scoring
from gradus.errors import UsageError
from gradus.scoring.text import TextScorer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "a", "mat"]
TEXTS = ["the cat sat", "a cat", "the cat sat on a mat", "", "the mat sat on the cat", "cat cat"]


@pytest.fixture(scope="module", params=["bert", "roberta"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import transformers as t
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad", "unk", "cls", "sep", "mask")
    special = {f"{n}_token": f"[{n.upper()}]" for n in names}
    tokenizer = t.PreTrainedTokenizerFast(tokenizer_object=inner, **special)
    options = {
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 32,
        "max_position_embeddings": 24,
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    made = {
        "bert": lambda: t.BertForMaskedLM(t.BertConfig(**options)),
        "roberta": lambda: t.RobertaForMaskedLM(t.RobertaConfig(**options)),
    }[request.param]()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    place = tmp_path_factory.mktemp(request.param)
    made.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


@torch.inference_mode()
def by_hand(model: Any, tokenizer: Any, text: str) -> float:
    """Each token masked in turn, float64."""
    ids = tokenizer(text)["input_ids"]
    total = 0.0
    for place in range(1, len(ids) - 1):
        masked = [*ids[:place], tokenizer.mask_token_id, *ids[place + 1 :]]
        row = model(input_ids=torch.tensor([masked])).logits[0, place].double().numpy()
        total += row[ids[place]] - row.max() - np.log(np.exp(row - row.max()).sum())
    return float(total)


def test_each_token_is_masked_in_turn(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    engine = scoring.open(folder, threads=1, batch_tokens=20)
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    expected = [by_hand(model, engine.tokenizer, text) for text in TEXTS]
    found = engine.pseudo_all(TEXTS, journal=tmp_path / "answers.jsonl")
    np.testing.assert_allclose([one.nats for one in found], expected, rtol=1e-5)
    assert [one.tokens for one in found] == [len(text.split()) for text in TEXTS]
    assert engine.pseudo(TEXTS[2]).nats == pytest.approx(expected[2], rel=1e-5)
    before = engine.tokens_seen
    assert engine.pseudo_all(TEXTS, journal=tmp_path / "answers.jsonl") == found
    assert engine.tokens_seen == before
    assert not engine.shares


def test_what_a_masked_model_cannot_be_asked(folder: Path) -> None:
    engine: TextScorer = scoring.open(folder, threads=1)
    with pytest.raises(UsageError, match="ask it with pseudo"):
        engine.score("the cat", " sat")
    with pytest.raises(UsageError, match="text 1 has 42 tokens"):
        engine.pseudo_all(["the", " ".join(["cat"] * 40)])
