from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from .worlds import make_model, make_tasks

MODELS = {"llama": {"family": "llama", "bos": True}, "gpt2": {"family": "gpt2", "bos": False}}
Oracle = Callable[[str], dict[str, Any]]


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Models this small only wait for one another's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="package")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Data of local tasks are prepared below the tests' folder, and nothing is asked of a hub."""
    import datasets

    patch = pytest.MonkeyPatch()
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
    patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    patch.setenv("HF_HUB_OFFLINE", "1")
    yield
    patch.undo()


@pytest.fixture(scope="session", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model, once with a beginning-of-text token and once without."""
    folder = tmp_path_factory.mktemp("models") / str(request.param)
    return make_model(folder, **MODELS[request.param])


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of local tasks."""
    return make_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="session")
def engine(model: Path) -> Any:
    from gradus import scoring

    return scoring.open(model, threads=1, batch_tokens=256)


@pytest.fixture(scope="session")
def oracle(model: Path, tasks: Path) -> Oracle:
    """What the harness itself says of a local task, with its own model class."""
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    theirs = HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=1)
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    known: dict[str, dict[str, Any]] = {}

    def ask(task: str) -> dict[str, Any]:
        if task not in known:
            patch = pytest.MonkeyPatch()
            # It starts programs to describe the machine, which takes longer than the task.
            patch.setattr(evaluator, "add_env_info", lambda storage: None)
            before = random.getstate()
            found = evaluator.simple_evaluate(
                model=theirs, tasks=[task], task_manager=manager, bootstrap_iters=0
            )
            random.setstate(before)
            patch.undo()
            known[task] = found
        return known[task]

    return ask
