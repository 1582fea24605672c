"""Which parameter belongs to which layer, for every transformer that stacks like blocks.

BERT, RoBERTa, DistilBERT, GPT-2, Llama and Qwen all keep their blocks in one `ModuleList`; it is
found by structure, so that a family nobody has listed works too. What is used before the blocks
is ``embeddings``, what comes after them (a final norm) belongs to the highest layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from gradus.errors import TrainingError
from gradus.training.adapters.attached import ENCODER, of
from gradus.training.config import ADAPTER, StageConfig, matches

EMBEDDINGS, HEAD = "embeddings", "head"


@dataclass(frozen=True, slots=True)
class LayerGroups:
    """The groups of a backbone with L layers.

    Attributes:
        path: name of the `ModuleList` that holds the layers.
        layers: the L blocks, lowest first.
        group_of: parameter name -> ``embeddings`` or ``layer.K``.
        adapter: names of the parameters of an adapter, where the backbone has one. Virtual tokens
            belong to the lowest layer, which is the first to read them.
    """

    path: str
    layers: Sequence[nn.Module]
    group_of: dict[str, str]
    adapter: frozenset[str] = frozenset()

    def depth(self, group: str) -> int:
        """-1 for embeddings, K for ``layer.K``, L for the head."""
        if group == EMBEDDINGS:
            return -1
        return len(self.layers) if group == HEAD else int(group.rpartition(".")[2])


def find_groups(backbone: nn.Module) -> LayerGroups:
    """The layer groups of `backbone`.

    Raises:
        TrainingError: it holds no list of like blocks.
    """
    path, layers = _longest_stack(backbone)
    last = len(layers) - 1
    group_of: dict[str, str] = {}
    passed = False
    for name, _ in backbone.named_parameters():
        if name.startswith(f"{ENCODER}."):
            group_of[name] = "layer.0"
        elif name.startswith(f"{path}."):
            passed = True
            number = name[len(path) + 1 :].partition(".")[0]
            group_of[name] = f"layer.{number}"
        else:
            # Modules are declared in the order they are used in every known family; a norm or
            # pooler that stands behind the blocks is trained with the highest of them.
            group_of[name] = f"layer.{last}" if passed else EMBEDDINGS
    attached = of(backbone)
    own = attached.parameters if attached else frozenset()
    return LayerGroups(path, layers, group_of, own)


def _longest_stack(backbone: nn.Module) -> tuple[str, list[nn.Module]]:
    best: tuple[str, list[nn.Module]] | None = None
    for name, module in backbone.named_modules():
        if not isinstance(module, nn.ModuleList) or len(module) == 0:
            continue
        blocks = list(module)
        alike = len({type(block) for block in blocks}) == 1
        # The outermost list is met first; an inner list (experts, branches) is never longer than
        # the parameters that the outer one holds.
        if alike and (best is None or _size(blocks) > _size(best[1])):
            best = (name, blocks)
    if best is None:
        raise TrainingError(
            f"{type(backbone).__name__} holds no list of like blocks, so its layers can't be "
            "told apart: train the head alone"
        )
    return best


def _size(blocks: Sequence[nn.Module]) -> int:
    return sum(p.numel() for block in blocks for p in block.parameters())


def select(
    stage: StageConfig, groups: LayerGroups, head: Sequence[str]
) -> tuple[dict[str, str], int]:
    """What a stage trains: parameter name -> group, and the lowest layer that trains.

    Head parameters are named ``head.NAME``. The lowest layer is -1 when embeddings train and L
    when the head alone does: everything below it is the same for the whole stage. On a backbone
    with an adapter the selections are the same, but of each only the adapter's parameters and the
    head train: what the adapter stands on is what it is measured against.

    Raises:
        TrainingError: a name or pattern matches nothing, top-N asks for more layers than are, or
            what is selected holds nothing of the adapter.
    """
    everything = {**groups.group_of, **{f"{HEAD}.{name}": HEAD for name in head}}
    if groups.adapter:
        everything = {n: g for n, g in everything.items() if n in groups.adapter or g == HEAD}
    elif stage.train == ADAPTER:
        raise TrainingError("train: adapter: the model has none; add adapter: lora to the step")
    chosen = _selected(stage, groups, everything)
    if groups.adapter and stage.top() is not None and not groups.adapter & chosen.keys():
        layers = sorted({g for n, g in everything.items() if g != HEAD}, key=groups.depth)
        raise TrainingError(
            f"train: {stage.label}: the adapter has no parameters there, only in "
            f"{', '.join(layers)}"
        )
    return chosen, min(groups.depth(group) for group in chosen.values())


def _selected(
    stage: StageConfig, groups: LayerGroups, everything: Mapping[str, str]
) -> dict[str, str]:
    """Those of `everything` (name -> group) that the stage's selection takes."""
    count, top = len(groups.layers), stage.top()
    if top is not None and top > count:
        raise TrainingError(f"train: top-{top}: the model has {count} layers")
    if isinstance(stage.train, str):
        floor = {HEAD: count, "all": 0, ADAPTER: 0}.get(stage.train, count - (top or 0))
        return {
            name: group
            for name, group in everything.items()
            if groups.depth(group) >= floor or (stage.embeddings and group == EMBEDDINGS)
        }
    for pattern in stage.train:
        if not any(matches(pattern, g, n) for n, g in everything.items()):
            known = sorted(set(everything.values()), key=groups.depth)
            what = "parameter of the adapter or the head" if groups.adapter else "parameter"
            raise TrainingError(
                f"train: '{pattern}' matches no {what}; groups are {', '.join(known)}"
            )
    chosen = {n: g for n, g in everything.items() if any(matches(p, g, n) for p in stage.train)}
    chosen.update({n: g for n, g in everything.items() if g == EMBEDDINGS and stage.embeddings})
    return chosen
