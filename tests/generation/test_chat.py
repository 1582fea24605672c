"""Conversations as token ids, against what transformers renders and masks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradus.data.conversations import Conversation, turns_of
from gradus.errors import CheckpointError, DataError
from gradus.generation.chat import PLAIN, Chat
from gradus.testing.world import _tokenizer

CHATML = (
    "{% for m in messages %}{{ '<s>' + m['role'] + '\n' + m['content'] + '</s>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
)
# What was thought is left out of replies that aren't the last, as reasoning models' templates do.
FORGETFUL = (
    "{% for m in messages %}{{ '<s>' + m['role'] + '\n' }}"
    "{% if m['role'] == 'assistant' and not loop.last %}{{ m['content'].split('|')[-1] }}"
    "{% else %}{{ m['content'] }}{% endif %}{{ '</s>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
)
TURNS = (
    ("system", "Be brief."),
    ("user", "Who wrote Emma?"),
    ("assistant", "Jane Austen."),
    ("user", "When?"),
    ("assistant", "In 1815."),
)


@pytest.fixture
def tokenizer() -> Any:
    found = _tokenizer(["Who wrote Emma? Jane Austen."], bos="<s>", eos="</s>", both_ends=False)
    found.bos_token = None  # ChatML's begin is no begin of text
    return found


def test_only_replies_and_their_ends_are_answers(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    end = tokenizer.eos_token_id
    (coded,) = Chat(tokenizer).coded(TURNS, {end})
    answers = [t for t, answer in zip(coded.ids, coded.answers, strict=True) if answer]
    assert tokenizer.decode(answers) == "Jane Austen.</s>In 1815.</s>"
    whole = tokenizer.apply_chat_template(
        [{"role": r, "content": s} for r, s in TURNS], tokenize=False
    )
    assert tokenizer.decode(coded.ids) == whole.removesuffix("\n")


def test_what_stands_before_a_reply_is_what_the_model_is_asked_with(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    chat = Chat(tokenizer)
    (coded,) = chat.coded(TURNS[:3], {tokenizer.eos_token_id})
    before = coded.ids[: coded.answers.index(1)]
    assert before == tokenizer(chat.prompt(TURNS[:2]), add_special_tokens=False)["input_ids"]


def test_a_tokenizer_without_a_template_gets_the_plain_one_and_keeps_it(tokenizer: Any) -> None:
    chat = Chat(tokenizer)
    assert chat.plain
    assert tokenizer.chat_template == PLAIN
    assert chat.prompt(TURNS[:2]) == "System: Be brief.\nUser: Who wrote Emma?\nAssistant:"
    (coded,) = chat.coded(TURNS, {tokenizer.eos_token_id})
    answers = [t for t, answer in zip(coded.ids, coded.answers, strict=True) if answer]
    assert tokenizer.decode(answers) == " Jane Austen.</s> In 1815.</s>"


def test_a_template_that_forgets_gives_an_example_for_each_reply(tokenizer: Any) -> None:
    tokenizer.chat_template = FORGETFUL
    turns = (TURNS[1], ("assistant", "hm|Austen"), TURNS[3], ("assistant", "hm|1815"))
    first, second = Chat(tokenizer).coded(turns, {tokenizer.eos_token_id})
    assert tokenizer.decode([t for t, a in zip(first.ids, first.answers, strict=True) if a]) == (
        "hm|Austen</s>"
    )
    assert "hm|Austen" not in tokenizer.decode(second.ids)
    assert "Austen" in tokenizer.decode(second.ids)
    assert second.answers.count(0) > len(first.ids)


def test_a_reply_always_ends(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML.replace("</s>", ";")
    (coded,) = Chat(tokenizer).coded(TURNS, {tokenizer.eos_token_id})
    assert coded.ids[-1] == tokenizer.eos_token_id
    assert coded.answers[-1] == 1
    tokenizer.eos_token = None
    with pytest.raises(CheckpointError, match="end-of-text"):
        Chat(tokenizer).coded(TURNS, set())


def test_a_template_that_refuses_says_why(tokenizer: Any) -> None:
    tokenizer.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}"
    )
    with pytest.raises(DataError, match="no system here"):
        Chat(tokenizer).prompt(TURNS)


def test_a_template_that_ignores_replies_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ messages | length }}"
    with pytest.raises(CheckpointError, match="behind the prompt"):
        Chat(tokenizer).coded(TURNS, {1})


words = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda s: bool(s.strip()))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=4))
def test_replies_come_back_whatever_they_hold(tokenizer: Any, pairs: list[tuple[str, str]]) -> None:
    tokenizer.chat_template = CHATML
    turns = [t for said, reply in pairs for t in (("user", said), ("assistant", reply))]
    if any(mark in said for _, said in turns for mark in tokenizer.all_special_tokens):
        return
    (coded,) = Chat(tokenizer).coded(turns, {tokenizer.eos_token_id})
    found = [t for t, a in zip(coded.ids, coded.answers, strict=True) if a]
    assert tokenizer.decode(found) == "".join(reply + "</s>" for _, reply in pairs)
    assert turns_of(Conversation(turns)) == tuple(turns)
