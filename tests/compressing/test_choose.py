"""What is tried further and what the claim is tested of."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.compressing import choose
from gradus.compressing.base import ORIGINAL, Aim, Point
from gradus.compressing.search import budget
from gradus.errors import UsageError
from gradus.records import Answer, Measurement, Verdict

KEEP = budget("accuracy >= parent - 0.01")


def measured(
    name: str, accuracy: float | None, size: float, rate: float = 1.0
) -> list[Measurement]:
    common = {"n": 100, "checkpoint": name, "split": "dev.select"}
    return [
        Measurement(
            metric="accuracy", value=accuracy, unit="proportion", direction="higher", **common
        ),
        Measurement(metric="size_mb", value=size, unit="MB", direction="lower", **common),
        Measurement(
            metric="throughput_texts_s", value=rate, unit="texts/s", direction="higher", **common
        ),
    ]


def points(*rows: tuple[str, float | None, float], target: Aim = "size") -> list[Point]:
    every = [m for row in rows for m in measured(*row)]
    return choose.points(every, {name: name for name, *_ in rows}, KEEP, target)


def test_the_budget_is_the_parents_less_the_margin() -> None:
    found = points(
        (ORIGINAL, 0.90, 90.0), ("at", 0.8901, 20.0), ("under", 0.88, 10.0), ("none", None, 1.0)
    )
    assert [p.within for p in found] == [True, True, False, False]


def test_the_front_is_what_nothing_beats_in_both() -> None:
    found = points((ORIGINAL, 0.90, 90.0), ("a", 0.89, 20.0), ("b", 0.88, 30.0), ("c", 0.80, 10.0))
    assert [p.name for p in found if p.front] == [ORIGINAL, "a", "c"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=8))
def test_whatever_is_off_the_front_is_beaten_by_one_on_it(rows: list[tuple[int, int]]) -> None:
    named = [(str(i) if i else ORIGINAL, q / 10, float(s)) for i, (q, s) in enumerate(rows)]
    found = points(*named)
    front = [p for p in found if p.front]
    assert front
    for point in found:
        size = choose.cost(point, "size")
        assert point.front != any(
            choose.cost(other, "size") <= size
            and (other.value or 0) >= (point.value or 0)
            and (other.value, choose.cost(other, "size")) != (point.value, size)
            for other in front
        )


def test_the_dearest_is_tested_first() -> None:
    found = points(
        (ORIGINAL, 0.90, 90.0),
        ("large", 0.90, 50.0),
        ("small", 0.895, 20.0),
        ("off", 0.893, 30.0),
        ("bad", 0.70, 5.0),
        ("larger", 0.95, 100.0),
    )
    assert [p.name for p in choose.order(found, KEEP, "size")] == ["large", "small"]
    assert [p.name for p in choose.best(found, "size", 2)] == ["small", "off"]


def test_of_throughput_more_is_better() -> None:
    every = [*measured(ORIGINAL, 0.9, 1.0, 100.0), *measured("fast", 0.9, 1.0, 900.0)]
    found = choose.points(every, {ORIGINAL: "", "fast": ""}, KEEP, "throughput")
    assert [p.name for p in choose.order(found, KEEP, "throughput")] == ["fast"]


def verdict(answer: Answer) -> Verdict:
    return Verdict(gate="g", verdict=answer, why="w")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ("oo", "1"),
        ("ouo", "0"),
        ("coo", None),
        ("", None),
        ("oc", "0"),
    ],
)
def test_nothing_is_recommended_behind_a_test_that_failed(
    answers: str, expected: str | None
) -> None:
    letters = {"o": Answer.OPEN, "u": Answer.UNDECIDED, "c": Answer.CLOSED}
    base = points((ORIGINAL, 0.9, 1.0))[0]
    tested = [
        replace(base, name=str(i), verdict=verdict(letters[a])) for i, a in enumerate(answers)
    ]
    found = choose.recommended(tested)
    assert (None if found is None else found.name) == expected


@pytest.mark.parametrize(
    "wrong", ["accuracy >= 0.9", "size_mb <= 0.5 * parent", "accuracy >= tuned", "news.f1[a] > 1"]
)
def test_a_budget_is_against_the_parent(wrong: str) -> None:
    with pytest.raises(UsageError):
        budget(wrong)
