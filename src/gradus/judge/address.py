"""A judge at an address: asked in words, and read by what it replies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gradus.judge import replies
from gradus.judge.asking import Answer
from gradus.judge.http import Address
from gradus.judge.questions import Question, Rubric, own_texts
from gradus.judge.quoting import defused
from gradus.scoring.journal import answered
from gradus.scoring.records import Progress

KEPT: Final = 400
"""Characters of a reply that are kept."""


class AddressJudge:
    """Asks a server; see `gradus.judge.asking.Judge`.

    Several questions are under way at a time. Each answer goes to the journal as it comes in, so
    that a run that was stopped, or whose server failed, asks nothing twice. The same text by two
    writers is one question.
    """

    def __init__(
        self,
        address: Address,
        rubric: Rubric,
        *,
        settings: Mapping[str, Any],
        parallel: int = 4,
    ) -> None:
        """Ask `address` in the words of `rubric`, `parallel` questions at a time.

        `settings` go into each request, as ``temperature`` and ``max_tokens``.
        """
        self._address, self._rubric = address, rubric
        self._settings, self._parallel = dict(settings), parallel

    @property
    def about(self) -> Mapping[str, str]:
        """The address, the model's name there, and the settings; never the key."""
        said = ", ".join(f"{key} {value}" for key, value in sorted(self._settings.items()))
        return {"url": self._address.url, "model": self._address.model, "settings": said}

    @property
    def shortened(self) -> int:
        """None: a server is given whole texts, and says so where they are too long."""
        return 0

    def answers(
        self, questions: Sequence[Question], *, journal: Path, progress: Progress | None = None
    ) -> list[Answer]:
        """See `Judge.answers`.

        Raises:
            ServiceError: the address can't be asked.
            StorageError, DataError: the journal can't be written or read.
        """
        messages = [self.messages(question) for question in questions]

        def ask(places: Sequence[int]) -> Iterator[tuple[int, str]]:
            alike: dict[str, list[int]] = {}
            for place in places:
                alike.setdefault(messages[place][0]["content"], []).append(place)
            with self._asking([messages[same[0]] for same in alike.values()]) as under_way:
                where = dict(zip(under_way, alike.values(), strict=True))
                for future, said in self._done(under_way):
                    yield from ((place, said[:KEPT]) for place in where[future])

        found = answered("judge", self.about, messages, ask, journal=journal, progress=progress)
        return [
            Answer(_value(question, said), said=said)
            for question, said in zip(questions, found, strict=True)
        ]

    def messages(self, question: Question) -> list[dict[str, str]]:
        """The conversation that asks a question: one turn, since not every model takes more."""
        texts = [defused(text) for text in own_texts(question)]
        return [{"role": "user", "content": self._rubric.asked(question, texts)}]

    def _one(self, messages: Sequence[Mapping[str, str]]) -> str | None:
        """The reply; None where another question has failed, so that this one isn't asked."""
        if self._address.stop.is_set():
            return None
        try:
            return self._address.ask(messages, self._settings)
        except BaseException:
            self._address.stop.set()
            raise

    def _done(
        self, under_way: Sequence[Future[str | None]]
    ) -> Iterator[tuple[Future[str | None], str]]:
        """Each reply as it comes; after a failure those that are under way, then the failure."""
        failed: BaseException | None = None
        for future in as_completed(under_way):
            error = future.exception()
            said = None if error is not None else future.result()
            if said is not None:
                yield future, said
            failed = failed or error
        if failed is not None:
            raise failed

    @contextmanager
    def _asking(
        self, waiting: Sequence[list[dict[str, str]]]
    ) -> Iterator[list[Future[str | None]]]:
        """The replies to come; leaving early asks nothing further."""
        pool = ThreadPoolExecutor(self._parallel, thread_name_prefix="judge")
        try:
            yield [pool.submit(self._one, one) for one in waiting]
        finally:
            self._address.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._address.stop.clear()


def _value(question: Question, said: str) -> float | None:
    return replies.score(said) if question.mode == "likert" else replies.choice(said)
