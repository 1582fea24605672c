"""Who has seen which items, told from a sketch in the manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.checkpoints import open_checkpoint, save_checkpoint, seen_items, share_seen
from gradus.checkpoints.seen import SIZE
from gradus.records import CheckpointRef


def ids(start: int, stop: int) -> list[str]:
    return [hashlib.sha256(str(n).encode()).hexdigest() for n in range(start, stop)]


def saved(folder: Path, seen: list[str], *parents: CheckpointRef) -> CheckpointRef:
    return save_checkpoint(
        folder,
        kind="linear",
        labels=("a", "b"),
        preprocessing={},
        parents=parents,
        facts=seen_items(seen),
        write=lambda place: (place / "x").write_text(folder.name),  # type: ignore[arg-type,return-value]  # what it returns is no matter
    )


@pytest.mark.parametrize(
    ("seen", "asked", "share"),
    [
        ((0, 100), (0, 100), 1.0),
        ((0, 100), (50, 150), 0.5),
        ((0, 100), (100, 300), 0.0),
        ((0, 5000), (0, 5000), 1.0),
        ((0, 5000), (5000, 9000), 0.0),
    ],
)
def test_the_share_is_exact_where_it_is_all_none_or_of_few(
    tmp_path: Path, seen: tuple[int, int], asked: tuple[int, int], share: float
) -> None:
    ref = saved(tmp_path / "one", ids(*seen))
    found, who = share_seen(ref, ids(*asked))
    assert found == share
    assert who == "one"


@given(st.integers(300, 3000), st.integers(0, 3000))
def test_of_many_it_is_near_the_share(many: int, first: int) -> None:
    """Against counting all of them; within four standard errors of a sample of this size."""
    from gradus.checkpoints.seen import _share

    kept = seen_items(ids(0, many))["seen_items"]
    assert len(kept["least"]) == min(SIZE, many)
    asked = ids(first, first + 1000)
    share = len(set(asked) & set(ids(0, many))) / 1000
    below = [item for item in asked if item[:16] <= kept["least"][-1]]
    error = 4 * (0.25 / max(1, len(below))) ** 0.5
    assert abs(_share(kept, asked) - share) <= error


def test_what_an_ancestor_saw_is_known(tmp_path: Path) -> None:
    first = saved(tmp_path / "first", ids(0, 50))
    second = saved(tmp_path / "second", [], first)
    third = saved(tmp_path / "third", ids(90, 100), open_checkpoint(second.path, name="second"))
    assert share_seen(third, ids(0, 100)) == (0.5, "first")
    assert share_seen(second, ids(60, 70)) == (0.0, "first")
    alone = CheckpointRef(name="x", kind="transformers", path=str(tmp_path), digest="", origin={})
    assert share_seen(alone, ids(0, 9)) == (0.0, "")
