"""The service without HTTP: batches, deadlines, deaths, swaps."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from gradus.errors import CheckpointError
from gradus.serve.limits import Limits
from gradus.serve.refusals import Refused
from gradus.serve.service import Service
from gradus.serve.shadow import Shadow, disagreements

from .scripted import NAME
from .services import during, label, status


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Workers find the tests' engines."""
    monkeypatch.setenv("PYTHONPATH", f"{root / 'src'}{os.pathsep}{root}")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    file = tmp_path / "checkpoint"
    file.write_text("one")
    return file


def test_what_waits_goes_in_one_batch(place: Path) -> None:
    async def work(service: Service) -> list[int]:
        slow = asyncio.create_task(label(service, "sleep 0.2"))
        await asyncio.sleep(0.05)
        said = await asyncio.gather(*(label(service, f"text {n}") for n in range(20)))
        await slow
        assert service.tally.batches.counts[0] == 1
        assert service.tally.texts == 21
        return [one["beside"] for one in said]

    assert during(work, place) == [20] * 20


def test_a_batch_waits_where_it_is_told_to(place: Path) -> None:
    async def work(service: Service) -> int:
        first = asyncio.create_task(label(service))
        await asyncio.sleep(0.02)
        second = await label(service)
        assert (await first)["beside"] == second["beside"]
        return int(second["beside"])

    assert during(work, place, limits={"linger_ms": 200}) == 2
    assert during(work, place) == 1


def test_one_bad_text_costs_the_others_nothing(place: Path) -> None:
    async def work(service: Service) -> list[int]:
        slow = asyncio.create_task(label(service, "sleep 0.2"))
        await asyncio.sleep(0.05)
        texts = ("fine", "raise", "fine", "refuse", "fine")
        said = await asyncio.gather(*(status(label(service, text)) for text in texts))
        await slow
        return said

    told: list[Any] = []
    assert during(work, place, told=told) == [200, 500, 200, 422, 200]
    said = [facts["said"] for event, facts in told if event == "worker-said"]
    assert any("ZeroDivisionError" in line for line in said)


def test_an_answer_that_is_no_number_costs_the_others_nothing(place: Path) -> None:
    async def work(service: Service) -> list[int]:
        slow = asyncio.create_task(label(service, "sleep 0.2"))
        await asyncio.sleep(0.05)
        said = await asyncio.gather(*(status(label(service, text)) for text in ("a", "nan", "b")))
        await slow
        assert service.tally.deaths == 0
        return said

    assert during(work, place) == [200, 500, 200]


def test_a_text_that_kills_workers_costs_the_others_nothing(place: Path) -> None:
    async def work(service: Service) -> list[int]:
        slow = asyncio.create_task(label(service, "sleep 0.2"))
        await asyncio.sleep(0.05)
        texts = ("fine", "die", "fine", "fine")
        said = await asyncio.gather(*(status(label(service, text)) for text in texts))
        await slow
        assert service.tally.deaths == 2
        return said

    assert during(work, place) == [200, 503, 200, 200]


def test_a_killed_worker_costs_no_answer(place: Path) -> None:
    async def work(service: Service) -> None:
        asked = [asyncio.create_task(label(service, "sleep 0.05")) for _ in range(10)]
        for deaths in (1, 2):
            await asyncio.sleep(0.1)
            os.kill(service.workers[0].pid, signal.SIGKILL)
            while service.tally.deaths < deaths or not service.workers:
                await asyncio.sleep(0.02)
        said = [await status(one) for one in asked]
        # Twice is once too often for those that both workers had.
        assert set(said) <= {200, 503}
        assert said.count(200) >= 8
        assert await status(label(service)) == 200

    during(work, place)


def test_several_workers_share(place: Path) -> None:
    async def work(service: Service) -> float:
        began = time.monotonic()
        first = asyncio.create_task(label(service, "sleep 0.5"))
        await asyncio.sleep(0.1)
        await label(service, "sleep 0.5")
        await first
        assert len(service.workers) == 2
        return time.monotonic() - began

    assert during(work, place, workers=2) < 0.9


def test_what_takes_too_long_is_refused(place: Path) -> None:
    async def work(service: Service) -> list[int]:
        first = asyncio.create_task(status(label(service, "sleep 1")))
        await asyncio.sleep(0.1)
        waiting = await status(label(service))
        assert await first == 504
        await asyncio.sleep(0.8)
        return [waiting, await status(label(service))]

    assert during(work, place, limits={"seconds": 0.3}) == [504, 200]


@pytest.mark.slow
def test_a_stuck_worker_is_replaced(place: Path) -> None:
    async def work(service: Service) -> None:
        pid = service.workers[0].pid
        assert await status(label(service, "sleep 60")) == 504
        assert await status(label(service)) == 200
        assert service.workers[0].pid != pid

    during(work, place, limits={"seconds": 1.5, "stuck_seconds": 1.0})


def test_a_client_that_hangs_up_is_taken_out_of_the_line(place: Path) -> None:
    gone = asyncio.Event

    async def work(service: Service) -> int:
        left = gone()

        async def receive() -> dict[str, str]:
            await left.wait()
            return {"type": "http.disconnect"}

        slow = asyncio.create_task(label(service, "sleep 1"))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(status(label(service, "die", receive=receive)))
        await asyncio.sleep(0.5)
        left.set()
        assert await waiting == 499
        await slow
        assert service.tally.gone == 1
        return service.tally.deaths

    assert during(work, place) == 0


def test_a_machine_without_room_for_a_process_gets_its_worker_later(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, tries = asyncio.create_subprocess_exec, []

    async def full(*args: Any, **more: Any) -> Any:
        tries.append(args)
        if len(tries) == 2:
            raise OSError(12, "Cannot allocate memory")
        return await start(*args, **more)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)

    async def work(service: Service) -> int:
        os.kill(service.workers[0].pid, signal.SIGKILL)
        return await status(label(service))

    assert during(work, place) == 200
    assert len(tries) == 3


def test_what_nobody_waits_for_takes_no_room(place: Path) -> None:
    async def work(service: Service) -> None:
        slow = asyncio.create_task(label(service, "sleep 1"))
        await asyncio.sleep(0.1)
        waiting = [asyncio.create_task(label(service)) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert len(service.line) == 5
        for one in waiting:
            one.cancel()
        await asyncio.sleep(0.05)
        assert len(service.line) == 0
        await slow

    during(work, place)


# --- another checkpoint


def test_a_swap_drops_nothing(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("two")

    async def work(service: Service) -> None:
        seen: list[str] = []
        ended = asyncio.Event()

        async def ask() -> None:
            while not ended.is_set():
                said = await service.ask("classify", {"texts": ["sleep 0.01"]})
                assert said.value[0]["label"] == said.facts["digest"]
                seen.append(said.facts["digest"])

        clients = [asyncio.create_task(ask()) for _ in range(8)]
        await asyncio.sleep(0.2)
        facts = await service.swap(str(other))
        assert facts["name"] == "two"
        await asyncio.sleep(0.3)
        ended.set()
        await asyncio.gather(*clients)
        first = seen.index("two")
        assert set(seen[:first]) == {"one"}
        assert set(seen[first + 8 :]) == {"two"}
        assert service.tally.swapped == 1
        assert service.tally.deaths == 0

    during(work, place)


@pytest.mark.parametrize("content", ["broken", "bursts", "dies"])
def test_a_broken_checkpoint_changes_nothing(place: Path, tmp_path: Path, content: str) -> None:
    other = tmp_path / "other"
    other.write_text(content)

    async def work(service: Service) -> None:
        with pytest.raises(Refused, match="old checkpoint stays") as refused:
            await service.swap(str(other))
        assert refused.value.status == 422
        assert str(other) in refused.value.message
        assert (await label(service))["label"] == "one"
        assert service.tally.refused == 1
        assert len(service.workers) == 1

    during(work, place)


def test_one_swap_at_a_time(place: Path, tmp_path: Path) -> None:
    async def work(service: Service) -> list[int]:
        return sorted(await asyncio.gather(*(status(service.swap(str(place))) for _ in range(3))))

    assert during(work, place) == [200, 409, 409]


def test_what_can_not_be_opened_ends_the_service(place: Path) -> None:
    place.write_text("broken")

    async def work(service: Service) -> None:
        raise AssertionError

    with pytest.raises(CheckpointError, match="broken"):
        during(work, place)


# --- the shadow


def test_a_shadow_is_compared_and_never_waited_for(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("two")

    async def work(service: Service) -> None:
        behind = Service(
            str(other),
            limits=Limits(),
            told=lambda event, **facts: None,
            engine=f"{NAME}:Scripted",
            idle=True,
        )
        shadow = Shadow(behind, 1.0, service.tally)
        await shadow.open(service)
        try:
            for text in ("a", "sleep 0.2"):
                began = time.monotonic()
                await label(service, text)
                took = time.monotonic() - began
            assert took < 0.4
            while service.tally.compared < 2:
                await asyncio.sleep(0.02)
            assert service.tally.disagreed == 2
            os.kill(behind.workers[0].pid, signal.SIGKILL)
            assert await status(label(service)) == 200
        finally:
            await behind.close()

    during(work, place)


def test_what_is_a_disagreement() -> None:
    one = [{"label": "a", "top": []}, {"label": "b", "top": []}]
    assert disagreements("classify", one, one) == 0
    assert disagreements("classify", one, one[::-1]) == 2
    sets = [{"labels": [{"label": "a"}, {"label": "b"}]}, {"labels": [{"label": "b"}]}]
    assert disagreements("classify", sets, [{"labels": sets[0]["labels"][::-1]}, sets[0]]) == 1
    assert (
        disagreements("classify", [{"value": 100.0}] * 2, [{"value": 100.5}, {"value": 102.0}]) == 1
    )
    spans = [{"spans": [{"start": 0, "end": 2, "label": "PER", "probability": 0.9}]}]
    again = [{"spans": [{"start": 0, "end": 2, "label": "PER", "probability": 0.8}]}]
    assert disagreements("tag", spans, again) == 0
    assert disagreements("tag", spans, [{"spans": []}]) == 1
    assert disagreements("classify", one[:1], [{"value": 1.0}]) == 1
    assert disagreements("embed", [[[1.0, 0.0], 3]], [[[0.0, 1.0], 3]]) == 1
    assert disagreements("embed", [[[1.0, 0.0], 3]], [[[1.0, 0.0], 5]]) == 0
    assert disagreements("embed", [[1.0, 0.0]] * 2, [[0.999, 0.01], [0.0, 1.0]]) == 1
