"""Which parameter belongs to which layer, for every transformer that stacks like blocks.

BERT, RoBERTa, DistilBERT, GPT-2, Llama and Qwen all keep their blocks in one `ModuleList`; it is
found by structure, so that a family nobody has listed works too. What is used before the blocks
is ``embeddings``, what comes after them (a final norm) belongs to the highest layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from gradus.errors import TrainingError
from gradus.training.config import StageConfig, matches

EMBEDDINGS, HEAD = "embeddings", "head"


@dataclass(frozen=True, slots=True)
class LayerGroups:
    """The groups of a backbone with L layers.

    Attributes:
        path: name of the `ModuleList` that holds the layers.
        layers: the L blocks, lowest first.
        group_of: parameter name -> ``embeddings`` or ``layer.K``.
    """

    path: str
    layers: Sequence[nn.Module]
    group_of: dict[str, str]

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
        if name.startswith(f"{path}."):
            passed = True
            number = name[len(path) + 1 :].partition(".")[0]
            group_of[name] = f"layer.{number}"
        else:
            # Modules are declared in the order they are used in every known family; a norm or
            # pooler that stands behind the blocks is trained with the highest of them.
            group_of[name] = f"layer.{last}" if passed else EMBEDDINGS
    return LayerGroups(path, layers, group_of)


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
    when the head alone does: everything below it is the same for the whole stage.

    Raises:
        TrainingError: a name or pattern matches nothing, or top-N asks for more layers than are.
    """
    everything = {**groups.group_of, **{f"{HEAD}.{name}": HEAD for name in head}}
    count, top = len(groups.layers), stage.top()
    if top is not None and top > count:
        raise TrainingError(f"train: top-{top}: the model has {count} layers")
    if isinstance(stage.train, str):
        floor = {"head": count, "all": 0}.get(stage.train, count - (top or 0))
        chosen = {
            name: group
            for name, group in everything.items()
            if groups.depth(group) >= floor or (stage.embeddings and group == EMBEDDINGS)
        }
    else:
        for pattern in stage.train:
            if not any(matches(pattern, g, n) for n, g in everything.items()):
                known = sorted(set(everything.values()), key=groups.depth)
                raise TrainingError(
                    f"train: '{pattern}' matches no parameter; groups are {', '.join(known)}"
                )
        chosen = {n: g for n, g in everything.items() if any(matches(p, g, n) for p in stage.train)}
        chosen.update({n: g for n, g in everything.items() if g == EMBEDDINGS and stage.embeddings})
    return chosen, min(groups.depth(group) for group in chosen.values())
