"""What writes text: one interface over every back end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradus.checkpoints.hashing import hash_json
from gradus.errors import UsageError
from gradus.generation.decoding import Decoding
from gradus.scoring.journal import answered
from gradus.scoring.records import Progress


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
        tokens_seen: tokens computed since it was opened, shared ones counted once.
        tokens_written: of these, those that were written.
    """

    contract: Mapping[str, str]
    digest: str = ""
    limit: int | None = None
    tokens_seen: int = 0
    tokens_written: int = 0

    @abstractmethod
    def write(self, tasks: Sequence[Task], settings: Decoding) -> Iterator[tuple[int, str]]:
        """Place and text of each task, as soon as each is done, in any order."""

    def generate_all(
        self,
        prompts: Sequence[str],
        *,
        settings: Decoding | None = None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """What the model writes after each prompt, without the prompt, in their order.

        The text of a prompt depends on nothing but itself, the settings and the model, up to
        rounding; a prompt that stands there several times is drawn for anew each time.

        Args:
            prompts: N texts; one that is too long loses its beginning, a `Cut` the end of its body.
            settings: greedy, 64 tokens, when left out.
            journal: a JSONL file; texts are appended as they are done, and what stands there isn't
                written again.
            progress: called with the number of prompts done.

        Raises:
            UsageError: `prompts` is one string, or `settings` leave no room for a prompt.
            DataError: a broken line in the journal.
            StorageError: the journal can't be written.
        """
        if isinstance(prompts, str):
            raise UsageError("prompts is one string: pass a list of prompts, e.g. [prompt]")
        chosen = settings or Decoding()
        times = _times(prompts)

        def ask(places: Sequence[int]) -> Iterator[tuple[int, str]]:
            tasks = [Task(p, prompts[p], _seed(prompts[p], times[p], chosen)) for p in places]
            return self.write(tasks, chosen)

        about = {**self.contract, "weights": self.digest, "decoding": chosen.model_dump_json()}
        items = [[_parts(prompt), time] for prompt, time in zip(prompts, times, strict=True)]
        found = answered("generate", about, items, ask, journal=journal, progress=progress)
        return [str(text) for text in found]

    def generate(self, prompt: str, settings: Decoding | None = None) -> str:
        """What the model writes after one prompt; see `generate_all`."""
        return self.generate_all([prompt], settings=settings)[0]


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


def _seed(prompt: str, time: int, settings: Decoding) -> int:
    """From the prompt and the settings' seed alone: what stands beside it has no part."""
    return int(hash_json([settings.seed, str(prompt), time])[:16], 16)
