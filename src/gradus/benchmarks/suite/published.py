"""What the GPT-2 paper prints for these benchmarks, to stand beside our own as published figures.

Never a measurement: the paper doesn't say every setting, its WebText models are measured without
training on the benchmark, and the state of the art of its day was mostly trained on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gradus.errors import unknown

SOURCE: Final = (
    "Radford et al. 2019, Language Models are Unsupervised Multitask Learners, table 3 (zero-shot)"
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table.

    Attributes:
        name: as `TextBenchmark.published` refers to it.
        title: as a reader is shown it.
        unit: ``perplexity``, ``percent`` (accuracy), ``bits per byte``, ``bits per character``.
        note: under which settings the paper took it, as far as it says; "" where it doesn't.
    """

    name: str
    title: str
    unit: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One published number.

    Attributes:
        model: row of the table, one of `MODELS`.
        value: in our own unit: accuracy as a proportion, everything else as printed.
        printed: as the paper prints it.
        column: where it stands.
        source: the paper and table.
    """

    model: str
    value: float
    printed: str
    column: Column
    source: str = SOURCE


_FILTER: Final = "with a stop-word filter on the predicted word"
_VALIDATION: Final = (
    "on the validation set, since a book of the test set is in WebText; de-tokenised"
)
_DETOKENISED: Final = "with invertible de-tokenisers; per canonical word"

COLUMNS: Final[tuple[Column, ...]] = (
    Column("lambada-perplexity", "LAMBADA PPL", "perplexity"),
    Column("lambada-accuracy", "LAMBADA ACC", "percent", _FILTER),
    Column("cbt-cn", "CBT-CN ACC", "percent", _VALIDATION),
    Column("cbt-ne", "CBT-NE ACC", "percent", _VALIDATION),
    Column("wikitext-2", "WikiText-2 PPL", "perplexity", _DETOKENISED),
    Column("ptb", "PTB PPL", "perplexity", _DETOKENISED),
    Column("enwik8", "enwik8 BPB", "bits per byte"),
    Column("text8", "text8 BPC", "bits per character"),
    Column("wikitext-103", "WikiText-103 PPL", "perplexity", _DETOKENISED),
    Column("one-billion-word", "1BW PPL", "perplexity", _DETOKENISED),
)
"""The columns in the table's order."""

MODELS: Final = ("state of the art then", "117M", "345M", "762M", "1542M")
"""The rows: the best known when the paper came out, and its four models by their sizes there."""

_PRINTED: Final[Mapping[str, str]] = {
    "state of the art then": "99.8 59.23 85.7 82.3 39.14 46.54 0.99 1.08 18.3 21.8",
    "117M": "35.13 45.99 87.65 83.4 29.41 65.85 1.16 1.17 37.50 75.20",
    "345M": "15.60 55.48 92.35 87.1 22.76 47.33 1.01 1.06 26.37 55.72",
    "762M": "10.87 60.12 93.45 88.0 19.93 40.31 0.97 1.02 22.05 44.575",
    "1542M": "8.63 63.24 93.30 89.05 18.34 35.76 0.93 0.98 17.48 42.16",
}


def column(name: str) -> Column:
    """The column of that name.

    >>> column("enwik8").unit
    'bits per byte'

    Raises:
        KeyError: there is none; says which is nearest.
    """
    for found in COLUMNS:
        if found.name == name:
            return found
    raise KeyError(unknown("published column", name, (one.name for one in COLUMNS)))


def figures(name: str) -> tuple[Figure, ...]:
    """The published numbers of a column, one a model, in the order of `MODELS`.

    >>> [figure.value for figure in figures("lambada-accuracy")][-1]
    0.6324

    Raises:
        KeyError: there is no such column.
    """
    where = column(name)
    place = COLUMNS.index(where)
    found = []
    for model in MODELS:
        printed = _PRINTED[model].split()[place]
        # Rounded, since 63.24 / 100 isn't 0.6324 in binary floating point for every figure.
        value = round(float(printed) / 100, 6) if where.unit == "percent" else float(printed)
        found.append(Figure(model, value, printed, where))
    return tuple(found)
