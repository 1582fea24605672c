from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gradus.checkpoints import save_checkpoint
from gradus.errors import CheckpointError, UsageError
from gradus.predict import load
from gradus.predict.linear import save_majority

from .linear_models import LABELS, TEXTS, save


def test_predictions_agree_with_the_probabilities(tmp_path: Path) -> None:
    model = load(save(tmp_path / "c"))
    assert (model.kind, model.labels) == ("linear", LABELS)
    for prediction, row in zip(
        model.predict(TEXTS, top_k=2), model.predict_proba(TEXTS), strict=True
    ):
        ranked = sorted(zip(LABELS, row.tolist(), strict=True), key=lambda pair: -pair[1])
        assert prediction.top == tuple(ranked[:2])
        assert (prediction.label, prediction.probability) == ranked[0]
        assert not prediction.abstained


def test_ties_go_to_the_first_label_and_top_k_is_capped(tmp_path: Path) -> None:
    model = load(save_majority(tmp_path / "m", labels=["b", "a"], counts=[1, 1]))
    (prediction,) = model.predict(["x"], top_k=5)
    assert [label for label, _ in prediction.top] == ["b", "a"]


def test_threshold_is_inclusive(tmp_path: Path) -> None:
    model = load(save_majority(tmp_path / "m", labels=["a", "b"], counts=[1, 3]))
    probability = model.predict(["x"])[0].probability
    assert model.predict(["x"], threshold=probability)[0].label == "b"
    above = model.predict(["x"], threshold=float(np.nextafter(probability, 1)))[0]
    assert (above.label, above.abstained, above.probability) == (None, True, probability)
    assert above.top == (("b", probability),)


@pytest.mark.parametrize("options", [{"top_k": 0}, {"threshold": 1.5}, {"threshold": -0.1}])
def test_options_out_of_range(tmp_path: Path, options) -> None:
    model = load(save(tmp_path / "c"))
    with pytest.raises(UsageError):
        model.predict(["x"], **options)


def test_one_string_is_not_a_list(tmp_path: Path) -> None:
    model = load(save(tmp_path / "c"))
    with pytest.raises(UsageError, match="pass a list"):
        model.predict("a text")
    assert model.predict([]) == []
    assert model.predict_proba([]).shape == (0, 3)


def test_a_flipped_byte_is_found_unless_asked_not_to(tmp_path: Path) -> None:
    ref = save(tmp_path / "c")
    path = tmp_path / "c" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: the content differs"):
        load(ref)
    assert load(ref, verify=False).labels == LABELS


def test_another_checkpoint_in_the_same_place_is_found(tmp_path: Path) -> None:
    ref = save(tmp_path / "c")
    with pytest.raises(CheckpointError, match="another checkpoint stands there"):
        load(replace(ref, digest="0" * 64))


def test_unknown_kind_and_dtype(tmp_path: Path) -> None:
    save_checkpoint(
        tmp_path / "c",
        kind="liner",
        labels=["a"],
        preprocessing={},
        parents=[],
        facts={},
        write=lambda folder: (folder / "w").touch(),
    )
    with pytest.raises(CheckpointError, match="did you mean 'linear'"):
        load(tmp_path / "c")
    with pytest.raises(UsageError, match="dtype"):
        load(tmp_path / "c", dtype="float16")
