"""Metrics: one pure function a family, each with its unit, direction, range and source.

A metric is written `accuracy`, or `f1[sport]` where it is asked of one label. Undefined values are
NaN, never a silent zero; where scikit-learn's averages count an undefined class as zero
(``zero_division=0``) the docstring says that the same is done here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gradus import registry
from gradus.errors import UsageError

if TYPE_CHECKING:
    from gradus.metrics.base import Metric

_WRITTEN = re.compile(r"^(?P<name>[^\[\]\s]+)(?:\[(?P<label>[^\[\]]+)\])?$")


def lookup(text: str) -> tuple[str, str | None]:
    """The metric's plain name and the label it is asked of.

    >>> lookup("f1[sport]")
    ('f1', 'sport')
    >>> lookup("accuracy")
    ('accuracy', None)

    Raises:
        UsageError: the text is not of that form.
    """
    match = _WRITTEN.match(text.strip())
    if match is None:
        raise UsageError(f"'{text}' is not a metric: write NAME or NAME[LABEL], as in f1[sport]")
    return match["name"], match["label"]


def get(text: str, labels: tuple[str, ...] = ()) -> Metric:
    """The metric that `text` names, with its label's index looked up in `labels`.

    >>> get("f1[sport]", ("business", "sport")).label
    1

    Raises:
        UnknownName: there is no such metric or no such label.
        UsageError: a label is given that the metric doesn't take, or the other way round.
    """
    from gradus.errors import UnknownName

    name, label = lookup(text)
    kind: type[Metric] = registry.load("metrics", name)
    if label is None:
        if kind.per_label and not kind.overall:
            raise UsageError(f"{name} is asked of one label: write {name}[LABEL]")
        return kind()
    if not kind.per_label:
        raise UsageError(f"{name} is not asked of a single label: write {name}")
    if label not in labels:
        raise UnknownName("label", label, labels)
    return kind(labels.index(label))
