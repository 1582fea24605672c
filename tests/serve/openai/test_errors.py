"""What can't be done is refused as OpenAI refuses it, and never with 500."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.serve.servers import Running, command, environment, served

from .conftest import client_of, openai

CHAT = "/v1/chat/completions"
TEXT = {"model": "tiny", "prompt": "The river"}
TALK = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}
BAD: list[tuple[dict[str, Any], str | None]] = [
    ({**TEXT, "prompt": ""}, "prompt"),
    ({**TEXT, "prompt": []}, "prompt"),
    ({**TEXT, "prompt": [""]}, "prompt"),
    ({**TEXT, "prompt": [[]]}, "prompt"),
    ({**TEXT, "prompt": [10**9]}, "prompt"),
    ({**TEXT, "prompt": [-1]}, "prompt"),
    ({**TEXT, "prompt": 5}, "prompt"),
    ({**TEXT, "prompt": "boat " * 5000}, "prompt"),
    ({"model": "tiny"}, "prompt"),
    ({"prompt": "a"}, "model"),
    ({**TEXT, "max_tokens": 10**12}, "max_tokens"),
    ({**TEXT, "max_tokens": 5000}, "max_tokens"),
    ({**TEXT, "max_tokens": 0}, "max_tokens"),
    ({**TEXT, "max_tokens": "9"}, "max_tokens"),
    ({**TEXT, "temperature": 2.1}, "temperature"),
    ({**TEXT, "temperature": -1}, "temperature"),
    ({**TEXT, "top_p": 2}, "top_p"),
    ({**TEXT, "n": 0}, "n"),
    ({**TEXT, "n": 1000}, "n"),
    ({**TEXT, "prompt": ["a"] * 100, "n": 100}, "n"),
    ({**TEXT, "stop": ""}, "stop"),
    ({**TEXT, "stop": ["a"] * 17}, "stop"),
    ({**TEXT, "seed": 0.5}, "seed"),
    ({**TEXT, "frequency_penalty": 3}, "frequency_penalty"),
    ({**TEXT, "best_of": 2}, "best_of"),
    ({**TEXT, "suffix": "end"}, "suffix"),
    ({**TEXT, "logit_bias": {"5": 10}}, "logit_bias"),
    ({**TEXT, "logprobs": 99}, "logprobs"),
    ({**TEXT, "echo": True, "logprobs": 1}, "echo"),
    ({**TEXT, "stream_options": {"include_usage": True}}, "stream_options"),
    ({**TEXT, "no_such_thing": 1}, "no_such_thing"),
    ({**TALK, "messages": []}, "messages"),
    ({**TALK, "messages": [{"role": "user"}]}, "messages.0.content"),
    ({**TALK, "messages": [{"role": "user", "content": None}]}, "messages"),
    ({**TALK, "messages": [{"role": "robot", "content": "a"}]}, "messages.0.role"),
    ({**TALK, "messages": [{"role": "tool", "content": "a"}]}, "messages.0.role"),
    ({**TALK, "messages": [{"role": "user", "content": "boat " * 5000}]}, "messages"),
    ({**TALK, "tools": [{"type": "function"}]}, "tools"),
    ({**TALK, "response_format": {"type": "json_object"}}, "response_format"),
    ({**TALK, "top_logprobs": 2}, "top_logprobs"),
    ({**TALK, "max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
]


@pytest.mark.parametrize(("body", "param"), BAD, ids=lambda one: str(one)[:60])
def test_what_is_wrong_is_named(running: Running, body: dict[str, Any], param: str | None) -> None:
    reply = running.post(CHAT if "messages" in body else "/v1/completions", body)
    assert reply.status == 400, reply.content
    error = reply.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert str(error["param"]).startswith(str(param)), error


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"model": "tiny", "prompt": "\\ud800"}',
        b'{"model": "tiny", "prompt": "a", "stop": "\\udfff"}',
        b'{"\\ud800": 1}',
        b'{"model": "\\udc00", "prompt": "a"}',
        b'{"model": "tiny", "prompt": "a", "temperature": NaN}',
        b'{"model": "tiny", "prompt": "a", "temperature": 1e999}',
        b'{"model": "tiny", "prompt": "a", "seed": 1' + b"0" * 400 + b"}",
        b"[" * 100_000,
    ],
    ids=lambda one: str(one[:50]),
)
def test_what_is_no_request(running: Running, content: bytes) -> None:
    reply = running.request(
        "POST", "/v1/completions", content, {"content-type": "application/json"}
    )
    assert reply.status == 400, reply.content
    assert reply.json["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_page_from_elsewhere_can_not_let_write(running: Running, kind: str) -> None:
    """Browsers send these without asking, and JSON after asking alone."""
    body = b'{"model": "tiny", "prompt": "a", "max_tokens": 2}'
    for route in ("/v1/completions", CHAT, "/v1/embeddings"):
        reply = running.request("POST", route, body, {"content-type": kind})
        assert reply.status == 400
        assert "application/json" in reply.message
    asked = {"access-control-request-method": "POST", "origin": "http://elsewhere.example"}
    answer = running.request("OPTIONS", "/v1/completions", None, asked)
    assert answer.status == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"model": "tiny", "prompt": [' + b'"",' * 100_000 + b'"x"]}', "prompt"),
        (b'{"model": "tiny", "prompt": "a", "stop": [' + b"1," * 100_000 + b"1]}", "stop"),
        (b"{" + b",".join(b'"%x": 1' % n for n in range(100_000)) + b"}", "faults"),
    ],
    ids=["texts", "stops", "fields"],
)
def test_very_many_faults_are_counted_and_not_told(
    running: Running, content: bytes, said: str
) -> None:
    reply = running.request(
        "POST", "/v1/completions", content, {"content-type": "application/json"}
    )
    assert reply.status == 400
    assert said in reply.message
    assert len(reply.content) < 1_000


def test_what_says_nothing_is_passed_over(client: Any) -> None:
    found = client.chat.completions.create(
        **TALK,
        max_tokens=3,
        user="somebody",
        metadata={"a": "b"},
        store=False,
        tools=[],
        response_format={"type": "text"},
        logit_bias={},
        temperature=1e-300,
        top_p=0,
    )
    assert found.usage.completion_tokens == 3


def test_the_clients_own_errors(client: Any) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.completions.create(model="gpt-4o", prompt="a")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")
    with pytest.raises(openai.BadRequestError) as long:
        client.completions.create(model="tiny", prompt="boat " * 5000)
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as stream:
        client.completions.create(model="tiny", prompt="", stream=True)
    assert stream.value.param == "prompt"
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="tiny", input="a")


def test_models(client: Any) -> None:
    (one,) = client.models.list().data
    assert (one.id, one.object, one.owned_by) == ("tiny", "model", "gradus")
    assert client.models.retrieve("tiny") == one
    assert one.max_tokens == 4096


def test_keys_a_full_queue_and_clients_that_hang_up(language: Path, tmp_path: Path) -> None:
    """The second is refused while the first writes; once the first hangs up, nothing is written."""
    file = tmp_path / "keys"
    made = subprocess.run(
        command("--key-file", file, "--new-key", "somebody"),
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    key = made.stdout.split()[-1]
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    with served(language, "--threads", 1, "--key-file", file, "--queue", 1) as running:
        for path in ("completions", "chat/completions", "embeddings"):
            assert running.post(f"/v1/{path}", TEXT).status == 401
        with pytest.raises(openai.AuthenticationError):
            client_of(running, "wrong").completions.create(**TEXT)
        with pytest.raises(openai.AuthenticationError):
            client_of(running, "wrong").models.list()
        client = client_of(running, key)
        assert client.completions.create(**TEXT).usage.completion_tokens == 16
        pid = running.wait_for("worker-ready")["pid"]
        for stream in (True, False):
            connection = running.connect()
            body = json.dumps({**TEXT, "max_tokens": 4000, "stream": stream})
            connection.request("POST", "/v1/completions", body, headers)
            if stream:
                assert connection.getresponse().read(6) == b"data: "
            else:
                time.sleep(0.3)
            with pytest.raises(openai.RateLimitError) as full:
                client.completions.create(**TEXT)
            assert int(full.value.response.headers["retry-after"]) >= 1
            assert connection.sock is not None
            connection.sock.close()
            connection.close()
            assert until_admitted(client).choices[0].finish_reason == "length"
            before = computed(pid)
            time.sleep(0.6)
            assert computed(pid) - before < 0.2


def until_admitted(client: Any) -> Any:
    until = time.monotonic() + 3
    while True:
        try:
            return client.completions.create(**TEXT)
        except openai.RateLimitError:
            assert time.monotonic() < until
            time.sleep(0.05)


def computed(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
