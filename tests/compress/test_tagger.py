"""Taggers as graphs: the same logits as torch, the same spans but for what int8 costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradus.checkpoints import open_checkpoint
from gradus.compress.classifier import load_classifier
from gradus.compress.export import export
from gradus.objectives.tag import Tag, TagConfig
from gradus.objectives.tagging import TagTask
from gradus.predict import load
from gradus.records import CheckpointRef, Span
from objectives import tagged

from .classifiers import Silent
from .steps import quantise

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

LONG = " ".join(f"Peter Blackburn paid half in New York {i} ." for i in range(20))


def checkpoint(folder: Path, family: str, **options: Any) -> CheckpointRef:
    """A tagger whose head and shapes are drawn at random, so that it says all kinds of things."""
    from gradus.checkpoints import save_checkpoint

    ref = tagged.source(folder / "source", family)
    prepared = Tag().prepare(
        TagConfig(**options),
        ref=ref,
        data=tagged.data(),
        monitor=Silent(),
        max_tokens=40,
        seed=0,
    )
    task: TagTask = prepared.task
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        task.head.weight.copy_(0.3 * torch.randn(task.head.weight.shape, generator=draw))
        if task.head.shapes is not None:
            task.head.shapes.copy_(0.05 * torch.randn(task.head.shapes.shape, generator=draw))
    return save_checkpoint(
        folder / "tagger",
        kind="transformer",
        labels=prepared.labels,
        preprocessing=prepared.preprocessing,
        parents=(ref,),
        facts={},
        write=prepared.save,
    )


@pytest.mark.parametrize("family", tagged.FAMILIES)
@pytest.mark.parametrize("shapes", [True, False])
def test_the_graph_computes_what_torch_does(family: str, shapes: bool, tmp_path: Path) -> None:
    tagger = load_classifier(checkpoint(tmp_path, family, shapes=shapes))
    exported = export(tagger, [*tagged.data().select.texts[:8], LONG])
    assert exported.difference < 1e-3
    assert exported.attention == ("eager" if family in ("gpt2", "llama") else "fused")


@pytest.mark.parametrize(("family", "word"), [("bert", "first"), ("roberta", "mean")])
def test_spans_of_the_graph_are_those_of_torch_but_for_rounding(
    family: str, word: str, tmp_path: Path
) -> None:
    parent = checkpoint(tmp_path, family, word=word)
    outcome = quantise(parent, tmp_path / "small")
    assert outcome.checkpoint is not None
    small, before = load(open_checkpoint(outcome.checkpoint)), load(parent)
    assert (small.kind, small.target, small.labels) == ("onnx", "spans", tagged.TYPES)
    texts = [*tagged.data().select.texts, LONG, "", "\x00"]
    found, expected = small.predictor.spans(texts), before.predictor.spans(texts)
    said, true = ({(i, s) for i, of in enumerate(x) for s in of} for x in (found, expected))
    assert len(true) > 20
    assert len(said & true) / len(said | true) > 0.9
    scores = dict.fromkeys(true, 0.0) | {
        (i, s): s.score or 0 for i, of in enumerate(found) for s in of
    }
    off = [abs(scores[(i, s)] - (s.score or 0)) for i, of in enumerate(expected) for s in of]
    assert np.median(off) < 0.02
    alone = [small.predictor.spans([text])[0] for text in texts]
    assert alone == found
    assert found[-2:] == [(), ()]
    words = [((0, 5),)]
    (given,) = small.predictor.spans(["Peter lives"], words=words)
    assert all(isinstance(s, Span) and (s.start, s.end) == (0, 5) for s in given)
