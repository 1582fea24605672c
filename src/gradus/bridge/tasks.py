"""Tasks of lm-evaluation-harness: found, loaded and run as the harness itself would.

Building prompts, choosing examples, filters and scoring are the harness's own code; only the
requests to the model are answered elsewhere.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from gradus import bridge
from gradus.bridge.aggregations import named
from gradus.errors import SourceError, UsageError, unknown

NO_FILTER = "none"
SHOWN = 8
"""Names of a group's tasks that an error spells out."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which task, and what of its configuration is set from outside.

    Attributes:
        task: its name in the harness.
        include_path: folder with local tasks, which go before the harness's own.
        num_fewshot: examples in a prompt; None for what the task says, or none.
    """

    task: str
    include_path: Path | None = None
    num_fewshot: int | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A task with its data.

    Attributes:
        name: the task's.
        task: the harness's object.
        randomness: state of the random generators after loading, from which the run goes on.
    """

    name: str
    task: Any
    randomness: Any = field(repr=False)

    @property
    def output_type(self) -> str:
        """``multiple_choice``, ``loglikelihood``, ``loglikelihood_rolling``, ``generate_until``."""
        return str(self.task.OUTPUT_TYPE)

    @property
    def version(self) -> str:
        """The task's own version."""
        return str(self.task.VERSION)

    @property
    def shots(self) -> int:
        """Examples in a prompt."""
        return int(self.task.get_config("num_fewshot") or 0)

    @property
    def scores_plainly(self) -> bool:
        """Whether scoring is the output type's usual one, not code of the task's own."""
        config = getattr(self.task, "config", None)
        return hasattr(self.task, "multiple_target") and not callable(
            getattr(config, "process_results", None)
        )

    def documents(self, limit: int | None) -> list[dict[str, Any]]:
        """The first `limit` documents, in the task's order."""
        return [doc for _, doc in self.task.doc_iterator(limit=limit)]

    def shown(self, doc: Any) -> str:
        """What a reader is shown of a document: its question or text."""
        text = self.task.doc_to_text(doc)
        if isinstance(text, str) and text.strip():
            return text
        choices = self.choices(doc)
        return " / ".join(choices) if choices else str(self.task.doc_to_target(doc))

    def choices(self, doc: Any) -> list[str]:
        """The options of a document as the task writes them; none where it has none."""
        if self.output_type != "multiple_choice":
            return []
        return [str(choice) for choice in self.task.doc_to_choice(doc)]

    def gold(self, doc: Any) -> int | None:
        """Index of the one right option; None where there are several or it isn't among them."""
        text_is_gold = bool(self.task.multiple_input)
        gold = self.task.doc_to_text(doc) if text_is_gold else self.task.doc_to_target(doc)
        choices = self.choices(doc)
        if isinstance(gold, str):
            gold = choices.index(gold) if gold in choices else None
        if isinstance(gold, bool) or not isinstance(gold, int):
            return None
        return gold if 0 <= gold < len(choices) else None

    def aggregation(self, metric: str) -> str:
        """How the harness makes one number of the items' values of a metric; "" for own code."""
        functions: Mapping[str, Callable[..., Any]] = self.task.aggregation()
        return (named(functions[metric]) or "") if metric in functions else "mean"

    def lower(self, metric: str) -> bool:
        """Whether the task says that less of a metric is better."""
        return self.task.higher_is_better().get(metric) is False


def load(asked: Asked) -> Loaded:
    """The task with its data, which the harness may have to download.

    Raises:
        MissingExtra: the harness isn't installed.
        UsageError: no task has the name, it stands for several, or the task can't be run here.
        SourceError: the task's data can't be had.
    """
    bridge.version()
    return _load(asked, _stamp(asked.include_path))


def subtasks(asked: Asked) -> tuple[str, ...]:
    """Names of the tasks that a name stands for: one, or those of a group or tag, in order.

    Raises:
        MissingExtra: the harness isn't installed.
        UsageError: neither a task nor a group nor a tag has the name.
    """
    bridge.version()
    manager = _manager(asked)
    return tuple(_members(manager, asked.task))


def run(loaded: Loaded, lm: Any, rows: Sequence[int]) -> list[dict[str, Any]]:
    """The harness's samples of the documents at `rows` (ascending), one a filter and document.

    `lm` answers the requests.
    """
    from lm_eval.defaults import DEFAULT_OTHER_SEED
    from lm_eval.evaluator import evaluate

    # Examples are drawn anew in every run, so that two models see the same ones.
    loaded.task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)
    leading = list(rows) == list(range(len(rows)))
    which = {"limit": len(rows)} if leading else {"samples": {loaded.name: list(rows)}}
    with _quiet(), _random_from(loaded.randomness):
        found = evaluate(
            lm=lm,
            task_dict={"tasks": {loaded.name: loaded.task}, "groups": {}},
            bootstrap_iters=0,
            log_samples=True,
            **which,
        )
    samples: list[dict[str, Any]] = found["samples"][loaded.name]
    return samples


def plain(doc: Any) -> str:
    """A document as JSON with its keys sorted; what JSON has no form for as text."""
    return json.dumps(doc, sort_keys=True, ensure_ascii=False, default=str)


@lru_cache(maxsize=4)
def _load(asked: Asked, stamp: int) -> Loaded:
    """Keyed by the newest change below the include path too, so that edited tasks are reread."""
    del stamp
    manager = _manager(asked)
    members = _members(manager, asked.task)
    if len(members) != 1:
        more = f" and {len(members) - SHOWN} more" if len(members) > SHOWN else ""
        raise UsageError(
            f"'{asked.task}' stands for {len(members)} tasks: name each as a benchmark of its own, "
            + ", ".join(f"lm-eval:{name}" for name in members[:SHOWN])
            + more
        )
    with _quiet(), _random_from(None) as left:
        task = _built(manager, members[0], asked)
        state = left()
    _configure(task, asked)
    return Loaded(members[0], task, state)


def _built(manager: Any, name: str, asked: Asked) -> Any:
    try:
        task = manager.load([name])["tasks"][name]
    except ImportError as error:
        raise UsageError(
            f"task '{asked.task}' needs a package that isn't installed: {_first_line(error)}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"task '{asked.task}' or its data can't be loaded ({_first_line(error)}); data of the "
            "harness's own tasks come from the hub, those of a local task from where its YAML says"
        ) from error
    for flag, why in (
        ("UNSAFE_CODE", "runs code that the model writes"),
        ("MULTIMODAL", "has pictures or sound in its prompts"),
    ):
        if getattr(task, flag, False):
            raise UsageError(f"task '{asked.task}' {why}, which isn't supported")
    return task


def _configure(task: Any, asked: Asked) -> None:
    """The number of examples, by the rules of the harness's own entry point."""
    usual = task.get_config("num_fewshot")
    if asked.num_fewshot is not None and usual == 0 and asked.num_fewshot != 0:
        raise UsageError(
            f"task '{asked.task}' is zero-shot by its own definition; leave out num_fewshot"
        )
    if asked.num_fewshot is not None:
        task.set_config(key="num_fewshot", value=asked.num_fewshot)
    elif usual is None:
        task.set_config(key="num_fewshot", value=0)


def _manager(asked: Asked) -> Any:
    """What knows the tasks; the harness's own 14,000 files are read only where they are needed."""
    from lm_eval.tasks import TaskManager

    if asked.include_path is not None:
        local = TaskManager(include_path=str(asked.include_path), include_defaults=False)
        if asked.task in local.all_subtasks:
            return local
    manager = _whole_manager(asked.include_path)
    if asked.task not in manager.all_tasks:
        why = unknown("task of lm-evaluation-harness", asked.task, manager.all_tasks)
        where = f" (also looked in {asked.include_path})" if asked.include_path else ""
        raise UsageError(f"{why}{where}")
    return manager


@lru_cache(maxsize=2)
def _whole_manager(include_path: Path | None) -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=None if include_path is None else str(include_path))


def _members(manager: Any, name: str) -> list[str]:
    """The tasks below a name, in order, each once."""
    if name in manager.all_subtasks:
        return [name]
    entry = manager.task_index[name]
    below = sorted(entry.tags) if name in manager.all_tags else _listed(entry.cfg)
    found = [
        task
        for one in below
        for task in (_members(manager, one) if one in manager.all_tasks else [one])
    ]
    return list(dict.fromkeys(found))


def _listed(config: Mapping[str, Any] | None) -> list[str]:
    entries = (config or {}).get("task", [])
    entries = [entries] if isinstance(entries, str) else entries
    return [e if isinstance(e, str) else str(e.get("task", e.get("group"))) for e in entries]


def _stamp(folder: Path | None) -> int:
    if folder is None:
        return 0
    return max((p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()), default=0)


@contextmanager
def _random_from(state: Any) -> Iterator[Callable[[], Any]]:
    """The global generators as the harness has them, and afterwards as they were.

    Without a `state` they start from the harness's seeds. Gives what reads the state.
    """
    import numpy as np
    import torch
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED

    def now() -> Any:
        return random.getstate(), np.random.get_state(), torch.random.get_rng_state()

    def put(state: Any) -> None:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.random.set_rng_state(state[2])

    before = now()
    try:
        if state is None:
            random.seed(DEFAULT_RANDOM_SEED)
            np.random.seed(DEFAULT_OTHER_SEED)
            torch.random.manual_seed(DEFAULT_OTHER_SEED)
        else:
            put(state)
        yield now
    finally:
        put(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars for what takes no time beside the model."""
    import datasets  # type: ignore[import-untyped]  # it carries no types

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
