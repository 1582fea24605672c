"""Replies of a language model on data with the target reply, against transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gradus import benchmarks, sources
from gradus.data.conversations import Conversation
from gradus.errors import UsageError
from gradus.generation.chat import PLAIN
from gradus.metrics.items import read_items, write_items
from gradus.metrics.reply_log_likelihood import ReplyLogLikelihood
from gradus.predict.model import language_model
from gradus.predict.replies import MOST_TOKENS, Said, most_tokens
from gradus.predict.stream import predict_stream
from gradus.testing.world import World

PROMPTS = ["On Monday the striker", Conversation([("system", "Brief."), ("user", "A car maker")])]
REFERENCES = ["won the final.", "cut its profit forecast."]


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    return Path(World(folder).model("lm").path)


def test_the_references_likelihood_is_transformers(lm: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(lm).eval()
    tokenizer = AutoTokenizer.from_pretrained(lm)
    predictor = language_model(sources.locate_weights("lm", {"folder": str(lm)}, lm)).predictor
    said = predictor.replies(PROMPTS, references=REFERENCES)
    prompts = ["User: On Monday the striker\n", "System: Brief.\nUser: A car maker\n"]
    for prompt, reference, one in zip(prompts, REFERENCES, said, strict=True):
        before = tokenizer(f"{prompt}Assistant:", add_special_tokens=False)["input_ids"]
        answer = tokenizer(f" {reference}</s>", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([[*before, *answer]])).logits[0].double()
        rows = logits.log_softmax(-1)[len(before) - 1 : -1]
        wanted = float(rows.gather(1, torch.tensor(answer)[:, None]).sum())
        assert one.nats == pytest.approx(wanted, abs=1e-3)


def test_replies_are_transformers_greedy_ones(lm: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(lm).eval()
    tokenizer = AutoTokenizer.from_pretrained(lm)
    tokenizer.chat_template = PLAIN
    predictor = language_model(sources.locate_weights("lm", {"folder": str(lm)}, lm)).predictor
    said = predictor.replies([PROMPTS[0]], references=["x" * 20])
    ids = tokenizer("User: On Monday the striker\nAssistant:", add_special_tokens=False)
    start = torch.tensor([ids["input_ids"]])
    written = model.generate(start, max_new_tokens=16, do_sample=False, pad_token_id=0)
    text = tokenizer.decode(written[0, start.shape[1] :], skip_special_tokens=True)
    assert said[0].text == text.strip()


def test_length_goes_by_the_longest_reference() -> None:
    assert most_tokens(["a"]) == 16
    assert most_tokens(["a" * 33]) == 32
    assert most_tokens(["永" * 22]) == 64  # 66 bytes
    assert most_tokens(["a" * 100_000]) == MOST_TOKENS
    assert most_tokens(None) == MOST_TOKENS


def test_items_keep_their_likelihoods(tmp_path: Path) -> None:
    world = World(tmp_path, target="reply")
    split = world.dataset.splits["test"].take(range(3))
    outputs = [Said("sport", -1.0), Said("x", -2.0), Said("y", -3.0)]
    kind = benchmarks.of("reply")
    seen = kind.observe(outputs, (), split, ())
    write_items(tmp_path / "items.parquet", seen, split.texts)
    again, texts = read_items(tmp_path / "items.parquet")
    assert texts == list(split.texts)
    assert ReplyLogLikelihood()(again) == ReplyLogLikelihood()(seen) == -2.0
    unasked = kind.observe([Said(o.text) for o in outputs], (), split, ())
    assert not ReplyLogLikelihood.asked_of(unasked)
    write_items(tmp_path / "unasked.parquet", unasked, split.texts)
    assert not ReplyLogLikelihood.asked_of(read_items(tmp_path / "unasked.parquet")[0])


def test_a_language_model_predicts_replies(lm: Path) -> None:
    model = language_model(sources.locate_weights("lm", {"folder": str(lm)}, lm))
    (record,) = predict_stream(model, [PROMPTS[0]])
    assert record == {"line": 1, "reply": model.predict([PROMPTS[0]])[0].reply}
    with pytest.raises(UsageError, match="predicts replies"):
        model.predict([PROMPTS[0]], threshold=0.5)
