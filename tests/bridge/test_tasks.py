"""Which names are run, which are refused and why; and what belongs to a measurement's contract."""

from __future__ import annotations

import importlib.metadata
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.benchmarks.harness import HarnessBenchmark, HarnessConfig
from gradus.errors import MissingExtra, SourceError, UsageError

pytest.importorskip("lm_eval", reason="the extra lm-eval isn't installed")


def read(task: str, tasks: Path, **options: Any) -> Any:
    config = HarnessConfig(task=task, include_path=str(tasks), **options)
    return HarnessBenchmark.read(config, tasks)


@pytest.fixture
def small_index(monkeypatch: pytest.MonkeyPatch, tasks: Path) -> None:
    """The harness's own 14,000 files, which take half a minute to read, are left out."""
    from lm_eval.tasks import TaskManager

    from gradus.bridge import tasks as bridge

    def manager(folder: Path | None) -> Any:
        return TaskManager(include_path=str(folder), include_defaults=False)

    monkeypatch.setattr(bridge, "_whole_manager", manager)


def test_documents_have_ids_of_their_content(tasks: Path) -> None:
    documents = read("choice", tasks)
    assert len(documents) == 14
    assert len({document.id for document in documents}) == 14
    assert [d.id for d in read("shots", tasks)] == [d.id for d in documents]
    assert documents[0].text.startswith("The cat sat on the mat")
    assert [d.id for d in read("choice", tasks, limit=3)] == [d.id for d in documents[:3]]


def test_examples_can_be_asked_for(tasks: Path, engine: Any) -> None:
    config = HarnessConfig(task="shots", path=str(tasks), num_fewshot=0)
    documents = HarnessBenchmark.read(config, tasks)
    bare = HarnessBenchmark.ask(config, documents, engine)
    plain = HarnessConfig(task="choice", path=str(tasks))
    same = HarnessBenchmark.ask(plain, HarnessBenchmark.read(plain, tasks), engine)
    np.testing.assert_array_equal(bare.nats, same.nats)  # type: ignore[attr-defined]  # options
    assert HarnessBenchmark.terms(config, engine)["shots"] == "0"
    terms = HarnessBenchmark.terms(HarnessConfig(task="shots", path=str(tasks)), engine)
    assert terms["shots"] == "1"
    assert terms["task"] == "shots 2.0"
    assert terms["harness"] == f"lm-eval {importlib.metadata.version('lm_eval')}"
    assert "window" not in terms  # or models of another length couldn't be compared
    rolling = HarnessBenchmark.terms(HarnessConfig(task="pages", path=str(tasks)), engine)
    assert rolling["window"] == rolling["stride"] == str(engine.limit)


def test_a_second_model_sees_the_same_examples(tasks: Path, engine: Any) -> None:
    config = HarnessConfig(task="shots", path=str(tasks))
    documents = HarnessBenchmark.read(config, tasks)
    one, two = (HarnessBenchmark.ask(config, documents, engine) for _ in range(2))
    np.testing.assert_array_equal(one.nats, two.nats)  # type: ignore[attr-defined]  # options


def test_the_programs_own_randomness_stays(tasks: Path, engine: Any) -> None:
    import torch

    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()
    config = HarnessConfig(task="shots", path=str(tasks), limit=2)
    HarnessBenchmark.ask(config, HarnessBenchmark.read(config, tasks), engine)
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.random.get_rng_state(), before[2])


def test_an_interrupted_evaluation_asks_nothing_twice(
    tasks: Path, engine: Any, tmp_path: Path
) -> None:
    config = HarnessConfig(task="choice", path=str(tasks))
    documents = HarnessBenchmark.read(config, tasks)
    journal, told = tmp_path / "journal.jsonl", list[int]()
    first = HarnessBenchmark.ask(config, documents, engine, journal=journal, progress=told.append)
    assert told[-1] == len(documents)
    assert told == sorted(told)
    before = engine.tokens_seen
    again = HarnessBenchmark.ask(config, documents, engine, journal=journal)
    assert engine.tokens_seen == before
    np.testing.assert_array_equal(first.nats, again.nats)  # type: ignore[attr-defined]  # options


def test_some_documents_alone(tasks: Path, engine: Any) -> None:
    config = HarnessConfig(task="choice", path=str(tasks))
    documents = HarnessBenchmark.read(config, tasks)
    whole: Any = HarnessBenchmark.ask(config, documents, engine)
    part: Any = HarnessBenchmark.ask(config, documents[3:9:2], engine)
    assert part.ids == whole.ids[3:9:2]
    np.testing.assert_allclose(part.nats, whole.nats[3:9:2, : part.nats.shape[1]], atol=1e-4)


@pytest.mark.usefixtures("small_index")
def test_a_group_is_refused_with_its_tasks(tasks: Path) -> None:
    from gradus.bridge.tasks import Asked, subtasks

    for name in ("all_choices", "choosing"):
        with pytest.raises(UsageError, match=r"stands for 2 tasks.*lm-eval:choice, lm-eval:shots"):
            read(name, tasks)
        assert subtasks(Asked(name, tasks)) == ("choice", "shots")
    assert subtasks(Asked("ending", tasks)) == ("ending",)


@pytest.mark.usefixtures("small_index")
def test_an_unknown_task_is_refused_with_a_near_one(tasks: Path) -> None:
    with pytest.raises(UsageError, match=r"'endng': did you mean 'ending'\?.*also looked in"):
        read("endng", tasks)


def test_code_that_a_model_writes_is_not_run(tasks: Path) -> None:
    with pytest.raises(UsageError, match="runs code that the model writes"):
        read("unsafe", tasks)


def test_more_shots_than_a_task_may_have(tasks: Path, tmp_path: Path) -> None:
    text = (tasks / "choice.yaml").read_text().replace("task: choice", "task: bare")
    (tmp_path / "bare.yaml").write_text(text + "num_fewshot: 0\n")
    with pytest.raises(UsageError, match="zero-shot by its own definition"):
        read("bare", tmp_path, num_fewshot=3)


def test_data_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").write_text(
        "task: gone\ndataset_path: json\ndataset_kwargs: {data_files: {test: nowhere.jsonl}}\n"
        "output_type: loglikelihood\ntest_split: test\ndoc_to_text: a\ndoc_to_target: b\n"
    )
    with pytest.raises(SourceError, match=r"task 'gone' or its data can't be loaded"):
        read("gone", tmp_path)


def test_a_task_that_was_edited_is_read_again(tasks: Path, tmp_path: Path) -> None:
    import os

    text = (tasks / "ending.yaml").read_text().replace("task: ending", "task: edited")
    file = tmp_path / "edited.yaml"
    file.write_text(text)
    assert read("edited", tmp_path)[0].text.startswith("The cat")
    file.write_text(text.replace("doc_to_text: start", 'doc_to_text: "So: {{start}}"'))
    os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns + 10_000_000))
    assert read("edited", tmp_path)[0].text.startswith("So: The cat")


def test_without_the_harness(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "lm_eval":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(MissingExtra, match=r"pip install 'gradus-lm\[lm-eval\]'"):
        read("choice", tasks)
