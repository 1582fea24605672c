"""What may stand beside a checkpoint's files without being one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradus.checkpoints import read_manifest, save_checkpoint, verify
from gradus.errors import CheckpointError

from .conftest import Save


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "NOTICE", "LICENSE-encoder"])
def test_a_card_and_licences_are_no_part_of_the_content(save: Save, name: str) -> None:
    ref = save("one")
    (Path(ref.path) / name).write_text("told", "utf-8")
    assert verify(Path(ref.path)).digest == ref.digest


@pytest.mark.parametrize("name", ["readme.md", "README.md.py", "inner/README.md", "LICENSE/x"])
def test_anything_else_is_still_refused(save: Save, name: str) -> None:
    ref = save("one")
    path = Path(ref.path) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("told", "utf-8")
    with pytest.raises(CheckpointError, match="not in the manifest"):
        verify(Path(ref.path))


def test_a_card_that_came_with_copied_files_is_left_out(save: Save) -> None:
    ref = save("one", {"weights.bin": b"1", "README.md": b"of another"})
    assert not (Path(ref.path) / "README.md").exists()
    assert ref.digest == save("two", {"weights.bin": b"1"}).digest


def test_saving_again_leaves_no_old_card(save: Save) -> None:
    ref = save("one")
    (Path(ref.path) / "README.md").write_text("told", "utf-8")
    save("one", {"weights.bin": b"2"})
    assert not (Path(ref.path) / "README.md").exists()
    assert set(read_manifest(Path(ref.path)).files) == {"weights.bin"}


def test_a_licence_that_was_saved_is_checked_like_any_file(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "LICENSE").write_text("Ours", "utf-8")

    save_checkpoint(
        tmp_path / "one", kind="linear", labels=[], preprocessing={}, parents=[], facts={},
        write=write,
    )  # fmt: skip
    (tmp_path / "one" / "LICENSE").write_text("Theirs", "utf-8")
    with pytest.raises(CheckpointError, match="LICENSE"):
        verify(tmp_path / "one")
