from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.errors import CheckpointError, GradusError, ServiceError, UsageError
from gradus.predict.entries import BadLine, TextItem
from gradus.predict.tasks import Job
from gradus.predict.windows import Here
from gradus.predict.worker import Worker, packed, receive, send, unpacked
from gradus.records import Pair

from .linear_models import TEXTS, save

TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
OWN_ID = st.one_of(st.none(), st.integers(), TEXT, st.just("\ud800"), st.lists(st.integers()))
ENTRY = st.one_of(
    st.builds(TextItem, st.integers(1), TEXT, OWN_ID),
    st.builds(TextItem, st.integers(1), st.builds(Pair, TEXT, TEXT), OWN_ID),
    st.builds(BadLine, st.integers(1), TEXT, OWN_ID),
)


@given(entries=st.lists(ENTRY))
def test_entries_arrive_as_they_were_sent(entries: list) -> None:
    stream = io.BytesIO()
    send(stream, packed(entries))
    stream.seek(0)
    content = receive(stream)
    assert content is not None
    found = unpacked(content)
    assert found == entries
    for one, other in zip(found, entries, strict=True):
        if isinstance(other, TextItem) and isinstance(other.text, Pair):
            assert (one.text.first, one.text.second) == (other.text.first, other.text.second)
    assert receive(stream) is None
    assert receive(io.BytesIO(stream.getvalue()[:-1])) is None


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = save(tmp_path_factory.mktemp("worker") / "c")
    return Job(checkpoint=folder.path, task="classify", top_k=2, echo=True)


def test_a_worker_says_what_is_said_here(job: Job) -> None:
    entries = [TextItem(1, TEXTS[0], "a"), BadLine(2, "torn"), TextItem(3, TEXTS[1])]
    worker = Worker(job)
    worker.ready()
    found = worker(entries)
    assert found == Here(job)(entries)
    assert (found.records, found.bad) == (3, 1)
    assert [json.loads(line)["line"] for line in found.data.splitlines()] == [1, 2, 3]
    os.kill(worker._process.pid, signal.SIGKILL)
    with pytest.raises(ServiceError, match=r"has died \(exit code -9\).*fewer --workers"):
        worker(entries)
    worker.close()


def test_it_ends_when_nobody_asks_any_more(job: Job) -> None:
    worker = Worker(job)
    worker.ready()
    worker._to.close()
    assert worker._process.wait(60) == 0
    worker._from.close()


def test_what_it_cannot_load_is_said_here(job: Job, tmp_path: Path) -> None:
    missing = Worker(Job(checkpoint=str(tmp_path), task="classify"))
    with pytest.raises(GradusError, match=r"no gradus\.json|isn't a checkpoint|manifest"):
        missing.ready()
    missing.close()
    with pytest.raises(CheckpointError):
        Here(Job(checkpoint=str(tmp_path), task="classify"))
    wrong = Worker(Job(checkpoint=job.checkpoint, task="classify", threshold=2.0))
    with pytest.raises(UsageError, match="threshold is 2"):
        wrong.ready()
    wrong.close()


def test_files_of_the_current_folder_are_no_modules_of_a_worker(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "subprocess", "numpy", "sklearn"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    worker = Worker(job)
    worker.ready()
    assert worker([TextItem(1, TEXTS[0])]).records == 1
    worker.close()
