"""Engines that go on with texts: what is asked for is turned into tokens and checked here."""

from __future__ import annotations

import json
import secrets
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Final, Protocol

from gradus.errors import CheckpointError, DataError, GradusError, UsageError
from gradus.generation.base import seed_of
from gradus.generation.decoding import PENALTIES, Decoding
from gradus.generation.pieces import Asked as Text
from gradus.generation.pieces import Piece, Said
from gradus.records import CheckpointRef
from gradus.serve.engine import Asked, Engine, Say
from gradus.serve.engines.choice import name_of
from gradus.serve.engines.order import MOST_CHOICES, WHEN_UNSAID, Impossible, Order

PATIENCE: Final = 5.0
"""Seconds after which what nobody wanted piece by piece is handed on: the worker still lives."""
WITHOUT_LIMIT: Final = 16_384
"""Tokens that a text may have where the model has positions for any number."""
PROBE: Final = ("Hello", "你好")

ALL: Final = frozenset({"n", "seed", "stop", "logprobs", "top_k", "min_p", "typical_p", *PENALTIES})
"""What an engine may support beside temperature and top_p."""


class Scheduler(Protocol):
    """Writes texts in threads of its own."""

    def begin(self, job: int, texts: Sequence[Text], told: Told) -> None:
        """Write all of them; `told` is called with the number of a text and what is new of it."""
        ...

    def cancel(self, job: int) -> None:
        """Nobody waits for this job's texts any more."""
        ...


class Told(Protocol):
    """Where the pieces of a job's texts go; from any thread."""

    def __call__(self, number: int, piece: Piece) -> None:
        """A piece of a text."""
        ...

    def failed(self, error: BaseException) -> None:
        """There will be no more pieces."""
        ...


class Writing(Engine):
    """An engine that goes on with texts.

    Attributes:
        supports: which of `ALL` it can do.
        tokenizer: the model's.
        limit: tokens that a prompt with what is written may have.
    """

    tasks = ("complete",)
    slots = 64
    supports: ClassVar[frozenset[str]] = ALL
    summary: ClassVar[str] = ""

    def __init__(self, ref: CheckpointRef, tokenizer: Any, limit: int | None) -> None:
        """`ref` is what is served; a model that takes any number of tokens gets a bound."""
        self.ref, self.tokenizer = ref, tokenizer
        self.limit = limit or WITHOUT_LIMIT

    @property
    @abstractmethod
    def scheduler(self) -> Scheduler:
        """What writes."""

    @property
    @abstractmethod
    def contract(self) -> Mapping[str, str]:
        """dtype, backend and tokenizer."""

    @cached_property
    def chat(self) -> Any:
        """How conversations are written; a model without a template of its own gets a plain one."""
        from gradus.generation.chat import Chat

        return Chat(self.tokenizer)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Name, kind, digest, context, what it supports, and how it writes conversations."""
        return {
            "name": name_of(self.ref),
            "kind": self.ref.kind,
            "digest": self.ref.digest,
            "target": "text",
            "labels": [],
            "max_tokens": self.limit,
            "contract": dict(self.contract),
            "supports": sorted(self.supports),
            "chat_template": "plain" if self.chat.plain else "its own",
        }

    def probe(self) -> None:
        """A token behind each of two short prompts.

        Raises:
            CheckpointError: nothing is written within two minutes, or it isn't a number that the
                tokens were chosen by.
        """
        heard = _Heard(len(PROBE))
        order = Order(
            prompts=PROBE,
            max_tokens=1,
            settings={"temperature": 0.0},
            logprobs=0 if "logprobs" in self.supports else None,
        )
        self.scheduler.begin(-1, self.read(order)[0], heard)
        if not heard.ended.wait(120) or heard.error is not None:
            raise CheckpointError(f"{self.ref.path}: it writes nothing ({heard.error})")
        if any(one.nats != one.nats for one in heard.said):
            raise CheckpointError(f"{self.ref.path}: its weights are broken: no probabilities")

    def start(self, asked: Asked, say: Say) -> None:
        """See `Engine.start`."""
        order = Order.from_json(asked.body)
        try:
            texts, rendered = self.read(order)
        except Impossible as error:
            say.part({"refused": error.to_json()})
            say.done()
            return
        tokens = sum(len(text.ids) for text in texts[:: order.n])
        say.part({"prompt_tokens": tokens, "prompts": rendered})
        self.scheduler.begin(asked.id, texts, _Saying(self, say, len(texts), order.streams))

    def cancel(self, job: int) -> None:
        """See `Engine.cancel`."""
        self.scheduler.cancel(job)

    def read(self, order: Order) -> tuple[list[Text], list[str]]:
        """The texts to write, `n` for each prompt, and the prompts as text.

        Raises:
            Impossible: the order can't be done.
        """
        self._check(order)
        stop = tuple(order.settings.get("stop", ()))
        prompts = order.prompts
        if order.turns:
            stop = (*stop, *self.chat.stop)
            try:
                prompts = (self.chat.prompt(order.turns),)
            except DataError as error:
                raise Impossible(str(error), "messages", "chat_template") from error
        seed = secrets.randbits(48) if order.seed is None else order.seed
        times: dict[str, int] = {}
        texts, rendered = [], []
        for prompt in prompts:
            ids = self._ids(prompt, order.field)
            text = prompt if isinstance(prompt, str) else self.tokenizer.decode(prompt)
            settings = self._settings(
                {**order.settings, "stop": stop, "seed": seed, "max_tokens": self._room(ids, order)}
            )
            name = prompt if isinstance(prompt, str) else json.dumps(prompt)
            for _ in range(order.n):
                time_ = times[name] = times.get(name, -1) + 1
                texts.append(Text(ids, settings, seed_of(name, time_, settings), order.logprobs))
            rendered.append(text)
        return texts, rendered

    def _check(self, order: Order) -> None:
        """Whether this engine can do what is asked for at all."""
        wanted = {name for name, value in order.settings.items() if _matters(name, value)}
        asked = {
            "n": order.n > 1,
            "seed": order.seed is not None,
            "logprobs": order.logprobs is not None,
        }
        wanted |= {name for name, said in asked.items() if said}
        for name in sorted(wanted & ALL - self.supports):
            raise Impossible(
                f"the engine '{self.name}' can't do '{name}': leave it out", name, "unsupported"
            )
        if max(1, len(order.prompts)) * order.n > MOST_CHOICES:
            raise Impossible(
                f"a request may ask for {MOST_CHOICES} texts at most: ask several times", "n"
            )

    def _ids(self, prompt: str | list[int], where: str) -> tuple[int, ...]:
        from gradus.scoring.seam import encode

        if isinstance(prompt, str):
            try:
                (row,) = encode(self.tokenizer, [prompt]) if prompt else ([],)
            except (UnicodeError, TypeError, ValueError) as error:
                raise Impossible("the text can't be read as UTF-8", where) from error
            ids = tuple(row)
        else:
            ids = tuple(prompt)
            if any(not 0 <= token < len(self.tokenizer) for token in ids):
                most = len(self.tokenizer) - 1
                raise Impossible(f"tokens are numbers from 0 to {most:,}", where)
        if not ids:
            raise Impossible("the prompt is empty: write something to go on with", where)
        return ids

    def _room(self, ids: Sequence[int], order: Order) -> int:
        """How many tokens may be written behind a prompt."""
        room = self.limit - len(ids)
        if room < (order.max_tokens or 1):
            asked = "" if order.max_tokens is None else f", and {order.max_tokens:,} are asked for"
            raise Impossible(
                f"the model has room for {self.limit:,} tokens; the prompt has {len(ids):,}{asked}",
                order.field if room < 1 else "max_tokens",
                "context_length_exceeded",
            )
        return order.max_tokens or min(room, WHEN_UNSAID)

    def _settings(self, given: Mapping[str, Any]) -> Decoding:
        from gradus.generation import settings_of

        # What limits a draw says nothing where nothing is drawn; clients send it all the same.
        if not given.get("temperature"):
            given = {name: value for name, value in given.items() if name not in _LIMITS}
        try:
            return settings_of(given)
        except UsageError as error:
            raise Impossible(str(error)) from error

    def told(self, number: int, piece: Piece) -> dict[str, Any]:
        """A piece as a part."""
        found: dict[str, Any] = {"i": number, "t": piece.text, "n": piece.tokens, "f": piece.finish}
        if piece.said:
            found["l"] = [self._said(one) for one in piece.said]
        return found

    def _said(self, one: Said) -> list[Any]:
        top = [[*self._token(token), nats] for token, nats in one.top]
        return [*self._token(one.id), one.nats, top, one.start]

    def _token(self, token: int) -> tuple[str, list[int] | None]:
        """A token's text, and its bytes where they are known."""
        from gradus.serve.engines.tokens import content

        return content(self.tokenizer, token)


def _matters(name: str, value: Any) -> bool:
    """Whether a setting changes anything."""
    return value not in (None, (), [], Decoding.model_fields[name].default)


_LIMITS: Final = ("top_k", "top_p", "min_p", "typical_p")


class _Saying:
    """Hands a job's pieces on; several threads may have pieces of one job at a time."""

    def __init__(self, engine: Writing, say: Say, texts: int, streams: bool) -> None:
        self._engine, self._say, self._left, self._streams = engine, say, texts, streams
        self._held: dict[int, list[Piece]] = {}
        self._since = time.monotonic()
        # Until a piece is out no other thread may say that all of them are.
        self._lock = threading.Lock()

    def __call__(self, number: int, piece: Piece) -> None:
        """See `Told`."""
        with self._lock:
            self._take(number, piece)

    def _take(self, number: int, piece: Piece) -> None:
        if self._say.cancelled or not self._left:
            return
        self._left -= piece.finish is not None
        if self._streams:
            self._say.part(self._engine.told(number, piece))
        else:
            self._held.setdefault(number, []).append(piece)
            now = time.monotonic()
            if not self._left or now - self._since > PATIENCE:
                self._since = now
                for place, pieces in self._held.items():
                    self._say.part(self._engine.told(place, joined(pieces)))
                self._held = {}
        if not self._left:
            self._say.done()

    def failed(self, error: BaseException) -> None:
        """See `Told`."""
        from gradus.serve.engine import report

        with self._lock:
            if self._say.cancelled or not self._left:
                return
            self._left = 0
        if isinstance(error, GradusError):
            self._say.fault(422, str(error))
            return
        report(error)
        self._say.fault(500, "the engine failed; the server's log says where")


@dataclass(slots=True)
class _Heard:
    """Takes the pieces of a probe."""

    left: int
    ended: threading.Event = field(default_factory=threading.Event)
    said: list[Said] = field(default_factory=list)
    error: BaseException | None = None

    def __call__(self, number: int, piece: Piece) -> None:
        """See `Told`."""
        self.said += piece.said
        self.left -= piece.finish is not None
        if not self.left:
            self.ended.set()

    def failed(self, error: BaseException) -> None:
        """See `Told`."""
        self.error = error
        self.ended.set()


def joined(pieces: Sequence[Piece]) -> Piece:
    """Several pieces of one text as one."""
    said = tuple(one for piece in pieces for one in piece.said)
    return Piece("".join(p.text for p in pieces), pieces[-1].tokens, pieces[-1].finish, said)
