"""The server's heart: what waits, which worker takes it, and what becomes of it.

All of it runs in the event loop's thread. `ask` and `stream` are for routes.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gradus.errors import GradusError
from gradus.serve.jobs import Job, Line, Single, Streamed, cost
from gradus.serve.limits import Limits
from gradus.serve.refusals import Refused
from gradus.serve.tally import Rate, Tally
from gradus.serve.workers import Crew, Told, Worker

SWEEP: Final = 0.1
"""Seconds between two looks at deadlines and clients that have gone."""
PATIENCE: Final = 0.2
"""Seconds a request waits before the server looks whether its client is still there."""

Receive = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine said, and the facts of the checkpoint that it said it with."""

    value: Any
    facts: Mapping[str, Any]


class Service:
    """Requests in, answers out.

    Attributes:
        limits: see `Limits`.
        checkpoint: what is served, as it was named.
        admitted: requests inside and not yet answered, whatever they do; the door counts them.
        draining: whether the server is about to end.
        fault: why nothing could be opened.
        line: what waits for a worker.
        tally: what is counted.
        observed: is told of every answer: task, body, answer.
    """

    def __init__(
        self,
        checkpoint: str,
        *,
        limits: Limits,
        told: Told,
        engine: str = "auto",
        workers: int = 1,
        ahead: int = 1,
        options: Mapping[str, Any] | None = None,
        idle: bool = False,
    ) -> None:
        """See `gradus.serve.app.application`.

        Args:
            checkpoint: a folder, or whatever the engine takes.
            limits: see `Limits`.
            told: writes the log.
            engine: a name of the catalog's section `engines`, or ``auto``.
            workers: processes.
            ahead: batches that a worker is given at a time; with 2 it has the next at hand.
            options: for the engine.
            idle: whether workers compute only when nothing else wants the processor.
        """
        self.checkpoint, self.limits = checkpoint, limits
        self._told, self._engine, self._workers, self._ahead = told, engine, workers, ahead
        self._options, self._idle = dict(options or {}), idle
        self.admitted = 0
        self.draining = False
        self.fault: GradusError | None = None
        self.line = Line(limits)
        self.tally = Tally()
        self.observed: Callable[[str, Mapping[str, Any], Any], None] | None = None
        self._crew: Crew | None = None
        self._retiring: list[Crew] = []
        self._numbers = itertools.count(1)
        self._due = False
        self._rate = Rate()
        self._swapping = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watched: dict[int, tuple[Job, Receive]] = {}

    # --- beginning and end

    async def open(self) -> None:
        """Start the workers.

        Raises:
            CheckpointError: the checkpoint can't be opened.
        """
        self._crew = await self._opened(self.checkpoint)
        self._spawn(self._sweep())
        self._pump()

    async def _opened(self, checkpoint: str) -> Crew:
        order = {
            "engine": self._engine,
            "checkpoint": checkpoint,
            "options": self._options,
            "idle": self._idle,
        }
        crew = Crew(
            order,
            self._workers,
            heard=self._heard,
            lost=self._lost,
            ready=self._later,
            told=self._told,
        )
        await crew.open()
        return crew

    async def close(self) -> None:
        """End the workers; whoever still waits is refused."""
        for task in list(self._tasks):
            task.cancel()
        while (job := self.line.one()) is not None:
            job.refuse(Refused(503, "the server is ending", retry_after=1))
        for crew in (*self._retiring, *([self._crew] if self._crew else [])):
            await crew.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def loaded(self) -> bool:
        """Whether the checkpoint has been opened."""
        return self._crew is not None

    @property
    def ready(self) -> bool:
        """Whether a worker could take a request now."""
        return self._crew is not None and bool(self._crew.workers) and not self.draining

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the engine said of the checkpoint.

        Raises:
            Refused: nothing is loaded yet.
        """
        if self._crew is None:
            raise Refused(503, "the checkpoint is still being loaded", retry_after=2)
        return self._crew.facts

    @property
    def workers(self) -> list[Worker]:
        """Those that are ready."""
        return [] if self._crew is None else self._crew.workers

    # --- for routes

    def check(self, task: str) -> Mapping[str, Any]:
        """The facts, if the checkpoint does `task`.

        Raises:
            Refused: it doesn't, or nothing is loaded yet.
        """
        facts = self.facts
        if task not in facts["tasks"]:
            does = ", ".join(facts["tasks"]) or "nothing"
            raise Refused(409, f"the checkpoint '{facts['name']}' can't {task}; it can {does}")
        return facts

    async def ask(
        self, task: str, body: Mapping[str, Any], *, receive: Receive | None = None
    ) -> Answer:
        """One answer.

        Args:
            task: what the engine shall do.
            body: with what, in JSON's types; ``texts`` in it are what a batch is bounded by.
            receive: the request's own, by which a client that hangs up is noticed.

        Raises:
            Refused: there is none: the task isn't this checkpoint's (409), the engine can't (422),
                workers died with it (503), it took too long (504).
        """
        facts = self.check(task)
        tokens = cost(body.get("texts", ()), facts.get("max_tokens"))
        job = Single(next(self._numbers), task, body, tokens, self.limits.seconds)
        self._add(job, receive)
        try:
            said = Answer(await job.answer(), job.facts)
        finally:
            self._forget(job)
        if self.observed is not None:
            self.observed(task, body, said.value)
        return said

    async def stream(
        self,
        task: str,
        body: Mapping[str, Any],
        *,
        seconds: float | None = None,
        last: Callable[[Any], None] | None = None,
    ) -> AsyncGenerator[Any, None]:
        """An answer's parts as they come. Whoever stops reading it cancels the job.

        Args:
            task: what the engine shall do.
            body: with what.
            seconds: for all of it; `Limits.seconds` by default.
            last: is called with what the engine said in the end.

        Raises:
            Refused: see `ask`; after the first part, that the worker died (503).
        """
        self.check(task)
        job = Streamed(next(self._numbers), task, body, 0, seconds or self.limits.seconds)
        self._add(job, None)
        try:
            async for part in job.parts():
                yield part
            if last is not None:
                last(job.last)
        finally:
            self._forget(job)

    def retry_after(self) -> int:
        """Seconds in which what is inside now should be answered."""
        return self._rate.retry_after(self.admitted)

    # --- jobs

    def _add(self, job: Job, receive: Receive | None) -> None:
        self.line.add(job)
        if receive is not None:
            self._watched[job.id] = (job, receive)
        self._later()

    def _forget(self, job: Job) -> None:
        """The request is over, one way or another."""
        self._watched.pop(job.id, None)
        self._rate.answered += 1
        job.over = True
        if not job.attempts:
            self.line.drop(job)
        self._stop(job)

    def _stop(self, job: Job) -> None:
        """Whatever its worker has begun of it, it needn't go on."""
        for worker in self._at_work:
            if job.id in worker.running and worker.facts["slots"]:
                worker.cancel(job)

    @property
    def _at_work(self) -> list[Worker]:
        """Those of checkpoints that finish what they have begun, too."""
        return [*self.workers, *(worker for crew in self._retiring for worker in crew.workers)]

    def _later(self) -> None:
        """Hand out work once all that has come in this turn of the loop has been read."""
        loop, linger = asyncio.get_running_loop(), self.limits.linger_ms / 1000
        if linger and self.line.full():
            loop.call_soon(self._pump)
        elif not self._due:
            self._due = True
            if linger:
                loop.call_later(linger, self._pump)
            else:
                loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._due = False
        crew = self._crew
        while crew is not None and len(self.line) and (worker := crew.free(self._ahead)):
            if worker.facts["slots"]:
                job = self.line.one()
                if job is not None:
                    worker.begin(job)
            elif jobs := self.line.batch():
                worker.run(jobs)

    def _heard(self, worker: Worker, frame: Mapping[str, Any]) -> None:
        if "part" in frame:
            number, value = frame["part"]
            if (job := worker.running.get(number)) is not None and not job.over:
                job.part(value)
            return
        texts, rows = 0, frame.get("ran") or [frame["done"] if "done" in frame else _fault(frame)]
        for number, said, *fault in rows:
            job = worker.running.pop(number, None)
            if job is None:
                continue
            texts += job.texts
            if not job.over:
                job.refuse(Refused(*fault)) if fault else job.done(said)
        self.tally.texts += texts
        if "ran" in frame:
            self.tally.batches.add(texts)
            self.tally.seconds.add(time.monotonic() - worker.since)
        self._pump()

    def _lost(self, jobs: Sequence[Job]) -> None:
        self.tally.deaths += 1
        for job in reversed(jobs):
            if job.over:
                continue
            if job.again:
                self.tally.retries += 1
                self.line.add_again(job)
            else:
                job.refuse(Refused(503, "the worker died with this request", retry_after=1))
        self._later()

    # --- the sweep

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            self._rate.look(now)
            self._look(now)

    def _look(self, now: float) -> None:
        given = (job for worker in self._at_work for job in worker.running.values())
        for job in [*self.line, *given]:
            if now > job.deadline and not job.over:
                self.tally.late += 1
                job.refuse(job.late())
                self._stop(job)
        for worker in self._at_work:
            # While a long prompt is read nothing is said of it.
            slots, limits = worker.facts["slots"], self.limits
            patience = limits.writing_seconds if slots else limits.stuck_seconds
            if worker.running and now - worker.since > patience:
                self._told("worker-stuck", pid=worker.pid, seconds=round(now - worker.since, 1))
                worker.shoot()
        for number, (job, receive) in list(self._watched.items()):
            if now - job.begun > PATIENCE:
                del self._watched[number]
                self._spawn(self._watch(job, receive))

    async def _watch(self, job: Job, receive: Receive) -> None:
        """Take a job out of the line when its client hangs up."""
        while not job.over:
            if (await receive())["type"] == "http.disconnect":
                if not job.over:
                    self.tally.gone += 1
                    job.refuse(Refused(499, "the client has hung up"))
                return

    # --- another checkpoint

    async def swap(self, checkpoint: str) -> Mapping[str, Any]:
        """Serve another checkpoint from now on; whatever has begun is finished by the old one.

        Raises:
            Refused: it can't be opened or doesn't do what the old one does (422), another swap is
                under way (409); the old one goes on.
        """
        if self._swapping.locked():
            self._refuse_swap(checkpoint, "another swap is under way")
            raise Refused(409, "another swap is under way", retry_after=5)
        async with self._swapping:
            old, before = self._crew, self.facts
            try:
                crew = await self._opened(checkpoint)
            except GradusError as error:
                self._refuse_swap(checkpoint, str(error))
                raise Refused(422, f"{error}; the old checkpoint stays") from error
            missing = set(before["tasks"]) - set(crew.facts["tasks"])
            if missing:
                await crew.close()
                self._refuse_swap(checkpoint, "it does less")
                can = ", ".join(sorted(missing))
                raise Refused(422, f"{checkpoint} can't {can}; the old checkpoint stays")
            self._crew, self.checkpoint = crew, checkpoint
            self.tally.swapped += 1
            self._told("swapped", checkpoint=checkpoint, digest=crew.facts.get("digest"))
            self._pump()
            if old is not None:
                self._retiring = [*(one for one in self._retiring if one.workers), old]
                self._spawn(old.retire(5 + max(self.limits.seconds, self.limits.writing_seconds)))
            return crew.facts

    def _refuse_swap(self, checkpoint: str, why: str) -> None:
        self.tally.refused += 1
        self._told("swap-refused", checkpoint=checkpoint, why=why)


def _fault(frame: Mapping[str, Any]) -> list[Any]:
    """As a row of a batch."""
    number, status, message = frame["fault"]
    return [number, None, status, message]
