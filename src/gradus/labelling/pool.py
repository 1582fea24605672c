"""The texts that may be asked about: each once, and none that is labelled already."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gradus.errors import GradusError, UsageError, unknown
from gradus.records import Pair

_PLANS: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Pool:
    """Texts of a pool, and how many were left out for what reason.

    `bad` are lines that hold no text, with why.
    """

    texts: tuple[str, ...]
    repeated: int
    known: int
    bad: tuple[tuple[int, str], ...]


def plainly(text: str) -> str:
    """A text as it is compared: letter case and white space don't make another one of it."""
    return " ".join(text.split()).casefold()


def read_pool(path: Path, known: Collection[str], *, form: str, field: str) -> Pool:
    """The texts of a file that aren't `known`, which holds texts as `plainly` has them.

    Raises:
        UsageError: the file isn't there or can't be read, or holds pairs.
        DataError: its header lacks the field.
    """
    from gradus.predict.readers import BadLine, read_texts

    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from error
    texts: list[str] = []
    bad: list[tuple[int, str]] = []
    seen: set[str] = set()
    repeated = left = 0
    with stream:
        for entry in read_texts(stream, format=form, name=path, text_field=field):
            if isinstance(entry, BadLine):
                bad.append((entry.line, entry.error))
                continue
            if isinstance(entry.text, Pair):
                raise UsageError(f"{path}: pairs of texts can't be labelled this way")
            mark = plainly(entry.text)
            if mark in known:
                left += 1
            elif mark in seen:
                repeated += 1
            else:
                seen.add(mark)
                texts.append(entry.text)
    return Pool(tuple(texts), repeated, left, tuple(bad))


def known_texts(sources: Sequence[str], *, field: str) -> list[str]:
    """All texts, whatever their split, of plans (``plan.yaml`` or ``plan.yaml:NAME``) and files.

    Raises:
        UsageError: there is no such file or data set.
        DataError: a file is broken.
    """
    found: list[str] = []
    for source in sources:
        path, name = _split(source)
        if path.suffix.lower() in _PLANS:
            found += _of_plan(path, name)
        else:
            found += _of_file(path, field)
    return found


def run_behind(checkpoint: Path) -> Path | None:
    """The plan of the run whose step made the checkpoint; None where it lies in no run folder."""
    for folder in checkpoint.resolve().parents:
        if (folder / "run.json").is_file() and (folder / "plan.resolved.yaml").is_file():
            return folder / "plan.resolved.yaml"
    return None


def of_run(plan: Path) -> list[str]:
    """All texts of the data sets of a run, whose resolved plan that is.

    A run doesn't keep its data. Relative paths are tried from here, and from the folder that holds
    the folder of runs.

    Raises:
        UsageError: the data can't be read from there.
    """
    error: GradusError | None = None
    for folder in dict.fromkeys((Path.cwd(), plan.resolve().parents[2])):
        try:
            return _of_plan(plan, None, folder)
        except GradusError as found:
            error = error or found
    raise UsageError(
        f"which texts are labelled already can't be told, since the data of {plan.parent} can't be "
        f"read from here ({error}): name them with --known, or say --known none"
    )


def _split(source: str) -> tuple[Path, str | None]:
    path, colon, name = source.rpartition(":")
    if colon and Path(path).suffix.lower() in _PLANS and not Path(source).exists():
        return Path(path), name
    return Path(source), None


def _of_plan(path: Path, name: str | None, folder: Path | None = None) -> list[str]:
    from gradus.data.load import read_texts
    from gradus.plan import load_plan

    plan = load_plan(path, folder=folder)
    if name is not None and name not in plan.data:
        raise UsageError(f"{path}: {unknown('data set', name, plan.data)}")
    found: list[str] = []
    for each in [name] if name is not None else plan.data:
        found += read_texts(each, plan.data[each], folder=Path(plan.folder))
    return found


def _of_file(path: Path, field: str) -> list[str]:
    from gradus.data.load import read_texts

    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder")
    kind = "folder" if path.is_dir() else "file"
    columns = {} if field == "text" else {"text": field}
    config: dict[str, Any] = {"source": {kind: str(path.resolve())}, "columns": columns}
    return list(read_texts(path.stem, config, folder=Path.cwd()))
