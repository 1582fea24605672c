"""Any task of lm-evaluation-harness, asked of our engine (extra ``lm-eval``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import AliasChoices, ConfigDict, Field

from gradus.benchmarks.texts import Document, TextBenchmark, TextBenchmarkConfig
from gradus.errors import UsageError
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.bridge.tasks import Asked, Loaded
    from gradus.metrics.base import Items
    from gradus.scoring.records import Engine, Progress

_METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    "option": ("accuracy", "accuracy_norm"),
    "text": ("target_perplexity", "accuracy"),
    "outcome": ("outcome", "penalty"),
}
_ROLLING: Final = ("word_perplexity", "byte_perplexity", "bits_per_byte")
_PLACES: Final[dict[str, Path]] = {}
"""Where the folders that configs name are; what they are relative to is only told to `read`."""


class HarnessConfig(TextBenchmarkConfig):
    """What a task of the harness takes.

    Attributes:
        task: its name in the harness, as ``hellaswag``.
        path: folder with local tasks (YAML), which go before the harness's own; ``include_path``
            is the same. Tasks may hold code, which is run. None without local tasks.
        num_fewshot: examples in a prompt; what the task says when left out.
        limit: only the first so many documents; all when left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    task: Annotated[str, Field(min_length=1)]
    path: str = Field(default="", validation_alias=AliasChoices("path", "include_path"))
    num_fewshot: Annotated[int, Field(ge=0)] | None = None


class HarnessBenchmark(TextBenchmark):
    """A task of lm-evaluation-harness.

    Prompts, examples, filters and scoring are the harness's; the log-likelihoods and texts come
    from our engine. What is kept of an item depends on the task:

    - multiple choice, scored the usual way: the options' log-likelihoods (`Options`);
    - log-likelihood of a target or of whole texts, scored the usual way: `Texts`;
    - all else, generation above all: the task's own numbers by its own names (`Outcomes`), asked
      for as ``outcome[NAME]`` or, where less is better, ``penalty[NAME]``; with several filters a
      name is ``METRIC,FILTER``.
    """

    Config: ClassVar[type[TextBenchmarkConfig]] = HarnessConfig
    name: ClassVar[str] = "lm-eval.v1"
    summary: ClassVar[str] = "a task of lm-evaluation-harness: lm-eval:hellaswag"
    protocol: ClassVar[str] = (
        "The harness makes the prompts, examples included, from the task's definition, filters and "
        "scores the answers; our engine gives them, with the harness's rules for the seam between "
        "context and continuation, for contexts that are too long and for rolling windows."
    )
    kind: ClassVar[Target] = "outcome"
    metrics: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "accuracy_norm",
        "target_perplexity",
        *_ROLLING,
        "outcome",
        "penalty",
    )
    compared: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "target_perplexity",
        "word_perplexity",
        "outcome",
        "penalty",
    )
    origin: ClassVar[str] = "https://github.com/EleutherAI/lm-evaluation-harness"
    licence: ClassVar[str] = "MIT; each task's data have their own"

    @classmethod
    def read(cls, config: Any, path: Path | None) -> Sequence[Document]:
        """The task's documents, in its order, `limit` of them; `path` holds local tasks.

        Raises:
            MissingExtra: the harness isn't installed.
            UsageError: there is no such task, or its name stands for several.
            SourceError: its data can't be had.
        """
        from gradus.bridge import tasks
        from gradus.checkpoints.hashing import hash_json

        if config.path and path is not None:
            _PLACES[config.path] = path
        loaded = tasks.load(_asked(config, path))
        return [
            Document(
                id=hash_json(tasks.plain(doc)),
                text=loaded.shown(doc),
                fields={"row": row, "loaded": loaded},
            )
            for row, doc in enumerate(loaded.documents(config.limit))
        ]

    @classmethod
    def ask(
        cls,
        config: Any,
        documents: Sequence[Document],
        engine: Engine,
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> Items:
        """What the harness makes of the engine's answers, as items with the documents' ids."""
        from gradus.benchmarks.harness_items import items_of
        from gradus.bridge import tasks
        from gradus.bridge.lm_eval import GradusLM

        def told(done: int, total: int) -> None:
            if progress is not None:
                progress(done * len(documents) // total)

        if not documents:
            raise UsageError(f"task '{config.task}' has no documents")
        loaded: Loaded = documents[0].fields["loaded"]
        lm = GradusLM(engine=engine, journal=journal, progress=told)
        rows = [int(document.fields["row"]) for document in documents]
        samples = tasks.run(loaded, lm, rows)
        return items_of(loaded, samples, lm.scored, tuple(document.id for document in documents))

    @classmethod
    def metrics_on(cls, items: Items) -> tuple[str, ...]:
        """Those of the kind of items that the task gave."""
        if items.target == "text" and getattr(items, "greedy", None) is None:
            return _ROLLING
        return _METRICS[items.target]

    @classmethod
    def terms(cls, config: Any, engine: Engine) -> dict[str, str]:
        """The task, its version and examples, the harness's version; windows of whole texts."""
        from gradus import bridge
        from gradus.bridge import tasks

        loaded = tasks.load(_asked(config, _PLACES.get(config.path)))
        found = {
            "task": f"{config.task} {loaded.version}",
            "shots": str(loaded.shots),
            "harness": f"lm-eval {bridge.version()}",
        }
        if loaded.output_type == "loglikelihood_rolling":
            width = "none" if engine.limit is None else str(engine.limit)
            found |= {"window": width, "stride": width, "bos": "yes"}
        return found


def _asked(config: Any, path: Path | None) -> Asked:
    from gradus.bridge.tasks import Asked

    return Asked(config.task, path if config.path else None, config.num_fewshot)
