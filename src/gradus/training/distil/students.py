"""Where a student begins: some of its teacher's layers, or the same architecture made anew.

Legend: l layers of the student, L of the teacher, d hidden size.
"""

from __future__ import annotations

import copy
import inspect
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradus.checkpoints import find_manifest, is_checkpoint, open_checkpoint, save_checkpoint
from gradus.checkpoints.hashing import hash_json
from gradus.errors import TrainingError
from gradus.objectives.vectors import HEAD_FILE
from gradus.records import CheckpointRef
from gradus.training.adapters.attached import of
from gradus.training.groups import find_groups
from gradus.training.models import load_for_inference, load_tokenizer, save_model
from gradus.training.shapes import cut_layers

if TYPE_CHECKING:
    from gradus.steps.distil import StudentConfig

# A layer's inner width, by the families' names for it.
_INNER = ("intermediate_size", "n_inner", "hidden_dim", "ffn_dim")
# The greatest ratio between inner width and width where a config says none (GPT-2).
_USUAL_INNER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A student before it has learnt anything.

    Attributes:
        ref: its weights, tokenizer and, where it has one, head.
        facts: JSON for the report.
        notes: sentences for the report.
    """

    ref: CheckpointRef
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=())


def start(
    student: StudentConfig,
    *,
    teacher: CheckpointRef,
    given: CheckpointRef | None,
    work: Path,
    seed: int,
) -> Start:
    """The student's first weights, written below `work` unless they are there or are a checkpoint.

    One with the teacher's layers keeps its embeddings, tokenizer and head; one made anew keeps the
    tokenizer. Both read texts as the teacher does.

    Args:
        student: what the plan says of it.
        teacher: the first.
        given: the checkpoint that ``student: {model: NAME}`` names.
        work: of the step.
        seed: draws the weights of one made anew.

    Raises:
        TrainingError: the teacher has no such layers, or none at all.
        CheckpointError: it can't be read.
    """
    if given is not None:
        return Start(ref=given)
    if teacher.kind != "transformer":
        raise TrainingError(
            f"student: the teacher '{teacher.name}' is a checkpoint of kind '{teacher.kind}', "
            "which has no layers to take over: name a model, student: {model: NAME}"
        )
    said = hash_json([student.model_dump(mode="json"), teacher.digest, seed])
    place = work / f"student-{said[:12]}"
    parent = load_for_inference(teacher)
    facts = {"teacher_parameters": sum(p.numel() for p in parent.parameters())}
    model = build(student, parent, seed=seed)
    layers = len(find_groups(model).layers)
    many = "layer" if layers == 1 else "layers"
    notes = [f"The student has {layers} {many} {student.told(teacher.name)}."]
    if not is_checkpoint(place):
        _write(place, student, teacher, model)
    return Start(ref=open_checkpoint(place, name="student"), facts=facts, notes=tuple(notes))


def _write(place: Path, student: StudentConfig, teacher: CheckpointRef, model: nn.Module) -> None:
    folder = Path(teacher.path)
    manifest = find_manifest(folder)
    tokenizer = load_tokenizer(teacher)

    def write(target: Path) -> None:
        save_model(model, tokenizer, target)
        if student.config is None and (folder / HEAD_FILE).is_file():
            shutil.copyfile(folder / HEAD_FILE, target / HEAD_FILE)

    save_checkpoint(
        place,
        kind="transformer",
        labels=manifest.labels if manifest else (),
        preprocessing=dict(manifest.preprocessing) if manifest else {},
        parents=(teacher,),
        facts={},
        write=write,
    )


def build(student: StudentConfig, model: nn.Module, *, seed: int) -> nn.Module:
    """The student made from its teacher's model (whole, or without its head), which is used up.

    Raises:
        TrainingError: there are no such layers, the model carries virtual tokens, or width and
            heads don't fit each other.
    """
    if of(model) is not None:
        raise TrainingError(
            "student: the teacher has virtual tokens, which its layers alone don't carry: "
            "name a model, student: {model: NAME}"
        )
    if student.config is not None:
        return _anew(model, student.config, seed)
    held = len(find_groups(model).layers)
    kept = tuple(student.keep) if student.keep is not None else every(student.layers or 0, held)
    if max(kept) >= held or len(kept) > held:
        raise TrainingError(
            f"student: layer {max(kept)} is asked for, and the teacher has {held}, from 0 to "
            f"{held - 1}"
            if student.keep is not None
            else f"student: {len(kept)} layers are asked for, and the teacher has {held}"
        )
    return cut(model, kept)


def every(count: int, held: int) -> tuple[int, ...]:
    """`count` of `held` layers, evenly spaced from the lowest up (DistilBERT, Sanh et al. 2019,
    takes every second).

    >>> every(3, 6), every(4, 6)
    ((0, 2, 4), (0, 1, 3, 4))
    """
    return tuple(k * held // count for k in range(count))


def cut(model: nn.Module, kept: Sequence[int]) -> nn.Module:
    """The model with these of its layers only, in this order; changed in place."""
    groups = find_groups(model)
    cut_layers(model, groups.path, kept)
    _set_layers(model.config, kept, len(groups.layers))
    return model


def _set_layers(config: Any, kept: Sequence[int], held: int) -> None:
    """Their number, and what a config says of each."""
    for key, value in config.to_dict().items():
        told = "layer" in key or key == "attention_window"
        if told and isinstance(value, list) and len(value) == held:
            setattr(config, key, [value[k] for k in kept])
    config.num_hidden_layers = len(kept)


def _anew(model: nn.Module, shape: Any, seed: int) -> nn.Module:
    """A model of the same architecture with other sizes and random weights."""
    config: Any = copy.deepcopy(model.config)
    width, heads = int(config.hidden_size), int(config.num_attention_heads)
    new_heads = shape.heads or max(1, shape.width // max(1, width // heads))
    if shape.width % new_heads:
        raise TrainingError(
            f"student: width {shape.width} can't be shared by {new_heads} heads: say heads, a "
            "divisor of the width"
        )
    held = len(find_groups(model).layers)
    _set_layers(config, [k * held // shape.layers for k in range(shape.layers)], held)
    inner = next((name for name in _INNER if hasattr(config, name)), None)
    if inner is not None:
        ratio = (getattr(config, inner) or _USUAL_INNER * width) / width
        setattr(config, inner, shape.inner or round(ratio * shape.width))
    config.hidden_size, config.num_attention_heads = shape.width, new_heads
    shared = getattr(config, "num_key_value_heads", None)
    if shared:
        config.num_key_value_heads = max(1, new_heads * shared // heads)
    if getattr(config, "head_dim", None):
        config.head_dim = shape.width // new_heads
    kind: Any = type(model)
    pooler = "add_pooling_layer" in inspect.signature(kind.__init__).parameters
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        made: nn.Module = kind(config, **({"add_pooling_layer": False} if pooler else {}))
    return made.float()
