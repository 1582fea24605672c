"""``POST /v1/completions``: going on with texts."""

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
from gradus.serve.openai.schemas import Anything, CompletionRequest
from gradus.serve.openai.writing import Begun, Choice
from gradus.serve.reading import answer


def add(api: Api) -> None:
    """The route."""
    service = api.service

    @api.post(
        "/v1/completions", CompletionRequest, Anything, tags=["openai"], summary="Go on with texts"
    )
    @shaped
    async def completions(request: Request) -> Response:
        """Texts behind prompts, all at once or as server-sent events."""
        asked = await read(request, CompletionRequest)
        facts = served(service, asked.model, "complete")
        order = _order(asked)
        begun = await writing.begin(request, service, order)
        head = writing.head("text_completion", "cmpl", facts)
        echoed = begun.prompts if asked.echo else [""] * len(begun.prompts)
        texts = [prompt for prompt in echoed for _ in range(asked.n)]
        if asked.stream:
            return writing.events(begun, service, _chunks(begun, head, asked, texts))
        choices = await writing.while_there(request, service, writing.gathered(begun, len(texts)))
        said = [_choice(n, texts[n], one, asked) for n, one in enumerate(choices)]
        used = writing.usage(begun.prompt_tokens, sum(one.tokens for one in choices))
        return answer(head | {"choices": said, "usage": used})


def _order(asked: CompletionRequest) -> Order:
    if asked.best_of not in (None, asked.n):
        raise Bad("best_of: only as many as 'n' are written", "best_of", "unsupported")
    if asked.echo and asked.logprobs is not None:
        raise Bad("echo with logprobs isn't supported: leave one out", "echo", "unsupported")
    if asked.stream_options is not None and not asked.stream:
        raise Bad("stream_options are for a stream: set 'stream'", "stream_options")
    return Order(
        prompts=asked.prompts,
        n=asked.n,
        max_tokens=asked.max_tokens,
        seed=asked.seeded,
        settings=asked.settings,
        logprobs=asked.logprobs,
        streams=asked.stream,
    )


async def _chunks(
    begun: Begun, head: Mapping[str, Any], asked: CompletionRequest, echoed: Sequence[str]
) -> AsyncGenerator[dict[str, Any], None]:
    counts = asked.stream_options is not None and asked.stream_options.include_usage
    more: dict[str, Any] = {"usage": None} if counts else {}
    tokens: Counter[int] = Counter()
    for number, text in enumerate(echoed):
        if text:
            yield {**head, "choices": [_said(number, text, None, None)], **more}
    async for part in begun.parts:
        number = part["i"]
        tokens[number] = max(tokens[number], part["n"])
        known = None if asked.logprobs is None else _logprobs(part.get("l", ()), asked.logprobs)
        yield {**head, "choices": [_said(number, part["t"], known, part["f"])], **more}
    if counts:
        used = writing.usage(begun.prompt_tokens, tokens.total())
        yield {**head, "choices": [], "usage": used}


def _choice(number: int, before: str, choice: Choice, asked: CompletionRequest) -> dict[str, Any]:
    known = None if asked.logprobs is None else _logprobs(choice.said, asked.logprobs)
    return _said(number, before + choice.text, known, choice.finish)


def _said(number: int, text: str, known: Any, finish: str | None) -> dict[str, Any]:
    return {"index": number, "text": text, "logprobs": known, "finish_reason": finish}


def _logprobs(said: Sequence[Any], top: int) -> dict[str, Any]:
    likely = [{_name(*row[:2]): writing.nats(row[2]) for row in reversed(one[3])} for one in said]
    return {
        "tokens": [_name(*row[:2]) for row in said],
        "token_logprobs": [writing.nats(row[2]) for row in said],
        "top_logprobs": likely if top else None,
        "text_offset": [row[4] for row in said],
    }


def _name(token: str, content: list[int] | None) -> str:
    """A token as OpenAI writes it: a part of a character by its bytes."""
    if "\ufffd" not in token or content is None:
        return token
    return "bytes:" + "".join(f"\\x{byte:02x}" for byte in content)
