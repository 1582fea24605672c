"""Metrics of language models against plain arithmetic in float64, and their items' files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus import benchmarks, registry
from gradus.errors import UsageError
from gradus.metrics import get
from gradus.metrics.base import Items
from gradus.metrics.conversions import SCALES, from_total
from gradus.metrics.items import read_items, read_seen, write_items
from gradus.metrics.options import Options
from gradus.metrics.repeated import Repeated
from gradus.metrics.replies import Replies
from gradus.metrics.score import Scores
from gradus.metrics.texts import UNITS, Texts
from gradus.stats.intervals import interval
from gradus.testing import populations
from gradus.testing.populations import World


def some(need: str, n: int, seed: int = 0) -> Any:
    """n items as metrics of this need take them, with ids."""
    made = populations.BUILDERS[need](
        World(accuracy=0.6, labels=(0.4, 0.3, 0.2, 0.1), size=n), np.random.default_rng(seed)
    )
    return dataclasses.replace(made, ids=tuple(f"{i:064x}" for i in range(n)))


TEXTS: Texts = some("texts", 40)
OPTIONS: Options = some("options", 60)


def _over(t: Texts, unit: str) -> float:
    return float(-math.fsum(t.nats.tolist()) / sum(getattr(t, unit).tolist()))


ORACLES: dict[str, Callable[[Texts], float]] = {
    "token_perplexity": lambda t: math.exp(_over(t, "tokens")),
    "word_perplexity": lambda t: math.exp(_over(t, "words")),
    "byte_perplexity": lambda t: 2.0 ** (_over(t, "bytes") / math.log(2)),
    "bits_per_byte": lambda t: _over(t, "bytes") * math.log2(math.e),
    "bits_per_character": lambda t: _over(t, "characters") * math.log2(math.e),
    "target_perplexity": lambda t: math.exp(-math.fsum(t.nats.tolist()) / len(t.nats)),
    "log_likelihood_nats": lambda t: math.fsum(t.nats.tolist()),
    "accuracy": lambda t: sum(t.greedy.tolist()) / len(t) if t.greedy is not None else math.nan,
    "greedy_match": lambda t: sum(t.greedy.tolist()) / len(t) if t.greedy is not None else math.nan,
}
RATES = [name for name in ORACLES if name not in ("accuracy", "greedy_match")]


def test_every_metric_of_texts_has_an_oracle() -> None:
    assert set(benchmarks.of("text").metrics) == set(ORACLES)
    assert set(SCALES) == set(RATES)


@pytest.mark.parametrize("name", ORACLES)
def test_metrics_of_texts_by_hand(name: str) -> None:
    assert get(name)(TEXTS) == pytest.approx(ORACLES[name](TEXTS), rel=1e-12)


def test_perplexity_is_of_the_sums_and_no_mean_of_perplexities() -> None:
    """A text of one hard token beside one of 99 easy ones."""
    counts: dict[str, Any] = {name: np.array([1, 99]) for name in UNITS}
    two = Texts(nats=np.array([-math.log(1000), -99 * math.log(2)]), **counts)
    assert get("token_perplexity")(two) == pytest.approx(1000**0.01 * 2**0.99)
    assert get("target_perplexity")(two) == pytest.approx(math.sqrt(1000 * 2.0**99))


def test_the_total_gives_every_unit() -> None:
    """The exact identities between units, such as bits_per_byte bytes ln 2 = -nats."""
    value = {name: get(name)(TEXTS) for name in RATES}
    counts: dict[str, float] = {name: int(getattr(TEXTS, name).sum()) for name in UNITS}
    counts["items"] = len(TEXTS)
    total = value["log_likelihood_nats"]
    assert value["bits_per_byte"] * counts["bytes"] * math.log(2) == pytest.approx(-total)
    assert value["bits_per_character"] * counts["characters"] * math.log(2) == pytest.approx(-total)
    assert math.log(value["token_perplexity"]) * counts["tokens"] == pytest.approx(-total)
    assert math.log(value["word_perplexity"]) * counts["words"] == pytest.approx(-total)
    assert value["byte_perplexity"] == pytest.approx(2 ** value["bits_per_byte"])
    for name in RATES:
        assert from_total(name, total, counts) == pytest.approx(value[name], rel=1e-12)


def test_as_lm_eval_counts() -> None:
    """The harness's own functions on the same pairs of log-likelihood and count."""
    theirs = pytest.importorskip("lm_eval.api.metrics", reason="the extra lm-eval isn't installed")
    for name, of, unit in (
        ("word_perplexity", theirs.weighted_perplexity, "words"),
        ("byte_perplexity", theirs.weighted_perplexity, "bytes"),
        ("bits_per_byte", theirs.bits_per_byte, "bytes"),
    ):
        pairs = list(zip(TEXTS.nats.tolist(), getattr(TEXTS, unit).tolist(), strict=True))
        assert get(name)(TEXTS) == pytest.approx(of(pairs), rel=1e-12)
    assert get("target_perplexity")(TEXTS) == pytest.approx(theirs.perplexity(TEXTS.nats.tolist()))


def test_options_by_hand() -> None:
    """Three items: right by nats alone, right by the character alone, right in both."""
    made = Options.of(
        gold=[0, 1, 2],
        nats=[[-4.0, -9.0], [-4.0, -6.0], [-8.0, -9.0, -3.0]],
        lengths=[[4, 18], [2, 12], [8, 3, 6]],
    )
    assert made.chosen().tolist() == [0, 0, 2]
    assert made.chosen(normalised=True).tolist() == [1, 1, 2]
    assert get("accuracy")(made) == get("accuracy_norm")(made) == pytest.approx(2 / 3)
    assert get("accuracy")(made.take(np.array([0]))) == 1.0
    assert get("accuracy_norm")(made.take(np.array([0]))) == 0.0


def _first_best(scores: list[float]) -> int:
    return scores.index(max(scores))


@given(
    st.lists(
        st.lists(st.tuples(st.floats(-50, 0), st.integers(1, 40)), min_size=2, max_size=5),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_options_as_a_loop_would_choose(rows: list[list[tuple[float, int]]], random: Any) -> None:
    gold = [random.randrange(len(row)) for row in rows]
    nats, lengths = ([[pair[i] for pair in row] for row in rows] for i in (0, 1))
    made = Options.of(gold, nats, lengths)  # type: ignore[arg-type]  # floats and whole numbers apart
    plain = [_first_best([score for score, _ in row]) for row in rows]
    normed = [_first_best([score / length for score, length in row]) for row in rows]
    pairs = ((plain, "accuracy"), (normed, "accuracy_norm"))
    for chosen, name in pairs:
        hits = [c == g for c, g in zip(chosen, gold, strict=True)]
        assert get(name)(made) == pytest.approx(sum(hits) / len(rows))


ALL: list[tuple[str, Items]] = [
    *((name, TEXTS) for name in ORACLES),
    *((name, OPTIONS) for name in benchmarks.of("option").metrics),
]
IDS = [f"{name}-{items.target}" for name, items in ALL]


@pytest.mark.parametrize(("name", "items"), ALL, ids=IDS)
def test_weights_are_repeats_and_no_items_is_nan(name: str, items: Any) -> None:
    metric, n = get(name), len(items)
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=6).astype(float)
    repeated = [metric(items.take(np.repeat(np.arange(n), w.astype(int)))) for w in weights]
    assert metric.weighted(items, weights) == pytest.approx(np.array(repeated), rel=1e-12)
    assert math.isnan(metric(items.take(np.zeros(0, np.int64))))


@pytest.mark.parametrize(("name", "items"), ALL, ids=IDS)
def test_the_interval_holds_the_value_and_stays_in_range(name: str, items: Any) -> None:
    metric = get(name)
    found = interval(metric, items, draws=300)
    assert metric.range[0] <= found.low <= metric(items) <= found.high <= metric.range[1]
    assert found.low < found.high


def test_the_interval_of_the_total_is_that_of_the_mean_times_n() -> None:
    total = interval(get("log_likelihood_nats"), TEXTS, draws=300, seed=1)
    n, nats = len(TEXTS), TEXTS.nats
    half = 1.96 * math.sqrt(n) * float(nats.std(ddof=1))
    assert total.low == pytest.approx(float(nats.sum()) - half, rel=0.2)
    assert total.high == pytest.approx(float(nats.sum()) + half, rel=0.2)


def test_what_was_not_asked_has_no_accuracy() -> None:
    mute = dataclasses.replace(TEXTS, greedy=None)
    for name in ("accuracy", "greedy_match"):
        kind = registry.load("metrics", name)
        assert not kind.asked_of(mute)
        assert kind.asked_of(TEXTS)
        assert math.isnan(get(name)(mute))
        found = interval(get(name), mute)
        assert math.isnan(found.low)
    assert registry.load("metrics", "accuracy").asked_of(OPTIONS)
    assert get("token_perplexity")(mute) == get("token_perplexity")(TEXTS)


def test_units_that_a_text_lacks_are_nan_and_the_impossible_is_infinite() -> None:
    none = dataclasses.replace(TEXTS, words=np.zeros(len(TEXTS), np.int64))
    assert math.isnan(get("word_perplexity")(none))
    sunk = dataclasses.replace(TEXTS, nats=np.where(TEXTS.nats == TEXTS.nats[0], -np.inf, -1.0))
    assert get("bits_per_byte")(sunk) == math.inf
    assert get("token_perplexity")(sunk) == math.inf
    sure = dataclasses.replace(TEXTS, nats=np.zeros(len(TEXTS)))
    found = interval(get("token_perplexity"), sure, draws=100)
    assert (get("token_perplexity")(sure), found.low, found.high) == (1.0, 1.0, 1.0)


def test_scores_of_a_plan_may_combine_them() -> None:
    raw: dict[str, dict[str, Any]] = {
        "sum": {"combine": "bits_per_byte + 0.1 * token_perplexity", "direction": "lower"},
        "cost": {"prices": {}, "default_right": 0.0, "default_wrong": 2.0},
        "mixed": {"combine": "0.5 * accuracy + 0.5 * accuracy_norm"},
    }
    scores = Scores.of(raw)
    assert set(scores.on("text", ())) == {"sum"}
    assert set(scores.on("option", ())) == {"mixed"}
    assert scores.kind("sum").bound == ("tokenizer",)
    assert scores.kind("sum").needs == "texts"
    metric, made = scores.get("sum"), get("bits_per_byte")(TEXTS)
    assert metric(TEXTS) == pytest.approx(made + 0.1 * get("token_perplexity")(TEXTS))
    with pytest.raises(UsageError, match="no data set is measured by all of"):
        Scores.of({"odd": {"combine": "accuracy_norm + bits_per_byte"}})


@pytest.mark.parametrize("mute", [False, True])
def test_texts_come_back_from_their_file(mute: bool, tmp_path: Path) -> None:
    items = dataclasses.replace(TEXTS, greedy=None) if mute else TEXTS
    write_items(tmp_path / "t.parquet", items, ["é"] * len(items))
    back, texts = read_items(tmp_path / "t.parquet")
    assert isinstance(back, Texts)
    assert (back.ids, texts) == (items.ids, ["é"] * len(items))
    for name in ("nats", *UNITS):
        np.testing.assert_array_equal(getattr(back, name), getattr(items, name))
    assert (back.greedy is None) == mute
    assert mute or back.right().tolist() == TEXTS.right().tolist()


def test_options_and_replies_come_back_from_their_files(tmp_path: Path) -> None:
    ragged = Options.of([1, 0], [[-1.0, -2.0, -0.5], [-3.0, -1.0]], [[3, 4, 5], [6, 7]], ("a", "b"))
    write_items(tmp_path / "o.parquet", ragged, ["one", "two"])
    back, _ = read_items(tmp_path / "o.parquet")
    assert isinstance(back, Options)
    np.testing.assert_array_equal(back.nats, ragged.nats)
    np.testing.assert_array_equal(back.lengths, ragged.lengths)
    assert (back.ids, back.gold.tolist()) == (("a", "b"), [1, 0])
    replies = Replies(("yes", ""), (("yes", "y"), ("no",)), ("a", "b"))
    write_items(tmp_path / "r.parquet", replies, ["one", "two"])
    again, _ = read_items(tmp_path / "r.parquet")
    assert again == replies


def test_several_seeds_come_back_from_their_file(tmp_path: Path) -> None:
    both = Repeated((TEXTS, dataclasses.replace(TEXTS, nats=TEXTS.nats * 1.1)), 1)
    write_items(tmp_path / "t.parquet", both, ["x"] * len(TEXTS))
    back, _ = read_seen(tmp_path / "t.parquet")
    assert isinstance(back, Repeated)
    np.testing.assert_array_equal(back.one.nats, TEXTS.nats * 1.1)  # type: ignore[attr-defined]  # Texts
