"""Chunk tags: against conlleval's own definition, written out here, and against each other."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.data.formats.base import RawRecord, Tally
from gradus.data.formats.conll import Conll, ConllConfig
from gradus.data.rows import read_rows
from gradus.data.tags import (
    SCHEMES,
    SchemeFinder,
    TagError,
    breaks,
    parse_tag,
    spans_of,
    write_tags,
)
from gradus.errors import DataError

KINDS = st.sampled_from(["A", "B-c", "d"])


def conlleval(tags: list[str]) -> list[tuple[int, int, str]]:
    """Chunks by startOfChunk and endOfChunk of conlleval, rule by rule, for I, O and B."""
    found, start = [], 0
    before, kind_before, inside = "O", "", False
    for place, tag in enumerate([*tags, "O"]):
        letter, _, kind = tag.partition("-")
        ends = (
            (before == "B" and letter in ("B", "O"))
            or (before == "I" and letter in ("B", "O"))
            or (before != "O" and kind_before != kind)
        )
        begins = (
            (before in ("B", "I", "O") and letter == "B")
            or (before == "O" and letter == "I")
            or (letter != "O" and kind_before != kind)
        )
        if inside and ends:
            found.append((start, place, kind_before))
            inside = False
        if begins:
            start, inside = place, True
        before, kind_before = letter, kind
    return found


@given(st.lists(st.one_of(st.just("O"), st.tuples(st.sampled_from("BI"), KINDS).map("-".join))))
def test_entities_are_conllevals(tags: list[str]) -> None:
    assert spans_of(tags) == conlleval(tags)


@st.composite
def entities(draw: st.DrawFn) -> tuple[list[tuple[int, int, str]], int]:
    found, place = [], 0
    for _ in range(draw(st.integers(0, 6))):
        start = place + draw(st.integers(0, 2))
        place = start + draw(st.integers(1, 3))
        found.append((start, place, draw(KINDS)))
    return found, place + draw(st.integers(0, 2))


@given(entities(), st.sampled_from(SCHEMES))
def test_tags_give_back_the_entities_and_break_no_rule(
    drawn: tuple[list[tuple[int, int, str]], int], scheme: str
) -> None:
    spans, words = drawn
    tags = write_tags(spans, words, scheme)  # type: ignore[arg-type]  # one of SCHEMES
    assert spans_of(tags) == spans
    assert breaks(tags, scheme) == 0  # type: ignore[arg-type]  # one of SCHEMES
    finder = SchemeFinder()
    finder.see(tags, range(1, len(tags) + 1))
    found = finder.scheme()
    assert found == scheme or spans_of(tags) == spans


# Ramshaw and Marcus 1995 (IOB1), Tjong Kim Sang and Veenstra 1999 (IOB2), Ratinov and Roth 2009
# (BILOU): the same two sentences by hand.
BY_HAND = {
    "iob1": ["I-PER", "I-PER", "B-PER", "O", "I-LOC", "I-ORG"],
    "iob2": ["B-PER", "I-PER", "B-PER", "O", "B-LOC", "B-ORG"],
    "iobes": ["B-PER", "E-PER", "S-PER", "O", "S-LOC", "S-ORG"],
    "bilou": ["B-PER", "L-PER", "U-PER", "O", "U-LOC", "U-ORG"],
}
SPANS = [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC"), (5, 6, "ORG")]


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name: str) -> None:
    scheme = "iobes" if name == "bilou" else name
    tags = BY_HAND[name]
    assert spans_of(tags) == SPANS
    finder = SchemeFinder()
    finder.see(tags, range(1, 7))
    assert finder.scheme() == scheme
    assert [breaks(tags, s) > 0 for s in SCHEMES] == [s != scheme for s in SCHEMES]
    if name != "bilou":
        assert write_tags(SPANS, 6, scheme) == tags  # type: ignore[arg-type]  # one of SCHEMES


@pytest.mark.parametrize("tag", ["", "B", "B-", "-PER", "X-PER", "PER", "b-PER", "o", "B PER"])
def test_no_tag(tag: str) -> None:
    with pytest.raises(TagError, match="is no tag"):
        parse_tag(tag)


def read(path: Path, **options: object) -> tuple[list[RawRecord], dict[str, object]]:
    tally = Tally()
    reader = Conll(ConllConfig(**options))  # type: ignore[arg-type]  # as a plan has them
    return list(reader.records(path, encodings=None, tally=tally)), tally.facts


def test_a_file_by_the_published_description(tmp_path: Path) -> None:
    """The example sentence of the CoNLL-2003 task's description, in its four columns."""
    path = tmp_path / "eng.iob"
    path.write_text(
        "-DOCSTART- -X- O O\n\nU.N.         NNP  I-NP  I-ORG\nofficial     NN   I-NP  O\n"
        "Ekeus        NNP  I-NP  I-PER\nheads        VBZ  I-VP  O\nfor          IN   I-PP  O\n"
        "Baghdad      NNP  I-NP  I-LOC\n.            .    O     O\n\n\n"
        "-DOCSTART- -X- O O\r\n\r\nOne CD I-NP O"
    )
    (first, second), facts = read(path)
    assert first.fields["text"] == ["U.N.", "official", "Ekeus", "heads", "for", "Baghdad", "."]
    assert first.fields["spans"] == ["I-ORG", "O", "I-PER", "O", "O", "I-LOC", "O"]
    assert (first.line, second.line) == (3, 14)
    assert [r.fields["document"] for r in (first, second)] == ["eng.iob:0", "eng.iob:1"]
    assert facts["eng.iob"] == {
        "scheme": "iob1",
        "scheme_is": "detected",
        "sentences": 2,
        "documents": 2,
        "tags_against_the_scheme": 0,
    }
    (chunks, _), _ = read(path, tag=2)
    assert chunks.fields["spans"][:4] == ["I-NP", "I-NP", "I-NP", "I-VP"]


def test_tabs_comments_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("# text = x\n1\tNew York\tB-LOC\n2\t#\tO\n\n# more\n1\tyes\tO\n")
    records, facts = read(path, word=1, comments="# ", scheme="iob2")
    assert [r.fields["text"] for r in records] == [["New York", "#"], ["yes"]]
    assert facts["a.conll"]["scheme_is"] == "declared"  # type: ignore[index]  # JSON


def test_slips_are_counted_and_mixtures_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("a I-X\nb O\n" * 99 + "a B-X\nb O\n")
    _, facts = read(path)
    assert facts["a.conll"]["scheme"] == "iob1"  # type: ignore[index]  # JSON
    assert facts["a.conll"]["tags_against_the_scheme"] == 1  # type: ignore[index]  # JSON
    path.write_text("a I-X\nb O\n" * 9 + "a B-X\nb O\n")
    with pytest.raises(DataError, match=r"9 entities begin with I- \(first in line 1\), 1 with B-"):
        read(path)
    _, facts = read(path, scheme="iob2")
    assert facts["a.conll"]["tags_against_the_scheme"] == 9  # type: ignore[index]  # JSON


def test_conll_2003_has_its_published_counts(shared_data: Path) -> None:
    """Sentences, tokens and entities as Tjong Kim Sang and De Meulder 2003, tables 1 and 2."""
    published = {
        "train": (14_041, 203_621, {"LOC": 7140, "MISC": 3438, "ORG": 6321, "PER": 6600}),
        "testa": (3_250, 51_362, {"LOC": 1837, "MISC": 922, "ORG": 1341, "PER": 1842}),
        "testb": (3_453, 46_435, {"LOC": 1668, "MISC": 702, "ORG": 1661, "PER": 1617}),
    }
    for part, (sentences, tokens, entities) in published.items():
        records, facts = read(shared_data / f"conll2003.eng.{part}")
        assert len(records) == sentences
        assert sum(len(r.fields["text"]) for r in records) == tokens
        found = Counter(kind for r in records for _, _, kind in spans_of(r.fields["spans"]))
        assert found == entities
        assert facts[f"conll2003.eng.{part}"]["scheme"] == "iob1"  # type: ignore[index]  # JSON


WORD = st.text(st.characters(exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), min_size=1).filter(
    lambda word: word.strip() and word != "-DOCSTART-" and not word.startswith("\ufeff")
)


@given(st.lists(entities(), min_size=1, max_size=4), st.sampled_from(SCHEMES), st.data())
def test_columns_come_back(
    drawn: list[tuple[list[tuple[int, int, str]], int]], scheme: str, data: st.DataObject
) -> None:
    drawn = [(spans, words) for spans, words in drawn if words]
    if not drawn:
        return
    sentences = [data.draw(st.lists(WORD, min_size=words, max_size=words)) for _, words in drawn]
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    between = data.draw(st.sampled_from([" ", "\t", "  "]))
    out = ""
    for words, (spans, count) in zip(sentences, drawn, strict=True):
        tags = write_tags(spans, count, scheme)  # type: ignore[arg-type]  # one of SCHEMES
        out += end.join(
            f"{word}{between}x{between}{t}" for word, t in zip(words, tags, strict=True)
        )
        out += end * data.draw(st.integers(2, 3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(out.encode())
        rows = list(read_rows(Conll(ConllConfig(scheme=scheme)), [path], target="spans"))  # type: ignore[arg-type]  # one of SCHEMES
    assert len(rows) == len(sentences)
    for row, words, (spans, _) in zip(rows, sentences, drawn, strict=True):
        assert row.text == " ".join(words)
        assert row.words is not None
        assert [row.text[a:b] for a, b in row.words] == words
        wanted = [(row.words[a][0], row.words[b - 1][1], kind) for a, b, kind in spans]
        assert [(s.start, s.end, s.label) for s in row.label] == wanted  # type: ignore[union-attr]  # spans
