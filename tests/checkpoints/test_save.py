from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradus.checkpoints import is_checkpoint, save_checkpoint, verify
from gradus.errors import CheckpointError, StorageError

WRITERS = {
    "plain": "(folder / 'big.bin').write_bytes(bytes(4_000_000))",
    "safetensors": "save_file({'w': np.zeros(1_000_000, np.float32)}, folder / 'big.safetensors')",
    "torch-safetensors": "torch_file({'w': torch.zeros(1_000_000)}, folder / 'big.safetensors')",
}

SAVE = """
import errno, os, signal, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
from gradus.checkpoints import save_checkpoint
{setup}
def write(folder):
    (folder / "small.txt").write_text("small")
    {write}
save_checkpoint(Path(sys.argv[1]), kind="linear", labels=["a", "b"], preprocessing={{}},
                parents=[], facts={{}}, write=write)
"""


def python(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("writer", WRITERS)
def test_file_size_limit_leaves_no_debris(tmp_path: Path, writer: str) -> None:
    setup = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
"""
    if writer == "torch-safetensors":
        setup += "import torch\nfrom safetensors.torch import save_file as torch_file\n"
    done = python(SAVE.format(setup=setup, write=WRITERS[writer]), tmp_path / "c")
    assert done.returncode == 1
    assert "StorageError" in done.stderr.splitlines()[-1]
    assert names(tmp_path) == []


@pytest.fixture
def tiny_disk(tmp_path: Path):
    """A file system of 2 MB of its own; needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("writer", ["plain", "safetensors"])
def test_full_disk_leaves_the_old_checkpoint_and_no_debris(tiny_disk: Path, writer: str) -> None:
    target = tiny_disk / "c"
    save_checkpoint(
        target,
        kind="linear",
        labels=["a"],
        preprocessing={},
        parents=[],
        facts={},
        write=lambda folder: (folder / "w").write_bytes(b"old") and None,
    )
    before = verify(target)
    done = python(SAVE.format(setup="", write=WRITERS[writer]), target)
    assert done.returncode == 1
    assert "StorageError" in done.stderr.splitlines()[-1]
    assert "No space left" in done.stderr
    assert names(tiny_disk) == ["c"]
    assert verify(target) == before


KILLS = {
    "first file written": ("", "os.kill(os.getpid(), signal.SIGKILL)"),
    "file half-written": (
        "",
        "f = open(folder / 'b', 'wb'); f.write(b'x' * 10); f.flush(); os.kill(os.getpid(), 9)",
    ),
    "before a file is synced": (
        "n = [0]\nreal = os.fsync\ndef fsync(d):\n    n[0] += 1\n    "
        "if n[0] == 2: os.kill(os.getpid(), 9)\n    real(d)\nos.fsync = fsync",
        "(folder / 'b').write_text('b')",
    ),
    "manifest written, not renamed": (
        "real = Path.rename\ndef rename(a, b):\n    "
        "if a.name == '.gradus.json': os.kill(os.getpid(), 9)\n    return real(a, b)\n"
        "Path.rename = rename",
        "pass",
    ),
    "folder whole, not renamed": (
        "real = Path.rename\ndef rename(a, b):\n    "
        "if '.saving-' in a.name: os.kill(os.getpid(), 9)\n    return real(a, b)\n"
        "Path.rename = rename",
        "pass",
    ),
}


@pytest.mark.parametrize("moment", KILLS)
def test_killed_save_leaves_no_checkpoint_and_the_next_cleans_up(
    tmp_path: Path, save, moment: str
) -> None:
    setup, write = KILLS[moment]
    done = python(SAVE.format(setup=setup, write=write), tmp_path / "c")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "c").exists()
    assert names(tmp_path)
    assert all(name.startswith(".c.saving-") for name in names(tmp_path))
    if moment != "folder whole, not renamed":
        assert not any(is_checkpoint(left) for left in tmp_path.iterdir())
    save("c")
    assert names(tmp_path) == ["c"]
    verify(tmp_path / "c")


def test_killed_while_replacing_keeps_one_whole_checkpoint(tmp_path: Path, save) -> None:
    save("c", {"w": b"old"})
    setup, write = KILLS["folder whole, not renamed"]
    done = python(SAVE.format(setup=setup, write=write), tmp_path / "c")
    assert done.returncode == -signal.SIGKILL
    whole = [path for path in tmp_path.iterdir() if is_checkpoint(path)]
    assert whole
    for path in whole:
        verify(path)


def test_a_save_at_work_is_not_taken_for_a_leftover(tmp_path: Path, save) -> None:
    def slow(folder: Path) -> None:
        (folder / "slow.txt").write_text("slow")
        save("c", {"fast.txt": b"fast"})
        assert (folder / "slow.txt").exists()

    save("c", write=slow)
    assert list(verify(tmp_path / "c").files) == ["slow.txt"]
    assert names(tmp_path) == ["c"]


def test_errors_of_the_writer_pass_through_and_leave_nothing(tmp_path: Path, save) -> None:
    def broken(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("the model can't be written")

    with pytest.raises(RuntimeError, match="can't be written"):
        save("c", write=broken)
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_system_errors_are_storage_errors(tmp_path: Path, save, number: int) -> None:
    def broken(folder: Path) -> None:
        raise OSError(number, os.strerror(number), str(folder / "w"))

    with pytest.raises(StorageError, match=os.strerror(number)):
        save("c", write=broken)
    assert names(tmp_path) == []


def test_rust_error_text_is_understood(tmp_path: Path, save) -> None:
    from safetensors import SafetensorError

    def broken(folder: Path) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with pytest.raises(StorageError, match="No space left"):
        save("c", write=broken)


def test_foreign_folder_is_not_overwritten(tmp_path: Path, save) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(CheckpointError, match="isn't overwritten"):
        save("mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_odd_content_is_refused(tmp_path: Path, save) -> None:
    with pytest.raises(CheckpointError, match="nothing was written"):
        save("c", write=lambda folder: None)
    with pytest.raises(CheckpointError, match="not links"):
        save("c", write=lambda folder: (folder / "link").symlink_to("/etc/hostname"))
    with pytest.raises(CheckpointError, match="manifest's own name"):
        save("c", {"gradus.json": b"{}"})
    with pytest.raises(CheckpointError, match="can't be kept as JSON"):
        save("c", facts={"loss": float("nan")})
    with pytest.raises(CheckpointError, match="can't be kept as JSON"):
        save("c", facts={"weights": np.zeros(2)})
    assert names(tmp_path) == []


def test_replacing_gives_the_new_one(tmp_path: Path, save) -> None:
    save("c", {"w": b"old", "extra": b"x"})
    ref = save("c", {"w": b"new"})
    assert (tmp_path / "c" / "w").read_bytes() == b"new"
    assert list(verify(tmp_path / "c").files) == ["w"]
    assert ref.digest == verify(tmp_path / "c").digest
    assert names(tmp_path) == ["c"]


def test_any_file_may_be_read_by_others(tmp_path: Path, save) -> None:
    save("c")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o777 & ~mask
