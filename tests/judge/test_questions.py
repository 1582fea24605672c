"""What is asked: each thing once in each form, pairs in both orders, texts only in quotation."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.judge.questions import FORMS, Question, Rubric, about_each, about_pairs, drawn
from gradus.judge.quoting import MARK
from gradus.panel.criteria import CRITERIA, Language, chosen
from gradus.panel.records import PREFERENCE
from gradus.writing.records import Samples, Writing

ALL = chosen(tuple(CRITERIA))


def test_every_criterion_of_every_writing_is_asked_in_each_form_once(samples: Samples) -> None:
    questions = about_each(samples, ALL[:2], 3, samples.prompts)
    asked = Counter((q.writings[0].id, q.criterion, q.form, q.rater) for q in questions)
    assert set(asked.values()) == {1}
    assert len(asked) == len(samples) * 2 * 3
    assert {(form, rater) for _, _, form, rater in asked} == {
        (0, "judge-1"),
        (1, "judge-2"),
        (2, "judge-3"),
    }


def test_pairs_are_of_different_writers_to_one_prompt_in_both_orders(samples: Samples) -> None:
    questions = about_pairs(samples, 2, samples.prompts)
    for form in (0, 1):
        shown = Counter(tuple(w.id for w in q.writings) for q in questions if q.form == form)
        assert set(shown.values()) == {1}
        assert all(pair[::-1] in shown for pair in shown)
        assert len(shown) == len(samples.prompts) * 2 * len(list(combinations("abcd", 2)))
    for question in questions:
        one, two = question.writings
        assert one.item == two.item
        assert one.writer != two.writer
        assert question.criterion == PREFERENCE
    by_rater = Counter(q.rater for q in questions)
    assert set(by_rater) == {"judge-1", "judge-2", "judge-3", "judge-4"}
    assert len(set(by_rater.values())) == 1
    # Neither rater has one writer always in front.
    front = {(q.writings[0].writer, q.writings[1].writer) for q in questions if q.form == 0}
    first = {tuple(w.writer for w in q.writings) for q in questions if q.rater == "judge-1"}
    assert first == front


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("form", range(FORMS))
def test_a_question_holds_the_whole_rubric_in_each_form(
    samples: Samples, language: Language, form: int
) -> None:
    rubric = Rubric(ALL, language)
    (one, two) = (samples.of("good")[0], samples.of("human")[0])
    asked = rubric.asked(Question(rater="r", criterion="fluency", writings=(one,), form=form))
    wording = CRITERIA["fluency"].wording[language]
    for said in (wording.question, *wording.anchors, one.prompt):
        assert said in asked
    assert MARK + one.text in asked
    both = rubric.asked(Question(rater="r", criterion=PREFERENCE, writings=(one, two), form=form))
    assert both.index(one.text) < both.index(two.text)
    assert all(each.wording[language].question in both for each in ALL)
    assert not any(writer in asked + both for writer in ("good", "human", one.id))


def test_the_forms_differ_in_more_than_nothing(samples: Samples) -> None:
    rubric, one = Rubric(ALL), samples.of("good")[0]
    asked = {
        rubric.asked(Question(rater="r", criterion="fluency", writings=(one,), form=form))
        for form in range(FORMS)
    }
    assert len(asked) == FORMS
    assert len({tuple(sorted(text.split())) for text in asked}) == 1, "the same words"


@given(st.text(), st.text(), st.integers(0, 3))
def test_what_is_judged_stands_in_quotation_alone(prompt: str, text: str, form: int) -> None:
    question = Question(
        rater="r",
        criterion="fluency",
        writings=(Writing.of(writer="w", prompt=prompt, text=text),),
        form=form,
    )
    rubric = Rubric(ALL)
    empty = rubric.asked(question, ["", ""])
    free = [line for line in rubric.asked(question).split("\n") if not line.startswith(MARK)]
    assert free == [line for line in empty.split("\n") if not line.startswith(MARK)]


def test_fewer_prompts_are_among_more(samples: Samples) -> None:
    whole = drawn(samples, None)
    assert whole == drawn(samples, 99) == samples.prompts
    kept = [set(drawn(samples, number)) for number in range(1, 7)]
    assert [len(one) for one in kept] == list(range(1, 7))
    assert all(few < more for few, more in pairwise(kept))
    questions = about_each(samples, ALL[:1], 1, drawn(samples, 2))
    assert {q.writings[0].prompt_id for q in questions} == kept[1]
