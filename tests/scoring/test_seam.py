from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.errors import UsageError
from gradus.scoring.seam import encode, encode_pair, encode_pairs, fit, tokenizer_digest

from .causal import make_tokenizer

TEXTS = ["the cat sat on the mat", "Berlin is the capital of Germany", "a  b   c\nd"] * 20
PLAIN = make_tokenizer(TEXTS)


def with_first_token() -> Any:
    from tokenizers import processors

    made = make_tokenizer(TEXTS)
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", made.bos_token_id)]
    )
    return made


FIRST = with_first_token()


def expected(tokenizer: Any, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """The rule by hand, with the tokenizer's own ways of adding a first token."""

    def whole(text: str) -> list[int]:
        bare = text.startswith("<s>")
        return list(tokenizer.encode(text, add_special_tokens=not bare))

    if not context:
        ids = list(tokenizer.encode(continuation, add_special_tokens=False))
        first = tokenizer.bos_token_id
        return ([first], ids) if ids[:1] != [first] else (ids[:1], ids[1:])
    spaces = len(context) - len(context.rstrip())
    if spaces:
        context, continuation = context[:-spaces], context[-spaces:] + continuation
    alone = whole(context)
    return alone, whole(context + continuation)[len(alone) :]


SEAMS = [
    ("the cat", " sat"),
    ("the cat ", "sat"),
    ("the cat  ", " sat on"),
    ("the cat\n\n", "Berlin is the capital"),
    ("the ca", "t sat"),
    ("", "the cat"),
    ("", " the cat"),
    ("", "<s> the cat"),
    ("<s>the cat", " sat"),
    ("the cat", " Germany is the capital of Berlin"),
    ("a  b ", "  c"),
]


@pytest.mark.parametrize("tokenizer", [PLAIN, FIRST], ids=["plain", "first"])
@pytest.mark.parametrize(("context", "continuation"), SEAMS)
def test_the_seam_is_the_harness(tokenizer: Any, context: str, continuation: str) -> None:
    assert encode_pair(tokenizer, context, continuation) == expected(
        tokenizer, context, continuation
    )


@given(st.text("ab c\n", min_size=1), st.text("ab c\n", min_size=1))
def test_any_seam_is_the_harness(context: str, continuation: str) -> None:
    found = encode_pair(FIRST, context, continuation)
    assert found == expected(FIRST, context, continuation)
    assert [*found[0], *found[1]] == encode(FIRST, [context + continuation])[0] or context.rstrip()


def test_a_context_of_spaces_alone_stands_behind_the_first_token() -> None:
    assert encode_pair(PLAIN, "  ", "cat") == ([PLAIN.bos_token_id], encode(PLAIN, ["  cat"])[0])


def test_many_pairs_are_what_each_is_alone() -> None:
    assert encode_pairs(FIRST, SEAMS) == [encode_pair(FIRST, *seam) for seam in SEAMS]


def test_an_empty_context_needs_a_token_to_stand_for_it() -> None:
    tokenizer = make_tokenizer(TEXTS)
    tokenizer.bos_token = None
    with pytest.raises(UsageError, match="give the continuation a context"):
        encode_pair(tokenizer, "", "cat")


@pytest.mark.parametrize(
    ("context", "continuation", "kept"),
    [(4, 2, 4), (5, 2, 4), (9, 2, 4), (9, 5, 1), (3, 3, 3), (4, 3, 3)],
)
def test_a_long_context_loses_its_beginning(context: int, continuation: int, kept: int) -> None:
    pair = (list(range(context)), list(range(100, 100 + continuation)))
    found = fit(pair, 5)
    assert found == (pair[0][context - kept :], pair[1])
    # The harness: the last limit + 1 tokens, of which the last isn't fed.
    assert [*found[0], *found[1]] == [*pair[0], *pair[1]][-6:]


def test_a_continuation_that_is_too_long_is_refused() -> None:
    with pytest.raises(UsageError, match="6 tokens is longer than the 5"):
        fit(([1], [2] * 6), 5)


def test_the_digest_is_of_the_tokenizer_not_of_its_use() -> None:
    used = make_tokenizer(TEXTS)
    before = tokenizer_digest(used)
    used(["the cat sat"], truncation=True, max_length=2)
    assert tokenizer_digest(used) == before
    assert tokenizer_digest(FIRST) != before
