"""``POST /v1/chat/completions``: replying to conversations."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from gradus.serve.app import Api
from gradus.serve.engines.order import Order
from gradus.serve.framework import Request, Response
from gradus.serve.openai import writing
from gradus.serve.openai.reading import read, served
from gradus.serve.openai.refusing import Bad, shaped
from gradus.serve.openai.schemas import Anything, ChatRequest
from gradus.serve.openai.writing import Begun, Choice
from gradus.serve.reading import answer


def add(api: Api) -> None:
    """The route."""
    service = api.service

    @api.post(
        "/v1/chat/completions", ChatRequest, Anything, tags=["openai"], summary="Reply to a chat"
    )
    @shaped
    async def chat(request: Request) -> Response:
        """A reply, or `n` of them, all at once or as server-sent events."""
        asked = await read(request, ChatRequest)
        facts = served(service, asked.model, "complete")
        begun = await writing.begin(request, service, _order(asked))
        if asked.stream:
            head = writing.head("chat.completion.chunk", "chatcmpl", facts)
            return writing.events(begun, service, _chunks(begun, head, asked))
        head = writing.head("chat.completion", "chatcmpl", facts)
        choices = await writing.while_there(request, service, writing.gathered(begun, asked.n))
        said = [_choice(n, one, asked) for n, one in enumerate(choices)]
        used = writing.usage(begun.prompt_tokens, sum(one.tokens for one in choices))
        return answer(head | {"choices": said, "usage": used})


def _order(asked: ChatRequest) -> Order:
    if asked.top_logprobs is not None and not asked.logprobs:
        raise Bad("top_logprobs says more of logprobs: set 'logprobs'", "top_logprobs")
    if asked.stream_options is not None and not asked.stream:
        raise Bad("stream_options are for a stream: set 'stream'", "stream_options")
    if None not in (asked.max_tokens, asked.max_completion_tokens):
        raise Bad("max_tokens and max_completion_tokens are the same: leave one out", "max_tokens")
    return Order(
        turns=tuple(message.turn for message in asked.messages),
        n=asked.n,
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        seed=asked.seeded,
        settings=asked.settings,
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        streams=asked.stream,
    )


async def _chunks(
    begun: Begun, head: Mapping[str, Any], asked: ChatRequest
) -> AsyncGenerator[dict[str, Any], None]:
    counts = asked.stream_options is not None and asked.stream_options.include_usage
    more: dict[str, Any] = {"usage": None} if counts else {}
    tokens: Counter[int] = Counter()

    def chunk(number: int, delta: dict[str, str], known: Any, finish: Any) -> dict[str, Any]:
        one = {"index": number, "delta": delta, "logprobs": known, "finish_reason": finish}
        return {**head, "choices": [one], **more}

    for number in range(asked.n):
        yield chunk(number, {"role": "assistant", "content": ""}, None, None)
    async for part in begun.parts:
        tokens[part["i"]] = max(tokens[part["i"]], part["n"])
        delta = {"content": part["t"]} if part["t"] else {}
        known = _logprobs(part["l"]) if part.get("l") else None
        if delta or known:
            yield chunk(part["i"], delta, known, None)
        if part["f"]:
            yield chunk(part["i"], {}, None, part["f"])
    if counts:
        used = writing.usage(begun.prompt_tokens, tokens.total())
        yield {**head, "choices": [], "usage": used}


def _choice(number: int, choice: Choice, asked: ChatRequest) -> dict[str, Any]:
    return {
        "index": number,
        "message": {"role": "assistant", "content": choice.text, "refusal": None},
        "logprobs": _logprobs(choice.said) if asked.logprobs else None,
        "finish_reason": choice.finish,
    }


def _logprobs(said: Sequence[Any]) -> dict[str, Any]:
    def one(token: str, content: list[int] | None, value: float) -> dict[str, Any]:
        return {"token": token, "logprob": writing.nats(value), "bytes": content}

    rows = [one(*row[:3]) | {"top_logprobs": [one(*likely) for likely in row[3]]} for row in said]
    return {"content": rows, "refusal": None}
