"""Conversations: the model's template, or a plain one that is said to be that."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gradus.generation import Decoding
from gradus.generation.chat import PLAIN_STOP, Chat

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "河水在夜里"},
    {"role": "assistant", "content": "The river rose."},
    {"role": "user", "content": [{"type": "text", "text": "She "}, {"type": "text", "text": "?"}]},
]
SAID = [
    ("system", "Be brief."),
    ("user", "河水在夜里"),
    ("assistant", "The river rose."),
    ("user", "She ?"),
]


def test_a_reply_is_what_generate_writes_behind_the_template(client: Any, writer: Any) -> None:
    found = client.chat.completions.create(
        model="tiny", messages=TURNS, temperature=0, max_completion_tokens=20
    )
    prompt = Chat(copy.deepcopy(writer.tokenizer)).prompt(SAID)
    expected = writer.generate(prompt, Decoding(max_tokens=20, stop=PLAIN_STOP))
    (choice,) = found.choices
    assert choice.message.content == expected.rstrip("\ufffd")
    assert choice.message.role == "assistant"
    assert found.object == "chat.completion"
    assert found.usage.prompt_tokens == len(writer.tokenizer(prompt)["input_ids"])
    assert client.models.retrieve("tiny").chat_template == "plain"


def test_a_stream_of_replies(client: Any) -> None:
    asked = {
        "model": "tiny",
        "messages": TURNS[:2],
        "temperature": 1,
        "seed": 3,
        "max_tokens": 25,
        "n": 2,
    }
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].message.content != whole.choices[1].message.content
    options = {"include_usage": True}
    *chunks, last = client.chat.completions.create(**asked, stream=True, stream_options=options)
    for choice in whole.choices:
        deltas = [c.choices[0] for c in chunks if c.choices[0].index == choice.index]
        assert deltas[0].delta.role == "assistant"
        assert "".join(one.delta.content or "" for one in deltas) == choice.message.content
        assert [one.finish_reason for one in deltas if one.finish_reason] == [choice.finish_reason]
        assert deltas[-1].finish_reason
    assert last.usage == whole.usage


def test_a_reply_goes_back_as_the_client_gives_it(client: Any) -> None:
    """What the client dumps of a message has many fields that are null."""
    first = client.chat.completions.create(model="tiny", messages=TURNS[:2], max_tokens=5, seed=1)
    reply = first.choices[0].message
    for turn in (reply, reply.model_dump()):
        messages = [*TURNS[:2], turn, {"role": "user", "content": "And then?"}]
        found = client.chat.completions.create(
            model="tiny", messages=messages, max_tokens=5, temperature=0
        )
        assert found.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities(client: Any, stream: bool) -> None:
    found = client.chat.completions.create(
        model="tiny",
        messages=TURNS[:2],
        max_tokens=10,
        temperature=1,
        seed=4,
        logprobs=True,
        top_logprobs=2,
        stream=stream,
    )
    chunks = [one.choices[0] for one in found] if stream else [found.choices[0]]
    rows = [row for one in chunks if one.logprobs for row in one.logprobs.content]
    content = "".join(one.delta.content or "" for one in chunks) if stream else ""
    text = content if stream else chunks[0].message.content
    assert len(rows) == 10
    assert (
        b"".join(bytes(row.bytes) for row in rows).decode("utf-8", "replace").rstrip("\ufffd")
        == text
    )
    for row in rows:
        assert row.logprob <= row.top_logprobs[0].logprob + 1e-6
        assert len(row.top_logprobs) == 2


def test_the_default_is_as_long_as_that_of_the_command(client: Any) -> None:
    found = client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "The river"}], temperature=0
    )
    assert found.usage.completion_tokens <= 512
    assert found.choices[0].finish_reason in ("length", "stop")
