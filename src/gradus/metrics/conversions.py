"""From one stored total to every unit of a language model's number, and between units.

A model gives a text one log-likelihood in nats. Divided by a count of the same text (tokens, words,
characters, bytes, or items) it is a rate, and a rate is written as a perplexity, e to its power, or
as bits, over ln 2:

    token_perplexity = exp(-nats / tokens)      bits_per_byte = -nats / (bytes ln 2)

Nothing is lost on the way, so each of them gives back the total where the count is known. What two
numbers were taken under (window, stride, ...) no conversion can change.

Shannon (1948) has the rate; Jelinek et al. (1977) the perplexity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from gradus.errors import UsageError, unknown

Count = Literal["tokens", "words", "characters", "bytes", "items"]


class Scale(NamedTuple):
    """How a number is made of a total: what it is divided by, and how the rate is written."""

    over: Count | None
    written: Literal["nats", "bits", "perplexity"]


SCALES: Final[Mapping[str, Scale]] = {
    "log_likelihood_nats": Scale(None, "nats"),
    "token_perplexity": Scale("tokens", "perplexity"),
    "word_perplexity": Scale("words", "perplexity"),
    "byte_perplexity": Scale("bytes", "perplexity"),
    "target_perplexity": Scale("items", "perplexity"),
    "bits_per_byte": Scale("bytes", "bits"),
    "bits_per_character": Scale("characters", "bits"),
}
"""Plain names of the metrics that one total is written as."""


def from_total(metric: str, nats: float, counts: Mapping[str, float]) -> float:
    """The metric's value where a text has the log-likelihood `nats` (0 or less).

    `counts` are those of the text; only the one that the metric divides by is looked at. A
    perplexity too large for a float is infinite.

    >>> round(from_total("bits_per_byte", -30.0, {"bytes": 20}), 4)
    2.164
    >>> from_total("token_perplexity", 0.0, {"tokens": 7})
    1.0

    Raises:
        UsageError: there is no such metric, its count is missing or isn't positive, or `nats` is
            above 0.
    """
    scale = _scale(metric)
    if not nats <= 0:
        raise UsageError(f"a log-likelihood is 0 or less, not {nats} nats")
    if scale.over is None:
        return nats
    rate = -nats / _count(metric, scale.over, counts)
    if scale.written == "bits":
        return rate / math.log(2)
    try:
        return math.exp(rate)
    except OverflowError:
        return math.inf


def to_total(metric: str, value: float, counts: Mapping[str, float]) -> float:
    """The log-likelihood in nats of a text on which the metric has this value.

    >>> round(to_total("bits_per_byte", 1.0, {"bytes": 10}), 4)
    -6.9315

    Raises:
        UsageError: as `from_total`; or the metric can't have that value.
    """
    scale = _scale(metric)
    if scale.over is None:
        from_total(metric, value, counts)
        return value
    count = _count(metric, scale.over, counts)
    least = 1.0 if scale.written == "perplexity" else 0.0
    if not value >= least:
        raise UsageError(f"{metric} is {least:g} or more, not {value}")
    # 0.0 is subtracted from, so that certainty is 0 nats and not -0.
    return 0.0 - count * (value * math.log(2) if scale.written == "bits" else math.log(value))


def convert(value: float, source: str, target: str, counts: Mapping[str, float]) -> float:
    """The value of the metric `target` on a text on which the metric `source` has this value.

    >>> round(convert(8.0, "token_perplexity", "bits_per_byte", {"tokens": 10, "bytes": 40}), 12)
    0.75

    Raises:
        UsageError: as `to_total`.
    """
    return from_total(target, to_total(source, value, counts), counts)


def _scale(metric: str) -> Scale:
    if metric not in SCALES:
        raise UsageError(unknown("metric of a total", metric, SCALES))
    return SCALES[metric]


def _count(metric: str, over: Count, counts: Mapping[str, float]) -> float:
    count = counts.get(over)
    if count is None:
        raise UsageError(f"{metric} divides by the number of {over}: give counts['{over}']")
    if not 0 < count < math.inf:
        raise UsageError(f"{metric} divides by the number of {over}, which can't be {count}")
    return count
