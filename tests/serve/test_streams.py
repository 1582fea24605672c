"""The service without HTTP: answers in parts."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from gradus.serve.service import Service

from .services import during, heard


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Workers find the tests' engines."""
    monkeypatch.setenv("PYTHONPATH", f"{root / 'src'}{os.pathsep}{root}")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    file = tmp_path / "checkpoint"
    file.write_text("one")
    return file


def test_parts_come_as_they_are_said(place: Path) -> None:
    async def work(service: Service) -> Any:
        return await asyncio.gather(*(heard(service, f"{n} b c", pause=0.05) for n in "xyz"))

    end = {"name": "one", "words": 3}
    assert during(work, place, "Writer") == [([n, "b", "c"], end, 200) for n in "xyz"]


def test_a_stream_that_fails_says_so(place: Path) -> None:
    async def work(service: Service) -> Any:
        return await asyncio.gather(
            *(heard(service, f"a {word} b") for word in ("raise", "refuse"))
        )

    assert during(work, place, "Writer") == [(["a"], None, 500), (["a"], None, 422)]


def test_a_job_that_can_not_begin_costs_the_others_nothing(place: Path) -> None:
    told: list[Any] = []

    async def work(service: Service) -> Any:
        other = asyncio.create_task(heard(service, "a b c d", pause=0.1))
        await asyncio.sleep(0.1)
        bad = await heard(service, "never begins")
        assert service.tally.deaths == 0
        return bad, (await other)[2]

    assert during(work, place, "Writer", told=told) == (([], None, 500), 200)
    assert "never begins" not in str(told)


def test_a_stream_whose_worker_dies_ends_and_the_next_one_works(place: Path) -> None:
    async def work(service: Service) -> Any:
        first = await heard(service, "a die b", pause=0.1)
        # Nothing of this one had been said, so that another worker was asked too.
        second = await heard(service, "die")
        return first, second, service.tally.deaths, await heard(service, "a b")

    first, second, deaths, third = during(work, place, "Writer")
    assert first == (["a"], None, 503)
    assert second == ([], None, 503)
    assert deaths == 3
    assert third[0] == ["a", "b"]


@pytest.mark.parametrize("engine", ["Writer", "Scheduled"])
def test_whoever_stops_reading_frees_the_slot(place: Path, engine: str) -> None:
    async def work(service: Service) -> float:
        for _ in range(2):
            parts = service.stream("write", {"text": "a " * 1000, "pause": 0.05})
            async for _ in parts:
                break
            await parts.aclose()
        began = time.monotonic()
        assert (await heard(service, "b c"))[0] == ["b", "c"]
        await asyncio.sleep(0.2)
        assert not service.workers[0].running
        return time.monotonic() - began

    assert during(work, place, engine) < 2


@pytest.mark.parametrize("engine", ["Writer", "Scheduled"])
def test_what_takes_too_long_to_write_frees_the_slot(place: Path, engine: str) -> None:
    async def work(service: Service) -> None:
        assert (await heard(service, "a " * 1000, pause=0.05))[2] == 504
        await asyncio.sleep(0.3)
        assert not service.workers[0].running

    during(work, place, engine, limits={"seconds": 0.4})


@pytest.mark.slow
def test_a_swap_lets_long_texts_be_written_to_their_end(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("two")

    async def work(service: Service) -> Any:
        # As the routes of language models do, with a time of their own.
        async def written(words: int) -> list[str]:
            body = {"text": "a " * words, "pause": 0.5}
            return [part async for part in service.stream("write", body, seconds=60)]

        first = asyncio.create_task(written(14))
        gone = asyncio.create_task(written(1000))
        await asyncio.sleep(0.3)
        (old,) = service.workers
        await service.swap(str(other))
        gone.cancel()
        said = await first
        return said, len(old.running)

    assert during(work, place, "Writer", limits={"seconds": 0.2}) == (["a"] * 14, 0)
