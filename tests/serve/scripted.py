"""Engines that do as their texts say."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from gradus.errors import CheckpointError, UsageError
from gradus.serve.engine import Asked, Engine, Say

NAME = "tests.serve.scripted"


class Scripted(Engine):
    """In batches: a text is ``sleep SECONDS``, ``die``, ``raise``, ``refuse``, ``nan`` or another.

    The checkpoint is a file; its text is the name. "broken" can't be opened.
    """

    tasks = ("classify",)

    def __init__(self, name: str) -> None:
        self.label = name

    @classmethod
    def takes(cls, checkpoint: str) -> bool:
        return True

    @classmethod
    def open(cls, checkpoint: str, options: Mapping[str, Any]) -> Self:
        name = Path(checkpoint).read_text().strip() if Path(checkpoint).exists() else "none"
        if name == "broken":
            raise CheckpointError(f"{checkpoint}: it is broken")
        if name == "bursts":
            raise ValueError("an error that no one expects")
        if name == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        return cls(name)

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"name": self.label, "digest": self.label, "target": "label", "labels": [self.label]}

    def probe(self) -> None:
        pass

    def run(self, asked: Sequence[Asked]) -> list[Any]:
        return [[self.one(text, len(asked)) for text in one.body["texts"]] for one in asked]

    def one(self, text: str | list[str], beside: int) -> Any:
        if not isinstance(text, str):
            text = "\n".join(text)
        word, _, rest = text.partition(" ")
        if word == "sleep":
            time.sleep(float(rest))
        elif word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif word == "raise":
            raise ZeroDivisionError(text)
        elif word == "refuse":
            raise UsageError("this can't be done")
        elif word == "nan":
            return {"label": self.label, "probability": float("nan")}
        return {"label": self.label, "probability": 1.0, "top": [], "beside": beside}


class Other(Scripted):
    """Does something else."""

    tasks = ("tag",)


class Writer(Scripted):
    """Up to 2 at a time: says a text's words one by one, with a pause after each."""

    tasks = ("write",)
    slots = 2

    def start(self, asked: Asked, say: Say) -> None:
        if asked.body["text"] == "never begins":
            raise ZeroDivisionError(asked.body["text"])
        super().start(asked, say)

    def stream(self, asked: Asked, say: Say) -> Iterator[Any]:
        for word in asked.body["text"].split():
            if word == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if word == "raise":
                raise ZeroDivisionError(word)
            if word == "refuse":
                raise UsageError("this can't be said")
            yield word
            time.sleep(float(asked.body.get("pause", 0)))
        return {"name": self.label, "words": len(asked.body["text"].split())}


class Scheduled(Writer):
    """Ends what nobody wants by itself, and says nothing of it, as those with a scheduler do."""

    def start(self, asked: Asked, say: Say) -> None:
        def work() -> None:
            for word in asked.body["text"].split():
                time.sleep(float(asked.body.get("pause", 0)))
                if say.cancelled:
                    return
                say.part(word)
            say.done({"name": self.label})

        threading.Thread(target=work, daemon=True).start()

    def cancel(self, job: int) -> None:
        pass


class Endless(Scripted):
    """One text at a time: as many parts as its prompt says, or without end for ``endless``."""

    tasks = ("complete",)
    slots = 1

    def stream(self, asked: Asked, say: Say) -> Iterator[Any]:
        prompt = asked.body["prompts"][0]
        yield {"prompt_tokens": 1, "prompts": [prompt]}
        for number in range(1, 10**9 if prompt == "endless" else int(prompt)):
            yield {"i": 0, "t": "a" * 40_000, "n": number, "f": None}
            time.sleep(0.001)
        yield {"i": 0, "t": "", "n": 1, "f": "stop"}


class Threaded(Scripted):
    """Has begun a thread when it is open."""

    @classmethod
    def open(cls, checkpoint: str, options: Mapping[str, Any]) -> Self:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        return super().open(checkpoint, options)
