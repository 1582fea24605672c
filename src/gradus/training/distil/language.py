"""A causal language model learns from others, on a corpus.

Legend: T tokens of a batch, n of them predicted, d hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from gradus.checkpoints.hashing import hash_json
from gradus.errors import GradusError, TrainingError
from gradus.objectives.base import Prepared
from gradus.records import CheckpointRef
from gradus.scoring.load import load_causal_lm
from gradus.steps.base import StepContext
from gradus.training.activations import autocast
from gradus.training.blocks import Blocks, CausalBlocks, Cutting, LanguageBatch, Mixture
from gradus.training.distil import students
from gradus.training.distil.running import Ready, identity_of
from gradus.training.distil.vocabulary import Said, Terms, Weights
from gradus.training.language import LanguageTask
from gradus.training.language_setup import (
    SELECT,
    TRAIN,
    held_documents,
    tokenised,
    tokenizer_folder,
)
from gradus.training.losses.base import Loss
from gradus.training.models import load_tokenizer, max_positions, save_model
from gradus.training.packing import Batch, Layout
from gradus.training.tally import Held
from gradus.training.task import Examined, Features
from gradus.training.teachers.tokens import require_same
from gradus.training.teachers.vocabulary import Panel, Speaker, keep_top, losses
from gradus.training.vocabulary_loss import summed

if TYPE_CHECKING:
    from gradus.data.corpora import Shards
    from gradus.steps.distil import DistilConfig

Saying = Callable[[LanguageBatch], Said]
FLOPS_FORWARD: Final = 2.0


class Fixed(Mixture):
    """One corpus in blocks that are cut alike in every epoch; chance decides their order alone."""

    def __init__(self, blocks: Blocks) -> None:
        super().__init__([blocks], [1.0], 0)
        self.lengths = blocks.lengths
        self._row = np.arange(len(blocks))

    def begin_epoch(self, epoch: int) -> None:
        """Change nothing."""
        self._epoch, self._row = epoch, np.arange(len(self.parts[0]))

    def batch(self, rows: Sequence[int] | np.ndarray) -> LanguageBatch:
        """The blocks `rows`, shorter ones first, as what a stage keeps of them lies."""
        given = np.asarray(rows, dtype=np.int64)
        return super().batch(given[np.argsort(self.lengths[given], kind="stable")])


class DistilLanguageTask(LanguageTask):
    """Predict tokens, and what teachers say of them.

    Attributes:
        weights: of the terms.
        temperature: T.
    """

    def __init__(
        self,
        full: Any,
        *,
        train: Fixed,
        held: Mapping[str, Held],
        digest: str,
        arithmetic: torch.dtype,
        weights: Weights,
        temperature: float = 1.0,
        vocabulary: int | None = None,
        saying: tuple[Saying, Saying] | None = None,
        flops_of_teachers: float = 0.0,
    ) -> None:
        """As `LanguageTask`, and:

        Args:
            vocabulary: tokens that student and teachers have logits for; all when left out.
            saying: what teachers say of a batch of train, and of one of dev.select; None where no
                term asks for it.
            flops_of_teachers: operations a token of those that run beside the student.
        """
        super().__init__(
            full,
            name="causal-lm",
            train=train,
            held=held,
            causal=True,
            digest=digest,
            arithmetic=arithmetic,
        )
        self.weights, self.temperature = weights, temperature
        self._vocabulary = vocabulary or len(self.head.weight)
        self._saying, self._beside = saying, flops_of_teachers
        self._terms: dict[str, float] = {}
        self._examined: dict[str, float] | None = None

    def loss(self, features: torch.Tensor, batch: Batch, loss: Loss) -> torch.Tensor:
        """The weighted sum of all terms over the batch's targets, in nats."""
        assert isinstance(batch, LanguageBatch)
        value, self._terms = self._summed(features, batch, 0)
        return value

    def terms(self) -> Mapping[str, float]:
        """As the last `loss` had them."""
        return self._terms

    def flops(self, layout: Layout, per_token: float) -> float:
        """The student's, and those of teachers that run beside it."""
        return super().flops(layout, per_token) + self._beside * layout.tokens

    def examine(self, features: Features, dtype: torch.dtype) -> Examined:
        """The student's loss on dev.select, and its divergence from its teachers, in nats a
        token, as in training: ``select_soft``, ``select_reverse``."""
        self._examined = {}
        try:
            found = super().examine(features, dtype)
            assert found.terms is not None
            count = max(1, int(found.terms.sum()))
            more = {f"select_{n}": v / count for n, v in self._examined.items() if n != "hard"}
        finally:
            self._examined = None
        return replace(found, values={**found.values, **more})

    def _read(
        self, features: torch.Tensor, batch: Batch
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self._examined is not None and self._saying is not None:
            assert isinstance(batch, LanguageBatch)
            for name, value in self._summed(features, batch, 1)[1].items():
                self._examined[name] = self._examined.get(name, 0.0) + value
        return super()._read(features, batch)

    def _summed(
        self, features: torch.Tensor, batch: LanguageBatch, split: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        hidden, targets = self._predicted(features, batch)
        with autocast(self.arithmetic):
            hidden = self.head.transformed(hidden)
        said = self._saying[split](batch) if self._saying is not None else None
        terms = Terms(self.weights, self.temperature, targets, said, self._vocabulary)
        head = self.head
        value = summed(hidden, head.weight, head.bias, terms, dtype=self.arithmetic)
        return value, terms.sums


def ready_language(config: DistilConfig, context: StepContext, dtype: str) -> Ready:
    """The student's task on a corpus, its teachers asked or at its side.

    Raises:
        TrainingError: student, teachers and corpus don't fit each other; tokenizers differ.
        CheckpointError: one can't be read, or is no causal language model.
        DataError, StorageError: what is kept of the teachers is damaged or can't be written.
    """
    return _Student(config, context, dtype).ready()


class _Student:
    """One student's settings, from which its task can be made again."""

    def __init__(self, config: DistilConfig, context: StepContext, dtype: str) -> None:
        self.config, self.context, self.dtype = config, context, getattr(torch, dtype)
        shares = config.shares()
        if config.weighting == "learned":
            raise TrainingError(
                "weighting: learned: what is kept of a vocabulary is already mixed: take fixed, "
                "agreement or confidence"
            )
        name = config.corpus
        if name is None:
            raise GradusError(f"step {context.id}: a language model is distilled on a corpus")
        self.refs = {teacher: context.models[teacher] for teacher in shares}
        self.tokenizers = {n: load_tokenizer(ref) for n, ref in self.refs.items()}
        self.tokenizer = self._tokenizer()
        own = replace(context, corpora={name: context.corpora[name]})
        folder = tokenizer_folder(self._reads_as(), self.tokenizer, context.work)
        self.shards: Mapping[str, Shards] = tokenised(own, folder)[name]
        self.blocks = {split: self._blocks(one) for split, one in self.shards.items()}
        self.corpus = context.corpora[name]

    def ready(self) -> Ready:
        """See `ready_language`."""
        config, context = self.config, self.context
        student = self._student()
        models = {name: load_causal_lm(ref) for name, ref in self.refs.items()}
        self._check(student, models)
        panel = self._panel(student, models)
        saying, rows, notes = self._saying(panel)
        live = config.language.outputs == "live"
        beside = sum(p.numel() for m in models.values() for p in m.parameters()) if live else 0
        task = self._task(
            student,
            Weights(
                soft=config.losses.soft, reverse=config.losses.reverse, hard=config.losses.hard
            ),
            saying=saying,
            vocabulary=panel.vocabulary,
            flops_of_teachers=FLOPS_FORWARD * beside,
        )

        return Ready(
            prepared=self._prepared(task, notes),
            alone=lambda: self._prepared(self._task(self._student(), Weights()), ()),
            identity=identity_of(
                config, context, data=self.corpus.digest, tokens=self.shards[TRAIN].path_digest
            ),
            preparations={},
            facts={
                **self._facts(task, panel),
                "teachers": {**self._weighed(), "ablation": rows},
            },
            notes=notes,
        )

    def _tokenizer(self) -> Any:
        """The student's; all teachers must have it too."""
        given = self.config.student.model
        first = next(iter(self.tokenizers))
        own = self.tokenizers[first] if given is None else load_tokenizer(self._reads_as())
        for name, tokenizer in self.tokenizers.items():
            require_same(own, tokenizer, f"teacher '{name}'")
        return own

    def _reads_as(self) -> CheckpointRef:
        """The checkpoint that the student's tokenizer stands in."""
        given = self.config.student.model
        return self.context.models[given] if given is not None else next(iter(self.refs.values()))

    def _student(self) -> Any:
        """The student's whole model before it has learnt anything; the same each time."""
        given = self.config.student.model
        if given is not None:
            return load_causal_lm(self.context.models[given])
        first = load_causal_lm(next(iter(self.refs.values())))
        return students.build(self.config.student, first, seed=self.context.seed)

    def _check(self, student: Any, models: Mapping[str, Any]) -> None:
        block = self.config.language.block
        for name, model in {"the student": student, **models}.items():
            limit = max_positions(model.base_model)
            if limit is not None and limit < block:
                raise TrainingError(
                    f"language: block is {block} and {name} has positions for {limit}: lower it"
                )

    def _panel(self, student: Any, models: Mapping[str, Any]) -> Panel:
        speakers = [Speaker(name, model) for name, model in models.items()]
        own = int(student.get_output_embeddings().weight.shape[0])
        shares = self.config.shares()
        return Panel(
            speakers=speakers,
            shares=[shares[one.name] for one in speakers],
            weighting=self.config.weighting,
            temperature=self.config.temperature,
            vocabulary=min(own, *(one.vocabulary for one in speakers)),
            dtype=self.dtype,
        )

    def _saying(
        self, panel: Panel
    ) -> tuple[tuple[Saying, Saying], list[dict[str, Any]], tuple[str, ...]]:
        """What teachers say of train and of dev.select, what each is worth there, and a sentence
        on how it is known."""
        settings = self.config.language

        def ablation() -> dict[str, Any]:
            return {"rows": losses(panel, self.blocks[SELECT]) if SELECT in self.blocks else []}

        if settings.outputs == "live":
            rows = list(ablation()["rows"])
            return (panel.live, panel.live), rows, ("The teachers ran beside the student.",)
        stores = [
            keep_top(
                panel,
                self.blocks[split],
                top=settings.top,
                place=self.context.run / "teachers",
                refs=tuple(self.refs.values()),
                corpus=self.shards[split].path_digest,
                monitor=self.context.monitor,
                facts=ablation if split == SELECT else dict,
            )
            for split in (TRAIN, SELECT if SELECT in self.blocks else TRAIN)
        ]
        mass = float(np.exp(stores[0].store.all("rest")).mean())
        note = (
            f"Of what the teachers say, the {min(settings.top, panel.vocabulary)} likeliest tokens "
            f"at each place were kept ({stores[0].bytes / 1e6:,.1f} MB for train); the mass of all "
            f"others, {mass:.2%} on average, counts as one outcome."
        )
        rows = list(stores[1].store.facts.get("rows", ()))
        return (stores[0].of, stores[1].of), rows, (note,)

    def _blocks(self, shards: Shards) -> Blocks:
        return CausalBlocks(shards, self.config.language.block, Cutting(whole=True))

    def _task(self, full: Any, weights: Weights, **more: Any) -> DistilLanguageTask:
        torch.manual_seed(self.context.seed % 2**63)
        held = {}
        if SELECT in self.blocks:
            documents = self.corpus.splits[SELECT]
            held[self.corpus.name] = held_documents(documents, self.blocks[SELECT], None)
        return DistilLanguageTask(
            full,
            train=Fixed(self.blocks[TRAIN]),
            held=held,
            digest=hash_json([one.path_digest for one in self.shards.values()]),
            arithmetic=self.dtype,
            weights=weights,
            temperature=self.config.temperature,
            **more,
        )

    def _prepared(self, task: DistilLanguageTask, notes: tuple[str, ...]) -> Prepared:
        return Prepared(
            task=task,
            save=lambda folder: save_model(task.full, self.tokenizer, folder),
            labels=(),
            preprocessing={"target": "text", "max_tokens": self.config.language.block},
            notes=notes,
        )

    def _weighed(self) -> dict[str, Any]:
        several = len(self.refs) > 1
        return {
            "weighting": self.config.weighting if several else "one teacher",
            "weights": self.config.shares(),
        }

    def _facts(self, task: DistilLanguageTask, panel: Panel) -> dict[str, Any]:
        config = self.config
        return {
            "objective": task.name,
            "architecture": task.full.config.model_type,
            "layers": task.backbone.layers,
            "width": task.backbone.width,
            "parameters": sum(p.numel() for p in task.full.parameters()),
            "vocabulary": panel.vocabulary,
            "block": config.language.block,
            "outputs": config.language.outputs,
            "top": min(config.language.top, panel.vocabulary),
            "losses": config.losses.model_dump(),
            "temperature": config.temperature,
            "train_tokens_per_epoch": task.train.total,
        }
