"""One total in every unit: by hand, there and back, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus import registry
from gradus.errors import UsageError
from gradus.metrics.conversions import SCALES, convert, from_total, to_total

COUNTS = {"tokens": 7, "words": 5, "characters": 28, "bytes": 31, "items": 2}
counts = st.fixed_dictionaries({name: st.integers(1, 10**9) for name in COUNTS})
names = st.sampled_from(sorted(SCALES))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("log_likelihood_nats", -20.0),
        ("token_perplexity", math.e ** (20 / 7)),
        ("word_perplexity", math.e**4),
        ("byte_perplexity", math.e ** (20 / 31)),
        ("target_perplexity", math.e**10),
        ("bits_per_byte", 20 / 31 * math.log2(math.e)),
        ("bits_per_character", 20 / 28 * math.log2(math.e)),
    ],
)
def test_by_hand(metric: str, expected: float) -> None:
    assert from_total(metric, -20.0, COUNTS) == pytest.approx(expected, rel=1e-14)
    assert to_total(metric, expected, COUNTS) == pytest.approx(-20.0, rel=1e-13)


def test_every_scale_is_a_metric() -> None:
    known = {registry.plain(name) for name in registry.names("metrics")}
    assert set(SCALES) <= known


@given(rate=st.floats(1e-6, 50), counts=counts, metric=names)
def test_there_and_back(rate: float, counts: dict[str, int], metric: str) -> None:
    nats = -rate * counts[SCALES[metric].over or "tokens"]
    back = to_total(metric, from_total(metric, nats, counts), counts)
    assert back == pytest.approx(nats, rel=1e-9)


@given(rate=st.floats(0.01, 20), counts=counts, source=names, target=names)
def test_between_units_by_the_total(
    rate: float, counts: dict[str, int], source: str, target: str
) -> None:
    nats = -rate * counts[SCALES[source].over or "tokens"]
    direct = from_total(target, nats, counts)
    through = convert(from_total(source, nats, counts), source, target, counts)
    # An exponential makes of a relative error of the exponent an absolute one.
    exponent = -nats / counts[SCALES[target].over or "tokens"]
    assert through == direct or through == pytest.approx(direct, rel=1e-12 * (10 + exponent))


@given(nats=st.floats(-1e6, 0), more=st.floats(0, 1e5), counts=counts, metric=names)
def test_the_less_likely_is_the_worse(
    nats: float, more: float, counts: dict[str, int], metric: str
) -> None:
    worse, better = from_total(metric, nats - more, counts), from_total(metric, nats, counts)
    assert worse <= better if metric == "log_likelihood_nats" else worse >= better


def test_certainty_and_impossibility() -> None:
    for metric in SCALES:
        sure = from_total(metric, 0.0, COUNTS)
        assert sure == (1.0 if "perplexity" in metric else 0.0)
        assert math.copysign(1, to_total(metric, sure, COUNTS)) == 1
    assert from_total("token_perplexity", -1e9, COUNTS) == math.inf
    assert to_total("token_perplexity", math.inf, COUNTS) == -math.inf
    assert from_total("bits_per_byte", -math.inf, COUNTS) == math.inf


@pytest.mark.parametrize(
    ("metric", "nats", "given", "said"),
    [
        ("perplexity", -1.0, COUNTS, "unknown metric of a total 'perplexity'"),
        ("token_perplexity", 0.1, COUNTS, "0 or less, not 0.1"),
        ("token_perplexity", math.nan, COUNTS, "0 or less, not nan"),
        ("word_perplexity", -1.0, {"tokens": 3}, r"give counts\['words'\]"),
        ("bits_per_byte", -1.0, {"bytes": 0}, "number of bytes, which can't be 0"),
        ("bits_per_byte", -1.0, {"bytes": -2}, "can't be -2"),
    ],
)
def test_what_no_text_can_have(metric: str, nats: float, given: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_total(metric, nats, given)


@pytest.mark.parametrize(
    ("metric", "value"),
    [("token_perplexity", 0.99), ("bits_per_byte", -0.1), ("log_likelihood_nats", 1.0)],
)
def test_values_out_of_range_have_no_total(metric: str, value: float) -> None:
    with pytest.raises(UsageError, match=r"or (more|less), not"):
        to_total(metric, value, COUNTS)
    with pytest.raises(UsageError):
        convert(value, metric, "bits_per_character", COUNTS)
