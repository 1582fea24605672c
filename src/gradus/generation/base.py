"""What writes text: one interface over every back end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gradus.checkpoints.hashing import hash_json
from gradus.errors import UsageError
from gradus.generation.decoding import Decoding
from gradus.scoring.journal import answered
from gradus.scoring.records import Progress

Told = Callable[[str], None]
"""Called with each piece of a text as soon as it is certain; together they are the text."""


class Continuation(NamedTuple):
    """What was written after a prompt.

    Attributes:
        text: without the prompt, up to a stop string.
        tokens: how many were written, the one that ends the text aside.
        ended: whether it came to an end by itself, by an end token or a stop string; else it was
            cut at the greatest number of tokens.
    """

    text: str
    tokens: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt to be continued.

    Attributes:
        place: its number among the prompts, from 0.
        prompt: a string, or a `gradus.generation.prompts.Cut`.
        seed: of what is drawn for it, in [0, 2^64).
    """

    place: int
    prompt: str
    seed: int


class Generator(ABC):
    """A causal language model that continues prompts.

    Attributes:
        contract: dtype, backend and tokenizer (digest): part of a measurement's contract.
        digest: of the weights.
        limit: tokens that a prompt with its continuation may have; None for any number.
        tokenizer: of transformers.
        tokens_seen: tokens computed since it was opened, shared ones counted once.
        tokens_written: of these, those that were written.
    """

    contract: Mapping[str, str]
    digest: str = ""
    limit: int | None = None
    tokenizer: Any
    tokens_seen: int = 0
    tokens_written: int = 0

    @abstractmethod
    def write(
        self, tasks: Sequence[Task], settings: Decoding, told: Told | None = None
    ) -> Iterator[tuple[int, Continuation]]:
        """Place and text of each task, as soon as each is done, in any order.

        `told` is for a single task; a text that beams look for comes in one piece.

        Raises:
            UsageError: a setting that this back end doesn't have, or no room for a prompt.
        """

    def continuations(
        self,
        prompts: Sequence[str],
        *,
        settings: Decoding | None = None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[Continuation]:
        """What the model writes after each prompt, in their order.

        The text of a prompt depends on nothing but itself, the settings and the model, up to
        rounding; a prompt that stands there several times is drawn for anew each time.

        Args:
            prompts: N texts; one that is too long loses its beginning, a `Cut` the end of its body.
            settings: greedy, 64 tokens, when left out.
            journal: a JSONL file; texts are appended as they are done, and what stands there isn't
                written again.
            progress: called with the number of prompts done.

        Raises:
            UsageError: `prompts` is one string, or `settings` leave no room for a prompt or have
                something that the back end can't do.
            DataError: a broken line in the journal.
            StorageError: the journal can't be written.
        """
        if isinstance(prompts, str):
            raise UsageError("prompts is one string: pass a list of prompts, e.g. [prompt]")
        chosen = settings or Decoding()
        times = _times(prompts)

        def ask(places: Sequence[int]) -> Iterator[tuple[int, Continuation]]:
            tasks = [Task(p, prompts[p], seed_of(prompts[p], times[p], chosen)) for p in places]
            return self.write(tasks, chosen)

        about = {**self.contract, "weights": self.digest, "decoding": chosen.model_dump_json()}
        items = [[_parts(prompt), time] for prompt, time in zip(prompts, times, strict=True)]
        found = answered("continue", about, items, ask, journal=journal, progress=progress)
        return [Continuation(*one) for one in found]

    def generate_all(
        self,
        prompts: Sequence[str],
        *,
        settings: Decoding | None = None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """The texts alone; see `continuations`."""
        found = self.continuations(prompts, settings=settings, journal=journal, progress=progress)
        return [one.text for one in found]

    def generate(self, prompt: str, settings: Decoding | None = None) -> str:
        """What the model writes after one prompt; see `continuations`."""
        return self.generate_all([prompt], settings=settings)[0]

    def stream(
        self, prompt: str, settings: Decoding | None = None, *, told: Told, time: int = 0
    ) -> Continuation:
        """Write one text, telling each piece of it as soon as it is certain.

        The text is that of `generate`; the beginning of what may become a stop string, or of a
        character of several tokens, is held back until it is decided.

        Args:
            prompt: see `continuations`.
            settings: greedy, 64 tokens, when left out.
            told: called with each piece; together they are the text.
            time: how often the prompt was written for before, by what its draws differ.
        """
        chosen = settings or Decoding()
        task = Task(0, prompt, seed_of(prompt, time, chosen))
        ((_, found),) = self.write([task], chosen, told)
        return found


def _times(prompts: Sequence[str]) -> list[int]:
    """How often each prompt came before."""
    seen: Counter[str] = Counter()
    found = []
    for prompt in prompts:
        found.append(seen[prompt])
        seen[prompt] += 1
    return found


def _parts(prompt: str) -> list[str]:
    """A prompt as JSON; where it may be cut belongs to it."""
    ending = getattr(prompt, "ending", None)
    return [str(prompt)] if ending is None else [str(prompt), str(ending)]


def seed_of(prompt: str, time: int, settings: Decoding) -> int:
    """From the prompt and the settings' seed alone: what stands beside it has no part."""
    return int(hash_json([settings.seed, str(prompt), time])[:16], 16)
