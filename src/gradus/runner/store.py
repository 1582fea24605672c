"""The run folder on disk.

::

    RUN/
      run.json                 RunRecord, rewritten whenever a state changes
      plan.resolved.yaml       the plan with every default
      plan.yaml                the plan as it was written
      lock                     held by the process that works here
      splits/                  stored assignments of stratified splits
      steps/ID/FINGERPRINT/
        outcome.json           written last by a step that is done
        checkpoint/ ...        what the step made
        curves.jsonl           monitor values
        measure/KEY/           item files and quality-SETTINGS.json, or timings.json and cost.json
        work/                  resumable state; removed when the step is done
      report.html report.md report.json

A folder without ``outcome.json`` is a step that isn't done.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradus.errors import GradusError, RunBusy, StorageError
from gradus.records import RunRecord


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of one run and the little that is read and written there."""

    path: Path

    @property
    def record_path(self) -> Path:
        """Where the run's record is."""
        return self.path / "run.json"

    def step(self, step_id: str, fingerprint: str) -> Path:
        """The folder of one step at one fingerprint; twelve characters of it name the folder."""
        return self.path / "steps" / step_id / fingerprint[:12]

    def save(self, record: RunRecord) -> None:
        """Write the run's record."""
        write_json(self.record_path, record.to_json())

    def load(self) -> RunRecord | None:
        """The run's record; None where none has been written.

        Raises:
            GradusError: the record is damaged.
        """
        if not self.record_path.exists():
            return None
        raw = read_json(self.record_path)
        try:
            return RunRecord.from_json(raw)
        except (KeyError, TypeError, ValueError) as error:
            raise GradusError(
                f"{self.record_path}: not a run record of this version of Gradus ({error}): "
                "start anew with --fresh, which keeps the old folder"
            ) from error

    def relative(self, path: Path) -> str:
        """`path` as it stands in records."""
        return path.relative_to(self.path).as_posix()

    def set_aside(self) -> Path:
        """Rename the folder so that a fresh run can begin; returns where it is now."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        aside = self.path.with_name(f"{self.path.name}.before-{stamp}")
        count = 1
        while aside.exists():
            count += 1
            aside = self.path.with_name(f"{self.path.name}.before-{stamp}-{count}")
        self.path.rename(aside)
        return aside

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process.

        Raises:
            RunBusy: another process holds it; the message names its process id.
            StorageError: it can't be made.
        """
        with storage(self.path):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except (NotADirectoryError, FileExistsError) as error:
                raise StorageError(
                    f"{self.path} can't be made, for a file is in its way: choose another folder "
                    "with --runs-dir"
                ) from error
            handle = (self.path / "lock").open("a+", encoding="utf-8")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                handle.seek(0)
                holder = handle.read().strip() or "unknown"
                raise RunBusy(
                    f"{self.path}: process {holder} is working in this run folder: wait for it, "
                    "or choose another folder with --runs-dir"
                ) from error
            handle.seek(0)
            handle.truncate()
            handle.write(str(os.getpid()))
            handle.flush()
            yield


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn a full disk, or a folder that can't be written, into one clear error."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            free = shutil.disk_usage(path if path.exists() else path.parent).free / 1e6
            raise StorageError(
                f"{path}: no space left on the disk ({free:,.0f} MB free): make room and run the "
                "same command again; what was done is kept"
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise StorageError(
                f"{error.filename or path}: can't be written ({error.strerror}): choose another "
                "folder with --runs-dir"
            ) from error
        raise


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Write JSON so that the file is whole or as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        GradusError: it is damaged; the message names file and line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise GradusError(f"{path}, line {error.lineno}: broken JSON ({error.msg})") from error
