"""A student of labelled texts, from the plan to a task that is ready.

Legend: N texts of dev.select, R items of it (texts, or words of a tagger), K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gradus.data.dataset import TrainingData
from gradus.errors import GradusError, TrainingError
from gradus.objectives.base import Prepared
from gradus.objectives.tagging import TagTask
from gradus.objectives.tagging_sequences import Tagset
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext
from gradus.training.activations import autocast
from gradus.training.adapters.adapt import adapt
from gradus.training.adapters.attached import of
from gradus.training.backbone import Backbone
from gradus.training.distil import students
from gradus.training.distil.running import Ready, identity_of
from gradus.training.distil.task import DistilTask, Weights, items_of
from gradus.training.exchange import current
from gradus.training.models import load_for_inference, load_tokenizer, max_positions
from gradus.training.packing import inference_batches
from gradus.training.teachers.teaching import Teaching, open_teachers
from gradus.training.teachers.tokens import require_same
from gradus.training.teachers.unlabelled import texts_of

if TYPE_CHECKING:
    from gradus.steps.distil import DistilConfig

_BATCH_TOKENS = 4096


def ready_labels(config: DistilConfig, context: StepContext, dtype: str) -> Ready:
    """The student's task, its teachers asked.

    Raises:
        TrainingError, CheckpointError, DataError: see `running.run`.
    """
    data = context.data
    if data is None:
        raise GradusError(f"step {context.id}: distil needs data, or a corpus")
    teacher = context.models[next(iter(config.shares()))]
    given = config.student.model
    start = current().first(
        lambda: students.start(
            config.student,
            teacher=teacher,
            given=context.models[given] if given is not None else None,
            work=context.work,
            seed=context.seed,
        )
    )
    made = _Student(config, context, start.ref, dtype)
    teaching = current().first(lambda: made.teaching(data))
    prepared = made.prepare(teaching.data)
    teacher_backbone = made.inside_of(teacher, prepared, teaching.data)
    names = ("soft", "hard", "hidden", "attention", "relations")
    task = DistilTask(
        prepared.task,
        teaching.train,
        weights=Weights(**{name: getattr(config.losses, name) for name in names}),
        temperature=config.temperature,
        teacher=teacher_backbone,
        labelled=teaching.labelled,
        dtype=getattr(torch, dtype),
        seed=context.seed,
    )
    inner, teachers = prepared.task, dict(teaching.facts)

    def told() -> Mapping[str, Any]:
        outputs, gold = judged(inner, getattr(torch, dtype))
        rows = teaching.ablation(outputs, gold) if len(gold) else []
        return {"teachers": {**teachers, **teaching.facts, "ablation": rows}}

    facts = {
        **prepared.facts,
        "losses": config.losses.model_dump(),
        "temperature": config.temperature,
        "parameters": sum(p.numel() for p in inner.backbone.model.parameters()),
        **start.facts,
    }
    return Ready(
        prepared=replace(prepared, task=task),
        alone=lambda: made.prepare(data),
        identity=identity_of(config, context, data=data.digest, start=start.ref.digest),
        preparations=made.preparations.preprocessing(),
        facts=facts,
        notes=(*start.notes, *prepared.notes, *teaching.notes),
        told=told,
    )


class _Student:
    """One student's settings, from which its task can be made again."""

    def __init__(
        self, config: DistilConfig, context: StepContext, ref: CheckpointRef, dtype: str
    ) -> None:
        from gradus.steps.finetune import preparations

        assert context.data is not None, "its caller looked"
        self.config, self.context, self.ref, self.dtype = config, context, ref, dtype
        self.objective, self.options = config.objective_config(context.data.target)
        self.preparations = preparations(config.prepare, ref)

    def prepare(self, data: TrainingData) -> Prepared:
        """The objective's task on the student's first weights; the same each time."""
        torch.manual_seed(self.context.seed % 2**63)
        prepared: Prepared = self.objective().prepare(
            self.options,
            ref=self.ref,
            data=self.preparations.data(data),
            monitor=self.context.monitor,
            max_tokens=self.config.max_tokens,
            seed=self.context.seed,
        )
        most = int(prepared.preprocessing["max_tokens"])
        adapt(prepared.task.backbone, None, seed=self.context.seed, max_tokens=most)
        return prepared

    def teaching(self, data: TrainingData) -> Teaching:
        """What the teachers say; they prepare texts themselves."""
        config, context = self.config, self.context
        more = config.unlabelled
        return open_teachers(
            context.models,
            shares=config.shares(),
            weighting=config.weighting,
            data=data,
            outputs=self._outputs(data),
            place=context.run / "teachers",
            monitor=context.monitor,
            unlabelled=texts_of(more, context.datasets, context.corpora) if more else (),
            dtype=self.dtype,
            threads=context.threads,
        )

    def _outputs(self, data: TrainingData) -> tuple[str, ...]:
        if data.target == "spans":
            return tuple(Tagset(data.labels, self.options.tags).tags)  # type: ignore[attr-defined]  # objective tag's
        return tuple(data.labels)

    def inside_of(
        self, teacher: CheckpointRef, prepared: Prepared, data: TrainingData
    ) -> Backbone | None:
        """The first teacher's model, where its insides are compared.

        Raises:
            TrainingError: it is no transformer, reads other tokens, or has fewer positions.
        """
        losses = self.config.losses
        asked = [n for n in ("hidden", "attention", "relations") if getattr(losses, n)]
        if not asked:
            return None
        who = f"losses: {', '.join(asked)}: teacher '{teacher.name}'"
        if teacher.kind != "transformer":
            raise TrainingError(
                f"{who} is a checkpoint of kind '{teacher.kind}', into which nobody can look: "
                "leave these losses out"
            )
        require_same(load_tokenizer(self.ref), load_tokenizer(teacher), who)
        found = self._backbone(teacher, data)
        if of(found.model) is not None:
            raise TrainingError(f"{who} has virtual tokens, which the student's states lack")
        limit, most = max_positions(found.model), int(prepared.preprocessing["max_tokens"])
        if limit is not None and most > limit:
            raise TrainingError(f"{who} reads {limit} tokens: set max_tokens: {limit} or fewer")
        return found

    def _backbone(self, teacher: CheckpointRef, data: TrainingData) -> Backbone:
        if data.target != "spans":
            return Backbone(load_for_inference(teacher))
        # Shapes of words, which its head keeps, are a part of what goes into its layers.
        few = replace(data, train=data.train.take([0]), select=data.select.take([]))
        task = (
            self.objective()
            .prepare(
                self.options,
                ref=teacher,
                data=few,
                monitor=self.context.monitor,
                max_tokens=self.config.max_tokens,
                seed=self.context.seed,
            )
            .task
        )
        assert isinstance(task, TagTask)
        adapt(task.backbone, None, seed=self.context.seed, max_tokens=2)
        return task.backbone


@torch.inference_mode()
def judged(task: Any, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """The student's outputs on dev.select, [R, K], and the gold labels of its R items."""
    task.backbone.model.eval()
    task.head.eval()
    if not len(task.select):
        return torch.empty(0, 0), torch.empty(0)
    parts, order = [], []
    for rows in inference_batches(task.select.lengths, _BATCH_TOKENS):
        batch = task.select.batch(rows)
        with autocast(dtype):
            hidden = task.backbone.run(batch)
            features = task.features(hidden, batch.layout)
        parts.append(task.outputs(features))
        order.append(items_of(batch).numpy())
    found = torch.cat(parts)[torch.from_numpy(np.argsort(np.concatenate(order)))]
    gold = task.select_gold.tags if isinstance(task, TagTask) else task.select_labels
    return (found if found.dim() == 2 else found[:, None]), gold
