from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from tests.steps import tiny
from tests.training.conftest import LAYERS, VOCABULARY, make_model

from gradus.checkpoints import open_checkpoint, read_manifest, save_checkpoint
from gradus.errors import TrainingError
from gradus.records import CheckpointRef
from gradus.steps.distil import StudentConfig
from gradus.training.backbone import Backbone
from gradus.training.distil import students
from gradus.training.models import load_for_inference, load_model, load_tokenizer, save_model
from gradus.training.packing import Tokens


def batch() -> object:
    texts = [[(5 * i + 3 * j) % (VOCABULARY - 4) + 4 for j in range(3 + i)] for i in range(3)]
    return Tokens(texts).batch(range(3))


@pytest.mark.parametrize(
    ("count", "held", "kept"),
    [(3, 6, (0, 2, 4)), (4, 12, (0, 3, 6, 9)), (6, 6, (0, 1, 2, 3, 4, 5)), (1, 5, (0,))],
)
def test_layers_are_evenly_spaced_from_the_lowest(
    count: int, held: int, kept: tuple[int, ...]
) -> None:
    assert students.every(count, held) == kept


def test_a_cut_model_runs_the_layers_that_it_keeps_and_no_other(family: str) -> None:
    whole = Backbone(make_model(family))
    rows = batch()
    with torch.no_grad():
        middle = whole.run(rows, high=1)  # type: ignore[arg-type]  # a batch
        expected = whole.run(rows, middle, low=2)  # type: ignore[arg-type]  # as above
        student = Backbone(students.cut(copy.deepcopy(make_model(family)), (0, 2)))
        found = student.run(rows)  # type: ignore[arg-type]  # as above
    assert student.layers == 2
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_student_made_anew_has_the_sizes_asked_for(family: str, tmp_path: Path) -> None:
    config = StudentConfig.model_validate({"config": {"layers": 2, "width": 24, "heads": 2}})
    made = students.build(config, make_model(family), seed=1)
    backbone = Backbone(made)
    assert (backbone.layers, backbone.width) == (2, 24)
    assert made.config.num_attention_heads == 2  # type: ignore[union-attr]  # a transformer's
    with torch.no_grad():
        said = backbone.run(batch())  # type: ignore[arg-type]  # a batch
    assert bool(torch.isfinite(said).all())
    again = students.build(config, make_model(family, seed=7), seed=1)
    assert all(
        torch.equal(a, b) for a, b in zip(made.parameters(), again.parameters(), strict=True)
    )
    made.save_pretrained(tmp_path)  # type: ignore[operator]  # a transformer's
    ref = CheckpointRef(name="s", kind="transformer", path=str(tmp_path), digest="")
    loaded = Backbone(load_model(ref))
    with torch.no_grad():
        torch.testing.assert_close(loaded.run(batch()), said)  # type: ignore[arg-type]  # a batch


@pytest.mark.parametrize(
    ("student", "why"),
    [
        ({"layers": LAYERS + 1}, "4 layers are asked for, and the teacher has 3"),
        ({"keep": [0, 5]}, "layer 5 is asked for, and the teacher has 3, from 0 to 2"),
        ({"config": {"layers": 1, "width": 10, "heads": 4}}, "can't be shared by 4 heads"),
    ],
)
def test_what_the_teacher_lacks_is_refused(student: dict[str, object], why: str) -> None:
    config = StudentConfig.model_validate(student)
    with pytest.raises(TrainingError, match=why):
        students.build(config, make_model("bert"), seed=0)


def teacher(folder: Path) -> CheckpointRef:
    """A checkpoint that stands for a tuned model, with a head file of its own."""
    ref = tiny.source(folder / "source")

    def write(target: Path) -> None:
        save_model(load_model(ref), load_tokenizer(ref), target)
        (target / students.HEAD_FILE).write_bytes(b"head")

    return save_checkpoint(
        folder / "tuned",
        kind="transformer",
        labels=("a", "b"),
        preprocessing={"pooling": "mean", "max_tokens": 16},
        parents=(ref,),
        facts={},
        write=write,
    )


def test_a_start_reads_as_its_teacher_and_is_made_once(tmp_path: Path) -> None:
    ref = teacher(tmp_path)
    student = StudentConfig(layers=1)
    made = students.start(student, teacher=ref, given=None, work=tmp_path, seed=1)
    manifest = read_manifest(Path(made.ref.path))
    assert manifest.labels == ("a", "b")
    assert manifest.preprocessing == {"pooling": "mean", "max_tokens": 16}
    assert (Path(made.ref.path) / students.HEAD_FILE).read_bytes() == b"head"
    assert len(Backbone(load_for_inference(made.ref)).groups.layers) == 1
    assert "1 layer of 'tuned', evenly spaced" in made.notes[0]
    created = manifest.created
    again = students.start(student, teacher=ref, given=None, work=tmp_path, seed=1)
    assert again.ref.digest == made.ref.digest
    assert read_manifest(Path(again.ref.path)).created == created
    anew = StudentConfig.model_validate({"config": {"layers": 1, "width": 12, "heads": 2}})
    fresh = students.start(anew, teacher=ref, given=None, work=tmp_path, seed=1)
    assert not (Path(fresh.ref.path) / students.HEAD_FILE).exists()
    assert open_checkpoint(Path(fresh.ref.path)).labels == ("a", "b")


def test_a_teacher_without_layers_gives_none(tmp_path: Path) -> None:
    ref = CheckpointRef(name="floor", kind="linear", path=str(tmp_path), digest="")
    with pytest.raises(TrainingError, match=r"'floor' is a checkpoint of kind 'linear'.*name a"):
        students.start(StudentConfig(layers=1), teacher=ref, given=None, work=tmp_path, seed=1)
