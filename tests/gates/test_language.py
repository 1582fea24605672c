"""Gates on language models' numbers: what is compared, how, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from gradus.errors import ContractError
from gradus.gates import Side, judge, parse
from gradus.gates.sides import check_contract
from gradus.metrics import get
from gradus.metrics.base import Items
from gradus.metrics.options import Options
from gradus.metrics.texts import Texts
from gradus.records import Answer, Measurement, Verdict
from gradus.testing import populations
from gradus.testing.populations import World

CONTRACT = {
    "dtype": "float32",
    "backend": "torch",
    "tokenizer": "aaaa",
    "window": "1024",
    "stride": "512",
    "bos": "yes",
    "detokeniser": "invertible",
    "file": "0123",
}
N = 200


def texts(seed: int, *, easier: float = 0.0) -> Texts:
    """The same 200 texts; `easier` nats a token taken off what another draw of noise gives."""
    world = World(accuracy=0.6, size=N)
    made: Texts = populations.texts(world, np.random.default_rng(0))
    noise = np.random.default_rng(seed).normal(0, 0.05, N)
    nats = np.minimum(made.nats * (1 + noise) + easier * made.tokens, 0.0)
    ids = tuple(f"{i:08x}" for i in range(N))
    return dataclasses.replace(made, nats=nats, ids=ids)


def options(wrong: int) -> Options:
    gold = np.zeros(N, np.int64)
    nats = np.tile([-1.0, -2.0], (N, 1))
    nats[:wrong] = [-2.0, -1.0]
    return Options(gold, nats, np.full((N, 2), 4), tuple(f"{i:08x}" for i in range(N)))


def side(name: str, items: Items, metric: str, **contract: str | None) -> Side:
    kind = get(metric)
    terms = {k: v for k, v in {**CONTRACT, **contract}.items() if v is not None}
    measured = Measurement(
        metric=metric,
        value=kind(items),
        unit=kind.unit,
        direction=kind.direction,
        n=len(items),
        benchmark="wikitext-2.v1",
        data="wikitext-2",
        checkpoint=name,
        contract=terms,
    )
    return Side(name, [measured], items)


def verdict(gate: str, own: Items, other: Items, **contract: str | None) -> Verdict:
    metric = parse(gate).measured
    mine, theirs = side("small", own, metric), side("tuned", other, metric, **contract)
    return judge(parse(gate), mine, theirs, draws=400)


@pytest.mark.parametrize(
    ("gate", "easier", "answer"),
    [
        ("bits_per_byte < tuned", 0.1, "open"),
        ("bits_per_byte < tuned", -0.1, "closed"),
        ("bits_per_byte < tuned", 0.0, "undecided"),
        ("token_perplexity <= tuned + 1", 0.0, "open"),
        ("word_perplexity <= 1.05 * tuned", 0.0, "open"),
        ("word_perplexity <= 1.05 * tuned", -0.3, "closed"),
        ("target_perplexity < tuned", 0.1, "open"),
        ("log_likelihood_nats > tuned", 0.1, "open"),
        ("log_likelihood_nats > tuned", -0.1, "closed"),
    ],
)
def test_texts_are_compared_in_pairs(gate: str, easier: float, answer: str) -> None:
    found = verdict(gate, texts(1, easier=easier), texts(2))
    assert found.verdict == answer, found.why
    assert found.n == N
    assert "paired" in found.test
    if answer == "undecided":
        assert found.n_needed is None or found.n_needed > N
    own = get(parse(gate).metric)(texts(1, easier=easier))
    assert found.value == pytest.approx(own)


def test_choices_and_greedy_targets_are_compared_by_mcnemar() -> None:
    for metric in ("accuracy", "accuracy_norm"):
        found = verdict(f"{metric} > tuned", options(10), options(60))
        assert (found.verdict, found.test) == ("open", "exact McNemar")
        assert found.p_value == pytest.approx(0.5**50)
    hit, missed = np.ones(N, bool), np.arange(N) >= 40
    better, worse = (dataclasses.replace(texts(1), greedy=g) for g in (hit, missed))
    for metric in ("accuracy", "greedy_match"):
        found = verdict(f"{metric} > tuned", better, worse)
        assert (found.verdict, found.test) == ("open", "exact McNemar")
        assert found.difference == pytest.approx(0.2)


def test_a_bound_on_one_model() -> None:
    own = texts(1)
    value = get("bits_per_byte")(own)
    for factor, answer in ((1.1, "open"), (1.0, "undecided"), (0.9, "closed")):
        gate = parse(f"surely bits_per_byte <= {value * factor:.6f}")
        found = judge(gate, side("small", own, "bits_per_byte"), None, draws=400)
        assert found.verdict == answer, found.why


@pytest.mark.parametrize(
    ("metric", "key", "value"),
    [
        ("token_perplexity", "tokenizer", "bbbb"),
        *(
            (metric, key, "other")
            for metric in ("token_perplexity", "word_perplexity", "bits_per_byte", "accuracy")
            for key in ("window", "stride", "bos", "detokeniser", "file")
        ),
    ],
)
def test_what_was_taken_differently_is_refused_by_key_and_values(
    metric: str, key: str, value: str
) -> None:
    with pytest.raises(ContractError) as caught:
        verdict(f"{metric} <= tuned", texts(1), texts(2), **{key: value})
    said = str(caught.value)
    assert said.startswith(f"{metric} of small and of tuned can't be compared: {key} is ")
    assert f"'{CONTRACT[key]}' here and '{value}' there" in said


def test_a_limit_on_one_side_alone_is_refused() -> None:
    with pytest.raises(ContractError, match="limit is not stated here and '300' there"):
        verdict("bits_per_byte <= tuned", texts(1), texts(2), limit="300")
    with pytest.raises(ContractError, match="window is '1024' here and not stated there"):
        verdict("bits_per_byte <= tuned", texts(1), texts(2), window=None)


@pytest.mark.parametrize(
    "metric", ["word_perplexity", "byte_perplexity", "bits_per_byte", "bits_per_character"]
)
def test_units_of_the_text_are_compared_across_tokenizers(metric: str) -> None:
    found = verdict(f"{metric} < tuned", texts(1, easier=0.1), texts(2), tokenizer="bbbb")
    assert found.verdict is Answer.OPEN
    with pytest.raises(ContractError, match="across tokenizers compare bits_per_byte"):
        verdict("token_perplexity < tuned", texts(1), texts(2), tokenizer="bbbb")


def test_what_comes_with_the_checkpoint_may_differ() -> None:
    more: dict[str, Any] = {"max_tokens": "256", "preset": "x", "batching": "other"}
    found = verdict("bits_per_byte <= tuned + 0.1", texts(1), texts(2), **more)
    assert found.verdict is Answer.OPEN
    assert "hand-off" not in found.why
    handed = verdict("bits_per_byte <= tuned + 0.1", texts(1), texts(2), dtype="bfloat16")
    assert "a hand-off comparison (dtype bfloat16 to float32)" in handed.why


def test_metrics_are_looked_up_where_the_caller_has_none() -> None:
    own, other = (
        side("small", texts(1), "token_perplexity", tokenizer=t).measurements[0] for t in "ab"
    )
    with pytest.raises(ContractError, match="tokenizer is 'a' here and 'b' there"):
        check_contract(own, other)
    for text in ("bits_per_byte{language=Han}", "my_score"):
        first, second = (dataclasses.replace(m, metric=text) for m in (own, other))
        assert check_contract(first, second) == ""
    with pytest.raises(ContractError, match="my_score of small"):
        check_contract(first, second, bound=("tokenizer",))


def test_the_amount_of_text_is_what_is_true_of_it() -> None:
    other = texts(2)
    other = dataclasses.replace(other, bytes=other.bytes + (np.arange(N) == 3))
    with pytest.raises(ContractError, match="1 shared items have different true labels"):
        verdict("bits_per_byte < tuned", texts(1), other)


def test_undefined_numbers_close() -> None:
    none = dataclasses.replace(texts(1), words=np.zeros(N, np.int64))
    found = verdict("word_perplexity < tuned", none, none)
    assert found.verdict is Answer.CLOSED
    assert math.isnan(get("word_perplexity")(none))
