"""Worker processes as the server sees them: one `Worker` each, a `Crew` for each checkpoint."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gradus.errors import CheckpointError
from gradus.processes import module
from gradus.serve.frames import encode, receive
from gradus.serve.jobs import Job
from gradus.serve.refusals import Refused

BUFFER: Final = 1 << 22
LAST_WORDS: Final = 20
"""Lines of a worker's standard error that are kept."""
BACKOFF: Final = (0.0, 0.2, 1.0, 3.0, 10.0)
"""Seconds before a worker is started again, by how many have died young before it."""
YOUNG: Final = 30.0
OPENING: Final = 900.0
"""Seconds within which a checkpoint must be open: a folder that nobody answers for, a network's
for instance, would otherwise hold up every swap that comes after."""

Told = Callable[..., None]
"""``told(event, **facts)``: a line of the log."""


class Worker:
    """One process.

    Attributes:
        facts: what it said when it was ready.
        running: the jobs it was given, by id, and not answered yet.
        since: when the oldest of what it runs was given, on the monotonic clock.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """See `start`."""
        self._process, self._reader, self._writer = process, reader, writer
        self.facts: Mapping[str, Any] = {}
        self.running: dict[int, Job] = {}
        self.since = self.born = time.monotonic()
        self.words: deque[str] = deque(maxlen=LAST_WORDS)
        self._tasks: list[asyncio.Task[None]] = []
        self.batches = 0

    @classmethod
    async def start(cls, order: Mapping[str, Any], told: Told) -> Worker:
        """Start a process and wait until it has opened and probed its checkpoint.

        Raises:
            CheckpointError: it refused, died or took more than `OPENING` seconds, or the machine
                has no room for a process.
        """
        try:
            worker = await cls._started()
        except OSError as error:
            raise CheckpointError(
                f"{order['checkpoint']}: no worker can be started ({error})"
            ) from error
        worker._tasks.append(asyncio.create_task(worker._listen(told)))
        try:
            await worker._open(order)
        except BaseException:
            await worker.kill()
            raise
        return worker

    @classmethod
    async def _started(cls) -> Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *module("gradus.serve.worker", str(theirs.fileno())),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                # Not process_group, which the event loop of uvloop has no word for.
                start_new_session=True,
            )
        try:
            reader, writer = await asyncio.open_connection(sock=ours, limit=BUFFER)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        return cls(process, reader, writer)

    async def _open(self, order: Mapping[str, Any]) -> None:
        self._writer.write(encode(order))
        try:
            first = await asyncio.wait_for(receive(self._reader), OPENING)
        except TimeoutError as error:
            raise CheckpointError(
                f"{order['checkpoint']}: not open after {OPENING:g} seconds"
            ) from error
        if first is None or "refused" in first:
            await asyncio.wait(self._tasks, timeout=5)
            died = f"{order['checkpoint']}: the worker died while it opened it"
            words = f" ({self.words[-1]})" if self.words else ""
            raise CheckpointError(first["refused"] if first else died + words)
        self.facts = first["ready"]

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def run(self, jobs: Sequence[Job]) -> None:
        """Hand over a batch."""
        self._begin(jobs)
        self.batches += 1
        self._writer.write(encode({"run": [[job.id, job.task, job.body] for job in jobs]}))

    def begin(self, job: Job) -> None:
        """Hand over one job that is answered in parts."""
        self._begin([job])
        self._writer.write(encode({"start": [job.id, job.task, job.body]}))

    def cancel(self, job: Job) -> None:
        """Nobody waits for it any more."""
        self._writer.write(encode({"cancel": job.id}))

    def _begin(self, jobs: Sequence[Job]) -> None:
        if not self.running:
            self.since = time.monotonic()
        for job in jobs:
            job.attempts += 1
            job.facts = self.facts
            self.running[job.id] = job

    def follow(self, heard: Callable[[Worker, Any], None], ended: Callable[[Worker], None]) -> None:
        """Call `heard` with every frame from now on, and `ended` after the last."""
        self._tasks.append(asyncio.create_task(self._follow(heard, ended)))

    async def _follow(
        self, heard: Callable[[Worker, Any], None], ended: Callable[[Worker], None]
    ) -> None:
        try:
            while (frame := await receive(self._reader)) is not None:
                if "ran" in frame:
                    self.batches -= 1
                heard(self, frame)
                self.since = time.monotonic()
        finally:
            ended(self)

    async def _listen(self, told: Told) -> None:
        """What the process prints goes to the log."""
        assert self._process.stderr is not None
        while line := await _line(self._process.stderr):
            self.words.append(line)
            told("worker-said", pid=self.pid, said=line)

    def shoot(self) -> None:
        """End the process now; `follow` tells of it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    async def kill(self) -> None:
        """End it now, and wait for it."""
        self.shoot()
        await self._gone(5)

    async def stop(self, seconds: float = 5) -> None:
        """End it in peace: it sees the end of its socket."""
        self._writer.close()
        if not await self._gone(seconds):
            await self.kill()

    async def _gone(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            return False
        self._writer.close()
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        if others:  # both see the end of what they read, and close it
            await asyncio.wait(others, timeout=1)
        for task in others:
            task.cancel()
        return True


async def _line(stream: asyncio.StreamReader) -> str:
    """The next line that isn't empty, cut at 500 characters; empty at the end."""
    while True:
        try:
            raw = await stream.readline()
        except ValueError:  # longer than the stream's buffer
            continue
        text = raw.decode("utf-8", "replace").strip()
        if text or not raw:
            return text[:500]


class Crew:
    """The workers of one checkpoint; one that dies is replaced.

    Attributes:
        order: what each is told to open.
        workers: those that are ready.
        retired: whether another checkpoint has taken its place.
    """

    def __init__(
        self,
        order: Mapping[str, Any],
        count: int,
        *,
        heard: Callable[[Worker, Any], None],
        lost: Callable[[Sequence[Job]], None],
        ready: Callable[[], None],
        told: Told,
    ) -> None:
        """See `open`.

        Args:
            order: see `gradus.serve.worker`.
            count: so many workers.
            heard: takes every frame.
            lost: takes the jobs of a worker that has died.
            ready: is called when a worker has become ready.
            told: writes the log.
        """
        self.order, self._count = order, count
        self._heard, self._lost, self._ready, self._told = heard, lost, ready, told
        self.workers: list[Worker] = []
        self.facts: Mapping[str, Any] = {}
        self.retired = False
        self._dead: list[Worker] = []
        self._young = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start all workers; the first alone, so that a broken checkpoint is loaded once.

        Raises:
            CheckpointError: it can't be opened.
        """
        try:
            await self._hire()
            await asyncio.gather(*(self._hire() for _ in range(self._count - 1)))
        except BaseException:
            await self.close()
            raise

    async def _hire(self) -> None:
        worker = await Worker.start(self.order, self._told)
        if self.retired:  # another one was refused meanwhile
            await worker.stop()
            return
        self.facts = worker.facts
        self.workers.append(worker)
        self._told("worker-ready", pid=worker.pid, checkpoint=self.order["checkpoint"])
        worker.follow(self._heard, self._ended)
        self._ready()

    def _ended(self, worker: Worker) -> None:
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        self._dead.append(worker)
        jobs = list(worker.running.values())
        worker.running.clear()
        if self.retired and not jobs:
            return
        self._told("worker-died", pid=worker.pid, jobs=len(jobs), last=list(worker.words)[-3:])
        young = time.monotonic() - worker.born < YOUNG
        self._young = min(self._young + 1, len(BACKOFF) - 1) if young else 0
        self._lost(jobs)
        if not self.retired:
            task = asyncio.create_task(self._replace())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _bury(self) -> None:
        """Wait for the processes of those that have died."""
        for worker in list(self._dead):
            await worker.kill()
            if worker in self._dead:
                self._dead.remove(worker)

    async def _replace(self) -> None:
        await self._bury()
        while not self.retired:
            await asyncio.sleep(BACKOFF[max(0, self._young - 1)])
            try:
                await self._hire()
            except CheckpointError as error:
                self._young = min(self._young + 1, len(BACKOFF) - 1)
                self._told("worker-refused", why=str(error))
            else:
                return

    def free(self, ahead: int) -> Worker | None:
        """The worker that has least to do, if one can take more."""
        slots = int(self.facts.get("slots", 0))
        loads = [(len(w.running) if slots else w.batches, w) for w in self.workers]
        load, worker = min(loads, key=lambda pair: pair[0], default=(0, None))
        return worker if load < (slots or ahead) else None

    async def close(self) -> None:
        """Let all of them finish what they do, and end them."""
        self.retired = True
        begun = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in begun:
            task.cancel()
        if begun:  # who was starting a worker ends it first
            await asyncio.wait(begun, timeout=10)
        workers, self.workers = list(self.workers), []
        await asyncio.gather(*(worker.stop() for worker in workers))
        await self._bury()

    async def retire(self, seconds: float) -> None:
        """Another checkpoint has taken over: end each worker once it has answered."""
        self.retired = True
        until = time.monotonic() + seconds
        while any(worker.running for worker in self.workers) and time.monotonic() < until:
            await asyncio.sleep(0.02)
        late = [job for worker in self.workers for job in worker.running.values()]
        for job in late:
            job.refuse(Refused(504, "the answer took too long"))
        await self.close()
