"""Having every writer write to the same prompts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus.errors import DataError
from gradus.writing.prompts import Prompt, cut
from gradus.writing.records import HUMAN, Writing

if TYPE_CHECKING:
    from gradus.generation.decoding import Decoding
    from gradus.records import CheckpointRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every writer is asked for.

    Attributes:
        prompts: the prompts, each once.
        each: so many texts to each.
        decoding: how they are written.
        longest: characters that a text is cut to; None for none.
        dtype: arithmetic of models, ``float32`` or ``bfloat16``.
        threads: to compute with.
    """

    prompts: Sequence[Prompt]
    each: int
    decoding: Decoding
    longest: int | None
    dtype: str
    threads: int


def write(
    writer: str,
    model: CheckpointRef,
    request: Request,
    *,
    journal: Path,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Writing], dict[str, Any]]:
    """What one checkpoint writes, and facts of it.

    Texts that stand in the journal aren't written again, so that a process that was killed goes on.
    Facts: ``tokens`` (of all texts), ``ended`` (share that stopped by itself), ``empty`` (share
    without a word), ``seconds`` and ``tokens_per_second`` of what was written now.

    Raises:
        CheckpointError: it isn't a causal language model's.
        UsageError: a setting that the model's back end doesn't have.
    """
    from gradus import generation

    generator = generation.open(model, dtype=request.dtype, threads=request.threads)
    asked = [(prompt, number) for prompt in request.prompts for number in range(request.each)]
    start, before = time.perf_counter(), generator.tokens_written
    said = generator.continuations(
        [prompt.text for prompt, _ in asked],
        settings=request.decoding,
        journal=journal,
        progress=progress,
    )
    seconds, fresh = time.perf_counter() - start, generator.tokens_written - before
    made = []
    for (prompt, number), one in zip(asked, said, strict=True):
        text = one.text if request.longest is None else cut(one.text, request.longest)
        made.append(
            Writing.of(
                writer=writer,
                prompt=prompt.text,
                text=text,
                number=number,
                source=prompt.source,
                ended=one.ended and text == one.text,
                tokens=one.tokens,
            )
        )
    facts = {
        "tokens": sum(one.tokens for one in said),
        "ended": sum(one.ended for one in made) / len(made),
        "empty": sum(not one.text.strip() for one in made) / len(made),
        "seconds": seconds,
        "tokens_per_second": fresh / seconds if fresh and seconds > 0 else None,
        **{f"model_{name}": value for name, value in generator.contract.items()},
    }
    return made, facts


def by_people(prompts: Sequence[Prompt]) -> list[Writing]:
    """What people wrote to the prompts, as a writer's writings.

    Raises:
        DataError: of a prompt it isn't known.
    """
    made = []
    for number, prompt in enumerate(prompts, start=1):
        if prompt.human is None:
            raise DataError(
                f"what people wrote to prompt {number} ({prompt.text[:40]!r}) isn't known: give "
                "each prompt a 'human', or say human: false"
            )
        made.append(
            Writing.of(
                writer=HUMAN,
                prompt=prompt.text,
                text=prompt.human,
                source=prompt.source,
                ended=False,
            )
        )
    return made
