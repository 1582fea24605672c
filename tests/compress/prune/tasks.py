"""Tiny tasks of several families, with all that pruning asks of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from compress.classifiers import LABELS, Silent, make_backbone, make_texts, make_tokenizer
from gradus.objectives.classification import ClassifyTask
from gradus.objectives.pooling import LinearHead
from gradus.training.backbone import Backbone
from gradus.training.models import encode


def make_task(family: str = "bert", texts: int = 24) -> ClassifyTask:
    """Texts whose label is drawn; the head is drawn too, so that losses have slopes."""
    tokenizer: Any = make_tokenizer(family)
    backbone = Backbone(make_backbone(family))
    torch.manual_seed(1)
    head = LinearHead(backbone.width, len(LABELS), 1.0)
    with torch.no_grad():
        head.weight.normal_(std=0.3)
    draw = np.random.default_rng(2)
    splits, gold = [], []
    for seed, count in ((3, texts), (4, texts // 2)):
        found = make_texts(count, seed=seed)
        splits.append(encode(tokenizer, found, 20, [f"{i * 7919 % 100:03d}" for i in range(count)]))
        gold.append(torch.from_numpy(draw.integers(0, len(LABELS), count)))
    return ClassifyTask(
        backbone=backbone,
        head=head,
        train=splits[0],
        select=splits[1],
        labels=gold[0],
        select_labels=gold[1],
        pooling="mean",
        normalise=False,
        monitor=Silent(),
        digest="0" * 64,
    )


def alone(task: ClassifyTask, row: int) -> torch.Tensor:
    """Token ids [1, T] of a text of train, for transformers' own forward pass."""
    return task.train.batch([row]).ids[None]
