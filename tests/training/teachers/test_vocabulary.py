"""What is kept of language models that teach, against all that they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.conftest import KeptMonitor
from tests.training.test_blocks import Documents
from tests.training.test_language import BLOCK, VOCABULARY, model

from gradus.errors import TrainingError
from gradus.records import CheckpointRef
from gradus.training.blocks import NONE, CausalBlocks, Cutting
from gradus.training.teachers.vocabulary import Panel, Speaker, keep_top, losses


def blocks(*, ends: bool = True, whole: bool = True) -> CausalBlocks:
    return CausalBlocks(Documents.of([9, 21, 13, 30], ends=ends), BLOCK, Cutting(whole=whole))


def panel(models: list[Any], weighting: Any = "fixed", temperature: float = 2.0) -> Panel:
    speakers = [Speaker(f"m{i}", one) for i, one in enumerate(models)]
    shares = [(i + 1) / sum(range(1, len(models) + 1)) for i in range(len(models))]
    return Panel(
        speakers=speakers,
        shares=shares,
        weighting=weighting,
        temperature=temperature,
        vocabulary=VOCABULARY,
        dtype=torch.float32,
    )


def another(seed: int) -> Any:
    made = model("llama")
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return made


def refs(count: int) -> list[CheckpointRef]:
    return [
        CheckpointRef(name=f"m{i}", kind="transformer", path="", digest=f"{i}")
        for i in range(count)
    ]


def keep(told: Panel, cut: CausalBlocks, place: Path, top: int, monitor: Any = None) -> Any:
    return keep_top(
        told,
        cut,
        top=top,
        place=place,
        refs=refs(len(told.speakers)),
        corpus="plays",
        monitor=monitor or KeptMonitor(),
    )


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("weighting", ["fixed", "agreement", "confidence"])
def test_the_likeliest_tokens_and_the_mass_of_the_rest(
    tmp_path: Path, weighting: str, ends: bool
) -> None:
    models = [model("llama"), another(1)]
    cut, told = blocks(ends=ends), panel([model("llama"), another(1)], weighting)
    kept = keep(told, cut, tmp_path, 5)
    for rows in ([2, 0], [len(cut) - 1, 1]):
        batch = cut.batch(rows)
        said = kept.of(batch)
        targets = batch.targets[batch.targets != NONE]
        parts = []
        for one in models:
            with torch.inference_mode():
                runs = [
                    one(input_ids=ids).logits.flatten(0, 1)
                    for ids in batch.layout.split(batch.ids[None], 1)
                    for ids in [ids.squeeze(0)]
                ]
            parts.append(torch.cat(runs).double())
        p = torch.stack([x.softmax(1) for x in parts])
        merits = torch.tensor([1 / 3, 2 / 3], dtype=torch.float64)[:, None].expand(-1, len(targets))
        if weighting == "agreement":
            merits = merits * p[:, torch.arange(len(targets)), targets]
        if weighting == "confidence":
            merits = merits * (p * p.log()).sum(2).exp()
        weights = merits / merits.sum(0)
        mixed = (weights[..., None] * torch.stack([(x / 2).softmax(1) for x in parts])).sum(0)
        expected, _ = mixed.topk(5, dim=1)
        torch.testing.assert_close(said.log_probs.exp().double(), expected, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(mixed.gather(1, said.ids), expected, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(
            said.rest.exp().double(), 1 - expected.sum(1), rtol=1e-3, atol=1e-5
        )


def test_all_tokens_kept_say_what_is_said_live(tmp_path: Path) -> None:
    cut, told = blocks(), panel([model("llama")])
    kept, batch = keep(told, cut, tmp_path, VOCABULARY), cut.batch([1, 0])
    student = torch.randn(
        batch.layout.tokens, VOCABULARY, generator=torch.Generator().manual_seed(1)
    )
    rows = slice(0, len(student))
    one = kept.of(batch).divergence(student, rows, forward=0.4, reverse=0.6)
    two = told.live(batch).divergence(student, rows, forward=0.4, reverse=0.6)
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_asked_once(tmp_path: Path) -> None:
    cut, told = blocks(), panel([model("llama")])
    first, again = KeptMonitor(), KeptMonitor()
    one, two = keep(told, cut, tmp_path, 5, first), keep(told, cut, tmp_path, 5, again)
    assert first.updates
    assert not again.updates
    assert one.store.path == two.store.path
    assert keep(told, cut, tmp_path, 6).store.path != one.store.path
    assert one.bytes > len(cut) * BLOCK


def test_moving_cuts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cut anew"):
        keep(panel([model("llama")]), blocks(whole=False), tmp_path, 5)


def test_losses_by_hand() -> None:
    models = [model("llama"), another(1), another(2)]
    cut = blocks()
    told = panel([model("llama"), another(1), another(2)])
    found = {row["teachers"]: row for row in losses(told, cut)}
    assert list(found) == ["m0", "m1", "m2", "all", "all but m0", "all but m1", "all but m2"]
    p = []
    for one in models:
        chosen = []
        for row in range(len(cut)):
            batch = cut.batch([row])
            with torch.inference_mode():
                said = one(input_ids=batch.ids[None]).logits[0].double().softmax(1)
            chosen.append(said.gather(1, batch.targets[:, None])[:, 0])
        p.append(torch.cat(chosen).numpy())
    each = np.stack(p)
    assert found["m1"]["loss"] == pytest.approx(-np.log(each[1]).mean(), rel=1e-5)
    shares = np.array([1, 2, 3]) / 6
    assert found["all"]["loss"] == pytest.approx(-np.log(shares @ each).mean(), rel=1e-5)
    but = -np.log((1 * each[0] + 3 * each[2]) / 4).mean()
    assert found["all but m1"]["loss"] == pytest.approx(but, rel=1e-5)
    assert found["m2"]["weight"] == pytest.approx(0.5)
    assert found["all"]["weight"] is None
