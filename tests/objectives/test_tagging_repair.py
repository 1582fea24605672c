from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.errors import DataError
from gradus.objectives.tagging_repair import chunks, repaired
from gradus.objectives.tagging_sequences import Tagset, WordSpan, tagset_of

IOB2, IOBES = Tagset(["PER", "LOC"], "iob2"), Tagset(["PER", "LOC"], "iobes")


def numbers(tags: str, tagset: Tagset) -> np.ndarray:
    return np.array([tagset.tags.index(tag) for tag in tags.split()])


@given(st.lists(st.sampled_from(IOB2.tags), max_size=12))
def test_iob2_is_read_as_seqeval_reads_it(tags: list[str]) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    found = chunks(np.array([IOB2.tags.index(t) for t in tags], dtype=int), IOB2)
    expected = [(kind, first, last + 1) for kind, first, last in get_entities(tags)]
    assert [(IOB2.types[s.kind], s.first, s.end) for s in found] == expected


@given(st.lists(st.sampled_from(IOBES.tags), max_size=12))
def test_iobes_is_read_as_seqeval_reads_it(tags: list[str]) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    found = chunks(np.array([IOBES.tags.index(t) for t in tags], dtype=int), IOBES)
    expected = [(kind, first, last + 1) for kind, first, last in get_entities(tags)]
    assert [(IOBES.types[s.kind], s.first, s.end) for s in found] == expected


@pytest.mark.parametrize("tagset", [IOB2, IOBES])
@given(data=st.data())
def test_a_legal_sequence_is_left_as_it_is(tagset: Tagset, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, 12), max_size=6, unique=True)))
    spans = [
        WordSpan(a, b, data.draw(st.integers(0, 1)))
        for a, b in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    tags = tagset.encode(spans, 12)
    assert repaired(tags, tagset, "begin") == repaired(tags, tagset, "drop") == spans


def test_illegal_spans_begin_or_go() -> None:
    tags = numbers("O I-PER I-PER O B-LOC I-PER", IOB2)
    assert repaired(tags, IOB2, "begin") == [(1, 3, 0), (4, 5, 1), (5, 6, 0)]
    assert repaired(tags, IOB2, "drop") == [(4, 5, 1)]
    tags = numbers("B-PER I-PER O S-LOC B-LOC E-LOC", IOBES)
    assert repaired(tags, IOBES, "begin") == [(0, 2, 0), (3, 4, 1), (4, 6, 1)]
    assert repaired(tags, IOBES, "drop") == [(3, 4, 1), (4, 6, 1)]


def test_tags_tell_their_scheme() -> None:
    for tagset in (IOB2, IOBES):
        found = tagset_of(tagset.tags)
        assert (found.scheme, found.types) == (tagset.scheme, tagset.types)
    with pytest.raises(DataError, match="no scheme"):
        tagset_of(["O", "X-PER"])
