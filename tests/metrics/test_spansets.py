from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus import benchmarks
from gradus.data.dataset import Split
from gradus.data.tags import spans_of
from gradus.errors import ContractError, UsageError
from gradus.metrics import get
from gradus.metrics.items import read_items, write_items
from gradus.metrics.spansets import SpanSets
from gradus.records import Span

TYPES = ("LOC", "MISC", "ORG", "PER")
Tags = list[str]


class Conlleval:
    """The chunk rules of the script conlleval, taken word by word, as its description gives them.

    Written from the rules alone: a chunk ends where the tag after it is B or O, where its own tag
    was E, or where the type changes; it starts at B, at I or E after O or E, and where the type
    changes. A guessed chunk is correct when it starts and ends where a true one of its type does.
    """

    def __init__(self) -> None:
        self.correct: dict[str, int] = {}
        self.gold: dict[str, int] = {}
        self.guessed: dict[str, int] = {}

    @staticmethod
    def _parts(tag: str) -> tuple[str, str]:
        letter, _, kind = tag.partition("-")
        return letter, kind

    @staticmethod
    def _ends(before: tuple[str, str], now: tuple[str, str]) -> bool:
        (a, kind_a), (b, kind_b) = before, now
        pairs = {"BB", "BO", "IB", "IO", "EE", "EI", "EO", "EB"}
        return a + b in pairs or (a != "O" and kind_a != kind_b)

    @staticmethod
    def _starts(before: tuple[str, str], now: tuple[str, str]) -> bool:
        (a, kind_a), (b, kind_b) = before, now
        pairs = {"BB", "IB", "OB", "OI", "EE", "EI", "EB", "OE"}
        return a + b in pairs or (b != "O" and kind_a != kind_b)

    def sentence(self, gold: Tags, guessed: Tags) -> None:
        last_gold = last_guessed = ("O", "")
        inside = False
        kind_inside = ""
        for one, two in zip([*gold, "O"], [*guessed, "O"], strict=True):
            now_gold, now_guessed = self._parts(one), self._parts(two)
            ends_gold = self._ends(last_gold, now_gold)
            ends_guessed = self._ends(last_guessed, now_guessed)
            starts_gold = self._starts(last_gold, now_gold)
            starts_guessed = self._starts(last_guessed, now_guessed)
            if inside and ends_gold and ends_guessed:
                self.correct[kind_inside] = self.correct.get(kind_inside, 0) + 1
                inside = False
            elif inside and (ends_gold != ends_guessed or now_gold[1] != now_guessed[1]):
                inside = False
            if starts_gold and starts_guessed and now_gold[1] == now_guessed[1]:
                inside, kind_inside = True, now_gold[1]
            if starts_gold:
                self.gold[now_gold[1]] = self.gold.get(now_gold[1], 0) + 1
            if starts_guessed:
                self.guessed[now_guessed[1]] = self.guessed.get(now_guessed[1], 0) + 1
            last_gold, last_guessed = now_gold, now_guessed

    def figures(self, kind: str | None = None) -> tuple[float, float, float]:
        """Precision, recall and F1; 0 where there is nothing to divide by."""

        def count(of: dict[str, int]) -> int:
            return sum(of.values()) if kind is None else of.get(kind, 0)

        correct, gold, guessed = count(self.correct), count(self.gold), count(self.guessed)
        precision = correct / guessed if guessed else 0.0
        recall = correct / gold if gold else 0.0
        both = precision + recall
        return precision, recall, 2 * precision * recall / both if both else 0.0


def draw(rng: random.Random, letters: str, length: int) -> Tags:
    """Any tags at all, legal or not, with runs long enough to make chunks."""
    tags: Tags = []
    while len(tags) < length:
        kind = rng.choice(TYPES)
        run = rng.randint(1, 4)
        tags += ["O" if rng.random() < 0.3 else f"{rng.choice(letters)}-{kind}" for _ in range(run)]
    return tags[:length]


def noisy(rng: random.Random, tags: Tags, letters: str) -> Tags:
    return [draw(rng, letters, 1)[0] if rng.random() < 0.25 else tag for tag in tags]


def as_spans(tags: Tags) -> tuple[Span, ...]:
    """Word i stands at the characters 3 i and 3 i + 1."""
    return tuple(Span(3 * a, 3 * b - 1, kind) for a, b, kind in spans_of(tags))


def corpus(letters: str, seed: int) -> tuple[list[Tags], list[Tags]]:
    rng = random.Random(seed)
    gold = [draw(rng, letters, rng.randint(1, 12)) for _ in range(60)]
    return gold, [noisy(rng, tags, letters) for tags in gold]


def measured(gold: list[Tags], guessed: list[Tags]) -> SpanSets:
    return SpanSets.of([as_spans(t) for t in gold], [as_spans(t) for t in guessed], TYPES)


def figures(items: SpanSets, kind: str | None = None) -> list[float]:
    suffix = "" if kind is None else f"[{kind}]"
    names = ("span_precision", "span_recall", "span_f1")
    return [get(f"{name}{suffix}", TYPES)(items) for name in names]


@pytest.mark.parametrize("letters", ["I", "BI", "IIB", "BIE"])
@pytest.mark.parametrize("seed", range(8))
def test_figures_are_conllevals_to_the_digit(letters: str, seed: int) -> None:
    gold, guessed = corpus(letters, seed)
    script = Conlleval()
    for one, two in zip(gold, guessed, strict=True):
        script.sentence(one, two)
    items = measured(gold, guessed)
    assert 0 < script.figures()[2] < 1
    for kind in (None, *TYPES):
        ours, theirs = figures(items, kind), script.figures(kind)
        assert ours == pytest.approx(theirs, abs=1e-15)
        assert [f"{100 * x:.2f}" for x in ours] == [f"{100 * x:.2f}" for x in theirs]


@pytest.mark.parametrize("letters", ["I", "BI", "BIES", "ES"])
@pytest.mark.parametrize("seed", range(4))
def test_figures_are_seqevals(letters: str, seed: int) -> None:
    metrics = pytest.importorskip("seqeval.metrics")
    gold, guessed = corpus(letters, seed)
    ours = figures(measured(gold, guessed))
    theirs = [
        getattr(metrics, f"{name}_score")(gold, guessed) for name in ("precision", "recall", "f1")
    ]
    assert ours == pytest.approx(theirs, abs=1e-15)


def test_a_bootstrap_draw_is_a_weighting() -> None:
    items = measured(*corpus("BI", 3))
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(items), (20, len(items)))
    weights = np.stack([np.bincount(r, minlength=len(items)) for r in rows]).astype(float)
    for name in ("span_f1", "span_precision[PER]", "span_recall[LOC]"):
        metric = get(name, TYPES)
        found = metric.weighted(items, weights)
        assert found is not None
        assert found == pytest.approx([metric(items.take(r)) for r in rows], abs=1e-12)


def test_what_has_no_spans_is_undefined_not_zero() -> None:
    none = SpanSets.of([(), ()], [(), ()], TYPES)
    assert all(np.isnan(figures(none)))
    assert none.right().tolist() == [True, True]
    missed = SpanSets.of([(Span(0, 1, "LOC"),)], [()], TYPES)
    precision, recall, f1 = figures(missed)
    assert np.isnan(precision)
    assert (recall, f1) == (0.0, 0.0)


def test_types_that_the_data_lack_count_nowhere_and_doubles_once() -> None:
    gold = [(Span(0, 2, "LOC"),)]
    items = SpanSets.of(gold, [(Span(0, 2, "LOC"), Span(0, 2, "LOC"), Span(3, 4, "DATE"))], TYPES)
    assert figures(items) == [1.0, 1.0, 1.0]
    assert items.right().tolist() == [True]


def test_items_can_be_taken_joined_and_brought_into_another_order() -> None:
    items = measured(*corpus("BI", 5))
    half = np.arange(30)
    rest = np.arange(30, 60)
    joined = items.take(half).joined(items.take(rest))
    assert figures(joined) == figures(items)
    assert joined.gold_equals(items).all()
    turned = items.relabelled(TYPES[::-1])
    for kind in TYPES:
        metric = get(f"span_f1[{kind}]", TYPES[::-1])
        assert metric(turned) == figures(items, kind)[2]
    wrong = [i for i in range(60) if set(items.gold[i]) != set(items.predicted[i])]
    assert np.flatnonzero(~items.right()).tolist() == wrong


def test_a_reader_sees_what_differs() -> None:
    text = "Peter lives in New York"
    gold = [(Span(0, 5, "PER"), Span(15, 23, "LOC"))]
    predicted = [(Span(0, 5, "PER", 0.9), Span(15, 18, "LOC", 0.5))]
    items = SpanSets.of(gold, predicted, TYPES, ["a"], [text])
    true, said, probability = items.described(0)
    assert (true, said) == ("New York [LOC]", "New [LOC]")
    assert probability == pytest.approx(0.45)
    right = SpanSets.of(gold, gold, TYPES, ["a"], [text])
    assert right.described(0) == ("Peter [PER], New York [LOC]",) * 2 + (None,)
    assert SpanSets.of([()], predicted, TYPES).described(0)[:2] == (
        "none",
        "0-5 [PER], 15-18 [LOC]",
    )


def test_errors_are_told_apart_by_what_was_found_instead() -> None:
    gold = [
        (Span(0, 3, "LOC"), Span(4, 8, "PER"), Span(9, 12, "ORG"), Span(13, 15, "MISC")),
        (Span(0, 3, "LOC"),),
    ]
    predicted = [
        (Span(0, 3, "ORG"), Span(4, 6, "PER"), Span(9, 12, "ORG"), Span(20, 22, "LOC")),
        (Span(0, 3, "LOC"),),
    ]
    items = SpanSets.of(gold, predicted, TYPES)
    assert items.confused() == {
        ("LOC", "ORG"): 1,
        ("PER", "PER, other extent"): 1,
        ("MISC", "no span"): 1,
        ("no span", "LOC"): 1,
    }


spans = st.lists(
    st.builds(
        Span,
        start=st.integers(0, 50),
        end=st.integers(51, 60),
        label=st.sampled_from(TYPES),
        score=st.none() | st.floats(0, 1),
    ),
    max_size=3,
    unique=True,
).map(tuple)


@given(st.lists(st.tuples(spans, spans), min_size=1, max_size=5))
def test_columns_come_back(rows: list[tuple[tuple[Span, ...], tuple[Span, ...]]]) -> None:
    gold, predicted = [a for a, _ in rows], [b for _, b in rows]
    ids = [f"{i:x}" for i in range(len(rows))]
    items = SpanSets.of(gold, predicted, TYPES, ids)
    again = SpanSets.from_columns(items.to_columns(), TYPES, tuple(ids))
    assert (again.gold, again.predicted, again.ids) == (items.gold, items.predicted, items.ids)
    assert [s.score for of in again.predicted for s in of] == [
        s.score for of in predicted for s in of
    ]
    assert np.array_equal(again.hits, items.hits)


def test_an_item_file_holds_spans_and_their_text(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "items.parquet"
    gold: list[tuple[Span, ...]] = [(Span(0, 5, "PER"),), ()]
    items = SpanSets.of(gold, [(Span(0, 5, "PER", 0.75),), ()], TYPES, ["a", "b"])
    write_items(path, items, ["Peter", "rain"])
    again, texts = read_items(path)
    assert isinstance(again, SpanSets)
    assert texts == ["Peter", "rain"]
    assert again.predicted[0][0].score == 0.75
    assert again.described(0)[0] == "Peter [PER]"
    assert again.labels == TYPES


def test_metrics_are_asked_of_all_types_or_of_one() -> None:
    assert get("span_f1").label is None
    assert get("span_f1[PER]", TYPES).label == 3
    with pytest.raises(UsageError, match="asked of one label"):
        get("f1")


def test_the_benchmark_matches_types_by_name() -> None:
    bench = benchmarks.of("spans")
    labels = np.empty(1, dtype=object)
    labels[0] = (Span(0, 5, "PER"),)
    split = Split(texts=["Peter"], labels=labels, ids=["a"], words=[((0, 5),)])
    seen = bench.observe([(Span(0, 5, "PER", 0.9),)], ("PER", "X"), split, TYPES)
    assert get("span_f1")(seen) == 1.0
    with pytest.raises(ContractError, match="none in common"):
        bench.observe([()], ("X",), split, TYPES)
