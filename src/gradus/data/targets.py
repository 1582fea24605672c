"""What each kind of target does with labels: their set, their array, their JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gradus.data.conversations import Reply
from gradus.records import Span, Target

Label = str | tuple[str, ...] | float | tuple[Span, ...]


def names_in(label: Label) -> Iterable[str]:
    """The names that one item's label holds; none for a number or a reply."""
    if isinstance(label, Reply):
        return ()
    if isinstance(label, str):
        return (label,)
    if isinstance(label, float):
        return ()
    return (item.label if isinstance(item, Span) else item for item in label)


def plain_label(label: Label) -> Any:
    """A label as JSON has it: a name or a reply, names, a number, ``[start, end, label]``."""
    if isinstance(label, tuple):
        return [[s.start, s.end, s.label] if isinstance(s, Span) else s for s in label]
    return label


def to_array(distinct: Sequence[Label], labels: tuple[str, ...], target: Target) -> np.ndarray:
    """Distinct labels in the form that `Split.labels` has them.

    Names that aren't among `labels` have no part: -1 for a label, nothing for several.
    """
    number = {label: i for i, label in enumerate(labels)}
    if target == "label":
        return np.array([number.get(str(label), -1) for label in distinct], dtype=np.int64)
    if target == "number":
        return np.array(distinct, dtype=np.float64)
    if target == "labels":
        flags = np.zeros((len(distinct), len(labels)), dtype=np.bool_)
        for row, label in enumerate(distinct):
            known = [number[name] for name in names_in(label) if name in number]
            flags[row, known] = True
        return flags
    found = np.empty(len(distinct), dtype=object)
    for row, label in enumerate(distinct):
        found[row] = label  # all at once, numpy would take tuples of one length for a matrix
    return found
