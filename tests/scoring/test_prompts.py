from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.errors import CheckpointError, UsageError
from gradus.scoring.prompts import Prompt, PromptEncoder, check_template, cut, label_words
from gradus.scoring.seam import encode, encode_pair

from .causal import make_tokenizer

WORDS = {"sport": "sport", "card_lost": "card lost", "card_late": "card late"}
SHOTS = (("first text", "sport"), ("second text", "card_lost"), ("third text", "card_late"))
TOKENIZER = make_tokenizer(["This text is about sport", "card lost card late text about"] * 20)


def prompt(**options: Any) -> Prompt:
    return Prompt(**{"instruction": "Sort this.", "words": WORDS, **options})


def tokens(text: str) -> int:
    return len(TOKENIZER(text, add_special_tokens=False)["input_ids"])


def test_the_default_prompt_in_full() -> None:
    assert prompt().render("Won 3:1") == "Sort this.\n\nText: Won 3:1\n\nThis text is about"
    assert prompt(examples=SHOTS[:2], field="Article").render("Won") == (
        "Sort this.\n\n"
        "Article: first text\n\nThis article is about sport\n\n"
        "Article: second text\n\nThis article is about card lost\n\n"
        "Article: Won\n\nThis article is about"
    )


def test_the_first_examples_go_first_and_the_instruction_stays() -> None:
    assert prompt(examples=SHOTS).render("x", drop=2) == prompt(examples=SHOTS[2:]).render("x")
    assert prompt(examples=SHOTS).render("x", drop=3) == prompt().render("x")


def test_an_empty_instruction_leaves_no_gap() -> None:
    assert prompt(instruction="").render("x") == "Text: x\n\nThis text is about"


def test_texts_that_look_like_placeholders_stay_as_they_are() -> None:
    shown = prompt(instruction="{text}", examples=(("{field}", "sport"),)).render("{instruction}")
    assert shown.startswith("{text}\n\nText: {field}\n\n")
    assert "Text: {instruction}\n\n" in shown


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{text} is", "{instruction} must stand in it once, not 0"),
        ("{instruction} {text} {text}", "{text} must stand in it once, not 2"),
        ("{text} {instruction}", "must stand before"),
        ("{instruction} {text} {label}", "{label} stands for nothing"),
    ],
)
def test_a_template_that_cannot_work_is_refused(template: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_template(template)


@pytest.mark.parametrize(
    ("labels", "given", "why"),
    [
        (["a", "b"], {"c": "x"}, "no such label"),
        (["a_b", "a-b"], {}, "'a_b' and 'a-b' have the same words, 'a b'"),
        (["a", "_"], {}, "'_' has no words"),
    ],
)
def test_label_words_that_tell_nothing_apart_are_refused(
    labels: list[str], given: dict[str, str], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        label_words(labels, given)


@pytest.mark.parametrize(
    ("template", "delimiter"),
    [
        ("{instruction}\n{text} about", " "),
        ("{instruction}\n{text}\nAnswer: ", " "),
        ("{instruction}\n{text}\n", "\n"),
    ],
)
def test_spaces_at_the_seam_belong_to_the_label(template: str, delimiter: str) -> None:
    made = prompt(template=template)
    encoder = PromptEncoder(made, TOKENIZER, None)
    for text in ("Won 3:1", "a loan, late", "x\ny"):
        context = encoder.encode([text]).contexts[0]
        for option, words in zip(encoder.options, WORDS.values(), strict=True):
            whole = made.render(text) + delimiter + words
            assert (context, option) == encode_pair(TOKENIZER, made.render(text), delimiter + words)
            assert context + option == encode(TOKENIZER, [whole])[0]


@given(st.text(max_size=80), st.integers(1, 12))
def test_cutting_keeps_a_beginning_of_that_many_tokens(text: str, most: int) -> None:
    (kept,), (was_cut,) = cut(TOKENIZER, [text], most)
    assert text.strip().startswith(kept)
    assert was_cut == (tokens(text.strip()) > most)
    if not was_cut:
        assert kept == text.strip()


@given(st.text("ab c", max_size=60), st.integers(0, 90))
@settings(max_examples=60)
def test_a_prompt_fits_and_loses_no_more_than_it_must(text: str, spare: int) -> None:
    made = prompt(examples=SHOTS, max_tokens=40)
    longest = max(tokens(" " + words) for words in WORDS.values())
    bare = tokens(made.render("", 3)) + longest
    limit = bare + spare
    found = PromptEncoder(made, TOKENIZER, limit).encode([text])
    assert len(found.contexts[0]) + longest <= limit
    assert found.prompts[0].startswith("Sort this.\n\n")
    dropped = found.dropped[0]
    (kept,), _ = cut(TOKENIZER, [text], 40)
    assert found.prompts[0] == made.render(kept, dropped) or (found.squeezed[0] and dropped == 3)
    if dropped:
        assert tokens(made.render(kept, dropped - 1)) + longest > limit


def test_a_shorter_context_of_the_plan_counts() -> None:
    made = prompt(examples=SHOTS)
    room = tokens(made.render("x", 1)) + 5
    found = PromptEncoder(prompt(examples=SHOTS, context=room), TOKENIZER, 10_000).encode(["x"])
    assert found.dropped == [1]


def test_a_prompt_without_room_for_its_instruction_is_an_error() -> None:
    with pytest.raises(CheckpointError, match=r"alone take \d+ tokens, and the context has 9"):
        PromptEncoder(prompt(), TOKENIZER, 9)


def test_whole_prompts_begin_with_the_head() -> None:
    encoder = PromptEncoder(prompt(examples=SHOTS), TOKENIZER, None)
    assert len(encoder.head) > tokens("Sort this.")
    for context in encoder.encode(["Won", "a loan", ""]).contexts:
        assert context[: len(encoder.head)] == encoder.head


def test_json_and_back() -> None:
    made = prompt(examples=SHOTS, context=99, score="mean")
    assert Prompt.from_json(made.to_json()) == made


def test_a_tokenizer_with_a_first_token_keeps_it() -> None:
    from tokenizers import processors

    tokenizer = make_tokenizer(["a b c"])
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    plain = make_tokenizer(["a b c"])
    assert encode(tokenizer, ["a b"])[0] == [0, *encode(plain, ["a b"])[0]]
    context, option = encode_pair(tokenizer, "a", " b")
    assert context[0] == 0
    assert 0 not in option
