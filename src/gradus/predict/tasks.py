"""What can be asked of a checkpoint, and opening whatever answers.

Legend: N texts, D width of vectors.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from gradus.errors import CheckpointError, UsageError
from gradus.predict.entries import TextItem
from gradus.predict.outputs import target_of
from gradus.records import CheckpointRef

if TYPE_CHECKING:
    import numpy as np

    from gradus.generation import Decoding
    from gradus.generation.base import Generator
    from gradus.generation.chat import Chat
    from gradus.predict.model import Model

TASKS: Final = ("classify", "regress", "tag", "generate", "embed")
_BY_TARGET: Final[Mapping[str, str]] = {
    "label": "classify",
    "labels": "classify",
    "number": "regress",
    "spans": "tag",
    "reply": "generate",
}
REPLY_TOKENS: Final = 512
"""Tokens of a reply at most; most replies end by themselves."""
_CAUSAL: Final = ("ForCausalLM", "LMHeadModel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What shall be said of texts, and by what; plain enough for JSON.

    Attributes:
        checkpoint: a checkpoint's folder, or weights as a plan names them.
        task: one of `TASKS`.
        dtype: what torch computes in; None for what suits.
        threads: to compute with; None leaves the back end's default.
        verify: compare every file's SHA-256 with the manifest first.
        top_k, threshold, label_map: of ``classify``, see `Model.predict` and `Model.mapped`.
        normalise: of ``embed``, see `Model.embed`.
        chat: of ``generate``: a text is a turn that is replied to, not the beginning of one.
        decoding: of ``generate``: settings of `gradus.generation.Decoding`.
        echo: repeat each text.
        rows: of ``embed``: vectors alone, float32, instead of JSON.
    """

    checkpoint: str
    task: str
    dtype: str | None = None
    threads: int | None = None
    verify: bool = True
    top_k: int = 1
    threshold: float | None = None
    label_map: Mapping[str, str] = field(default_factory=dict)
    normalise: bool | None = None
    chat: bool = True
    decoding: Mapping[str, Any] = field(default_factory=dict)
    echo: bool = False
    rows: bool = False

    def to_json(self) -> dict[str, Any]:
        """What `Job(**...)` makes an equal one from."""
        return asdict(self)


class Answerer(ABC):
    """Says something of texts."""

    @abstractmethod
    def __call__(self, items: Sequence[TextItem], *, echo: bool) -> Iterator[dict[str, Any]]:
        """The fields of each text's record, in their order."""


class Said(Answerer):
    """What a checkpoint predicts."""

    def __init__(self, model: Model, *, top_k: int, threshold: float | None) -> None:
        """See `Model.predict`.

        Raises:
            UsageError: `top_k` or `threshold` is out of range, or a threshold has no use.
        """
        from gradus.predict.model import check_options

        check_options(top_k, threshold)
        model.check_threshold(threshold)
        self._model, self._top_k, self._threshold = model, top_k, threshold

    def __call__(self, items: Sequence[TextItem], *, echo: bool) -> Iterator[dict[str, Any]]:
        """See `gradus.predict.stream.predict_stream`."""
        from gradus.predict.stream import as_json

        model = self._model
        abstains = self._threshold is not None or model.predictor.abstain_below is not None
        texts = [item.text for item in items]
        found = model.predict(texts, top_k=self._top_k, threshold=self._threshold)
        for text, said in zip(texts, found, strict=True):
            yield as_json(model.target, text, said, thresholded=abstains)


class Vectors(Answerer):
    """The vectors of texts."""

    def __init__(self, model: Model, *, normalise: bool | None) -> None:
        self._model, self._normalise = model, normalise

    def rows(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [N, D]."""
        return self._model.embed(texts, normalise=self._normalise)

    def __call__(self, items: Sequence[TextItem], *, echo: bool) -> Iterator[dict[str, Any]]:
        """``embedding`` alone; nine digits tell every float32 from its neighbours."""
        for row in self.rows([item.text for item in items]).tolist():
            yield {"embedding": [float(f"{value:.9g}") for value in row]}


class Written(Answerer):
    """What a language model writes."""

    def __init__(self, writer: Generator, chat: Chat | None, settings: Decoding) -> None:
        self._writer, self._chat, self._settings = writer, chat, settings

    def __call__(self, items: Sequence[TextItem], *, echo: bool) -> Iterator[dict[str, Any]]:
        """``reply`` or ``continuation``, ``tokens``, and whether it ``ended`` by itself.

        Draws follow from the seed, the prompt and its line, not from what is written beside it.
        """
        from gradus.data.conversations import turns_of
        from gradus.generation.base import Task, seed_of

        tasks = []
        for place, item in enumerate(items):
            prompt = self._chat.prompt(turns_of(item.text)) if self._chat else item.text
            tasks.append(Task(place, prompt, seed_of(prompt, item.line, self._settings)))
        found = dict(self._writer.write(tasks, self._settings))
        for place in range(len(items)):
            said = found[place]
            text = {"reply": said.text.strip()} if self._chat else {"continuation": said.text}
            yield {**text, "tokens": said.tokens, "ended": said.ended}


def find(name: str) -> CheckpointRef:
    """A checkpoint's folder, or weights of any source.

    Raises:
        CheckpointError: a folder that holds neither a manifest nor weights.
        SourceError, UsageError: nothing is there.
    """
    from gradus.checkpoints import open_checkpoint
    from gradus.checkpoints.manifest import is_checkpoint
    from gradus.scoring.load import find as find_weights

    folder = Path(name)
    bare = folder.is_file() or (folder / "config.json").is_file() or any(folder.glob("*.gguf"))
    if is_checkpoint(folder) or not (bare or ":" in name):
        return open_checkpoint(name)
    return find_weights(name)


def tasks_of(ref: CheckpointRef) -> tuple[str, ...]:
    """What can be asked of a checkpoint or of weights; the first is what it is for."""
    from gradus.checkpoints import find_manifest
    from gradus.scoring.load import is_masked

    manifest = None if ref.file else find_manifest(Path(ref.path))
    target = target_of(manifest.preprocessing) if manifest else "text"
    if target != "text":
        own = _BY_TARGET.get(target, "classify")
        reads_texts = ref.kind == "transformer" and target != "spans"
        return (own, "embed") if reads_texts else (own,)
    writes = ref.kind == "gguf" or (not is_masked(ref) and (manifest or _is_causal(ref)))
    return ("generate", "embed") if writes else ("embed",)


def choose(ref: CheckpointRef, asked: str | None) -> str:
    """The task that is asked for, or what the checkpoint is for.

    Raises:
        UsageError: the checkpoint can't do it.
    """
    able = tasks_of(ref)
    if asked is None or asked in able:
        return asked or able[0]
    also = " or ".join(f"--task {task}" for task in able)
    raise UsageError(f"--task {asked}: '{ref.name}' can't do that; leave it out, or take {also}")


def _is_causal(ref: CheckpointRef) -> bool:
    config = Path(ref.path) / "config.json"
    try:
        raw = json.loads(config.read_bytes())
        return any(str(n).endswith(_CAUSAL) for n in raw.get("architectures") or ())
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{config}: not a readable model config ({error})") from error


def open_job(job: Job) -> Answerer:
    """Load what answers.

    Raises:
        GradusError: the checkpoint can't be read, or an option doesn't fit it.
    """
    from gradus import predict

    ref = find(job.checkpoint)
    dtype = job.dtype or "float32"
    if job.task == "generate":
        return _writer(job, ref)
    bare = job.task == "embed" and choose(ref, None) in ("generate", "embed")
    if bare:
        model = predict.encoder(ref, dtype=dtype, threads=job.threads)
    else:
        model = predict.load(ref, dtype=dtype, threads=job.threads, verify=job.verify)
    if job.task == "embed":
        return Vectors(model, normalise=job.normalise)
    if job.label_map:
        model = model.mapped(job.label_map)
    return Said(model, top_k=job.top_k, threshold=job.threshold)


def _writer(job: Job, ref: CheckpointRef) -> Written:
    from gradus import generation
    from gradus.checkpoints.manifest import is_checkpoint, verify
    from gradus.generation.chat import Chat
    from gradus.training.models import load_tokenizer

    if job.verify and is_checkpoint(Path(ref.path)):
        verify(Path(ref.path))
    writer = generation.open(ref, dtype=job.dtype, threads=job.threads)
    chat = Chat(load_tokenizer(ref)) if job.chat else None
    given = dict(job.decoding)
    if chat is not None:
        room = REPLY_TOKENS if writer.limit is None else max(1, writer.limit // 2)
        given = {"max_tokens": min(REPLY_TOKENS, room), **given}
    settings = generation.settings_of(given, flags=True)
    if chat is not None:
        settings = settings.model_copy(update={"stop": (*settings.stop, *chat.stop)})
    return Written(writer, chat, settings)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a window became: the output's bytes, and how many records are errors."""

    data: bytes
    records: int
    bad: int

    @classmethod
    def of(cls, data: bytes, bad: Sequence[bool]) -> Self:
        """From the bytes and, of each record, whether it is an error."""
        return cls(data, len(bad), sum(bad))
