from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus import scoring
from gradus.errors import CheckpointError, UsageError
from gradus.records import CheckpointRef
from gradus.scoring.engine import Scorer
from gradus.scoring.records import Rolled, Scored, Source
from gradus.scoring.seam import encode, encode_pair
from gradus.scoring.text import TextScorer

from .causal import make_tokenizer, plain_log_likelihood, save_source

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "Berlin", "in", "the", "rain"]
TEXTS = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))]
SHOTS = "the cat: sat\nthe rain: saw\n"
PAIRS = [
    ("the cat", " sat on"),
    ("the cat", " saw Berlin"),
    ("the cat ", "sat"),
    ("", "Berlin in the rain"),
    *[(SHOTS + text + ":", " sat on a mat") for text in TEXTS[:6]],
]


@pytest.fixture(scope="module")
def ref(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    return save_source(tmp_path_factory.mktemp("lm"), TEXTS * 5, positions=96)


@pytest.fixture(scope="module")
def engine(ref: CheckpointRef) -> TextScorer:
    return scoring.open(ref, threads=1)


@pytest.fixture(scope="module")
def plain(ref: CheckpointRef) -> Any:
    """The same model, untouched."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(ref.path, dtype=torch.float32).eval()


def close(found: Any, expected: Any) -> None:
    """Answers that differ by rounding at most."""
    np.testing.assert_allclose(
        np.array(found, dtype=float), np.array(expected, dtype=float), rtol=1e-5
    )


@torch.inference_mode()
def one_at_a_time(plain: Any, tokenizer: Any, context: str, continuation: str) -> Scored:
    before, after = encode_pair(tokenizer, context, continuation)
    nats = plain_log_likelihood(plain, before, after)
    logits = plain(input_ids=torch.tensor([before + after])).logits[0, len(before) - 1 : -1]
    return Scored(nats, len(after), logits.argmax(dim=-1).tolist() == after)


def test_scores_are_those_of_a_plain_forward_pass(engine: TextScorer, plain: Any) -> None:
    found = engine.score_all(PAIRS)
    expected = [one_at_a_time(plain, engine.tokenizer, *pair) for pair in PAIRS]
    assert np.std([one.nats for one in expected]) > 1
    for one, other in zip(found, expected, strict=True):
        assert abs(one.nats - other.nats) < 1e-4 * other.tokens
        assert one[1:] == other[1:]
    assert engine.score(*PAIRS[1]).nats == pytest.approx(found[1].nats, rel=1e-5)


def test_a_rival_must_be_accepted(engine: TextScorer) -> None:
    pair = ("the cat", " sat")
    token = encode_pair(engine.tokenizer, *pair)[1]
    assert len(token) == 1
    assert not engine.score(*pair).greedy
    (alone,) = engine.score_all([pair], rivals=lambda text: text == " sat")
    (never,) = engine.score_all([pair], rivals=lambda text: True)
    assert alone.greedy
    assert not never.greedy
    assert alone.nats == engine.score(*pair).nats


def test_options_are_scored_as_pairs_are(engine: TextScorer) -> None:
    options = [[" sat", " saw Berlin", " sat on a mat"], [], [" mat"]]
    contexts = ["the cat", "a mat", SHOTS]
    found = engine.choose_all(contexts, options)
    for context, given_options, answers in zip(contexts, options, found, strict=True):
        expected = engine.score_all([(context, option) for option in given_options])
        np.testing.assert_allclose([a.nats for a in answers], [e.nats for e in expected], rtol=1e-5)
        assert [a[1:] for a in answers] == [e[1:] for e in expected]
    close(engine.choose(contexts[0], options[0]), found[0])
    with pytest.raises(UsageError, match="3 contexts and 1 lists"):
        engine.choose_all(contexts, [[" a"]])


def test_what_contexts_share_is_computed_once(engine: TextScorer) -> None:
    head = SHOTS * 3
    pairs = [(f"{head}{text}:", " sat") for text in TEXTS]
    lengths = [len(encode(engine.tokenizer, [c])[0]) for c, _ in pairs]
    before = engine.tokens_seen
    engine.score_all(pairs)
    fed = engine.tokens_seen - before
    size = len(encode(engine.tokenizer, [head])[0])
    assert (len(pairs) - 1) * size > 256
    assert fed < sum(lengths) - (len(pairs) - 1) * (size - 3)


def test_a_context_that_is_too_long_loses_its_beginning(engine: TextScorer, plain: Any) -> None:
    context = " ".join(TEXTS * 3)
    before, after = encode_pair(engine.tokenizer, context, " sat on")
    assert len(before) > 96
    expected = plain_log_likelihood(plain, before[-(97 - len(after)) :], after)
    assert engine.score(context, " sat on").nats == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    ("window", "stride", "bos"), [(8, 8, True), (8, 3, True), (8, 8, False), (9, 4, False)]
)
def test_rolling_adds_up_windows(
    engine: TextScorer, plain: Any, window: int, stride: int, bos: bool
) -> None:
    from gradus.scoring.windows import windows

    text = " ".join(TEXTS[:4])
    ids = encode(engine.tokenizer, [text])[0]
    whole = [engine.tokenizer.bos_token_id, *ids] if bos else ids
    cut = list(windows(len(whole), window, stride, after_bos=bos))
    expected = sum(
        plain_log_likelihood(plain, whole[start:first], whole[first:stop])
        for start, first, stop in cut
    )
    found = engine.rolling(text, window, stride, bos=bos)
    assert found.tokens == sum(stop - first for _, first, stop in cut)
    assert found.tokens == len(ids) or not bos
    assert abs(found.nats - expected) < 1e-4 * found.tokens


def test_stretches_of_a_text_add_up_to_it(engine: TextScorer) -> None:
    text = " ".join(TEXTS[:4])
    ends = [7, 8, 60, len(text)]
    parts = engine.rolling_parts([text, ""], [ends, [0]], window=16, stride=8)
    whole = engine.rolling_all([text, ""], window=16, stride=8)
    assert sum(part.tokens for part in parts[0]) == whole[0].tokens
    assert sum(part.nats for part in parts[0]) == pytest.approx(whole[0].nats, rel=1e-6)
    assert parts[1] == [Rolled(0.0, 0)] == [whole[1]]
    offsets = engine.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    last = np.array([end - 1 for _, end in offsets])
    counts = np.bincount(np.searchsorted(ends, last, side="right"), minlength=len(ends))
    assert [part.tokens for part in parts[0]] == counts.tolist()
    with pytest.raises(UsageError, match="rising offsets"):
        engine.rolling_parts([text], [[5, 3]])


def test_a_window_that_does_not_fit_is_refused(engine: TextScorer) -> None:
    with pytest.raises(UsageError, match="positions for 96"):
        engine.rolling("the cat", 97)


def test_a_continuation_without_tokens_is_named(engine: TextScorer) -> None:
    with pytest.raises(UsageError, match="item 1: the continuation '' has no token"):
        engine.score_all([("a", " b"), ("a", "")])


def test_a_causal_model_has_no_pseudo_log_likelihood(engine: TextScorer) -> None:
    with pytest.raises(UsageError, match="ask it with rolling"):
        engine.pseudo("the cat")


@pytest.mark.parametrize("method", ["score", "choose", "rolling"])
def test_an_interrupted_evaluation_goes_on(engine: TextScorer, tmp_path: Path, method: str) -> None:
    journal = tmp_path / "answers.jsonl"

    def ask(progress: Any = None, into: Path | None = journal) -> Any:
        if method == "score":
            return engine.score_all(PAIRS, journal=into, progress=progress)
        if method == "choose":
            options = [[" sat", " saw on"]] * len(PAIRS)
            contexts = [f"{number} {context}" for number, (context, _) in enumerate(PAIRS)]
            return engine.choose_all(contexts, options, journal=into, progress=progress)
        return engine.rolling_all(TEXTS, window=8, journal=into, progress=progress)

    expected = ask(into=None)
    close(ask(), expected)
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(lines) >= len(expected)
    journal.write_text("".join(lines[:5]) + lines[5][:9], encoding="utf-8")
    before, seen = engine.tokens_seen, list[int]()
    again = ask(seen.append)
    fed = engine.tokens_seen - before
    close(again, expected)
    assert seen[-1] == len(expected)
    assert len(journal.read_text(encoding="utf-8").splitlines()) == len(lines)
    before = engine.tokens_seen
    assert ask() == again
    assert engine.tokens_seen == before
    assert fed > 0
    keys = {json.loads(line)["key"] for line in journal.read_text(encoding="utf-8").splitlines()}
    assert len(keys) == len(lines)


def test_progress_ends_with_the_number_of_items(engine: TextScorer) -> None:
    seen: list[int] = []
    engine.score_all(PAIRS, progress=seen.append)
    assert seen == list(range(1, len(PAIRS) + 1))
    seen.clear()
    engine.rolling_all(["", "the cat", ""], progress=seen.append)
    assert seen == [1, 2, 3]


TOKENIZER = make_tokenizer(TEXTS[:1])


def small(family: str) -> TextScorer:
    """A model with room for the tokenizer's words, small batches and cheap heads."""
    import transformers as t

    size = {"vocab_size": len(TOKENIZER), "bos_token_id": 0, "eos_token_id": 0}
    torch.manual_seed(1)
    if family == "gpt2":
        made: Any = t.GPT2LMHeadModel(
            t.GPT2Config(**size, n_embd=16, n_layer=2, n_head=4, n_positions=128)
        )
    else:
        made = t.LlamaForCausalLM(
            t.LlamaConfig(
                **size,
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=128,
            )
        )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    source = Source(CheckpointRef(name=family, kind="transformer", path="."), "float32")
    return TextScorer(Scorer(made.eval(), batch_tokens=96), TOKENIZER, source)


ENGINES = {family: small(family) for family in ("llama", "gpt2")}
texts = st.text("abc st", min_size=1, max_size=24)
heads = st.sampled_from(["", "a cat sat on. ", "a cat sat in. bc bc cats "])


@given(st.data(), st.sampled_from(["llama", "gpt2"]))
@settings(max_examples=60)
def test_an_item_is_worth_the_same_in_any_company(data: st.DataObject, family: str) -> None:
    engine = ENGINES[family]
    item = data.draw(st.tuples(st.builds(str.__add__, heads, texts), texts.map(" c".__add__)))
    others = data.draw(
        st.lists(st.tuples(st.builds(str.__add__, heads, texts), texts.map(" c".__add__)))
    )
    place = data.draw(st.integers(0, len(others)))
    alone = engine.score(*item)
    among = engine.score_all([*others[:place], item, *others[place:]])[place]
    assert among.nats == pytest.approx(alone.nats, rel=1e-5)
    assert among.tokens == alone.tokens


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_place_that_weights_may_stand(
    ref: CheckpointRef, engine: TextScorer, dtype: str
) -> None:
    found = scoring.open(ref.path, dtype=dtype, threads=1)
    assert found.contract == {**engine.contract, "dtype": dtype}
    both = [one.score("the cat", " sat on a mat").nats for one in (found, engine)]
    bound = 1e-6 if dtype == "float32" else 0.2
    assert abs(both[0] - both[1]) <= bound * abs(both[1])


def test_what_is_no_language_model_is_refused(tmp_path: Path, ref: CheckpointRef) -> None:
    with pytest.raises(UsageError, match="unknown dtype 'int8'"):
        scoring.open(ref, dtype="int8")
    with pytest.raises(CheckpointError, match="kind 'linear'"):
        scoring.open(CheckpointRef(name="floor", kind="linear", path=str(ref.path)))
