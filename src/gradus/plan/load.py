"""Loading plans: from a file, a text or Python values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradus.errors import PlanError
from gradus.plan import overrides as overriding
from gradus.plan import tree as trees
from gradus.plan.check import resolve
from gradus.plan.faults import Faults
from gradus.records import Fault, Plan


def load_plan(
    path_or_text: str | Path,
    *,
    overrides: Sequence[str] = (),
    folder: str | Path | None = None,
    files: bool = False,
) -> Plan:
    """Read and check a plan; nothing is computed and no data is read.

    Args:
        path_or_text: a file, or the YAML itself (a text of several lines or with a ``key: value``).
        overrides: as after ``--set``: ``steps.tuned.stages[0].lr=2e-4``, a later one wins.
        folder: what relative paths in the plan are relative to; by default the file's folder, or
            the working directory for a text.
        files: whether a benchmark's file that isn't there is a fault.

    Raises:
        PlanError: the plan has faults; holds all of them.
    """
    plan, faults = _read(path_or_text, overrides, folder, files)
    return _sure(plan, faults, _name(path_or_text))


def check_plan(
    path_or_text: str | Path,
    *,
    overrides: Sequence[str] = (),
    folder: str | Path | None = None,
    files: bool = False,
) -> list[Fault]:
    """Every fault of a plan, by line; empty when there is none. Arguments as for `load_plan`."""
    return _read(path_or_text, overrides, folder, files)[1]


def plan_from_dict(
    raw: Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    folder: str | Path | None = None,
    files: bool = False,
) -> Plan:
    """A plan from Python values, laid out as the file is; faults then have no line (0).

    Raises:
        PlanError: the plan has faults; holds all of them.
    """
    faults = Faults()
    trees.from_mapping(raw, faults)
    plan, found = _resolved(faults, overrides, folder, None, files)
    return _sure(plan, found, None)


def _sure(plan: Plan | None, faults: list[Fault], name: str | None) -> Plan:
    if plan is None:
        raise PlanError(faults, name)
    return plan


def _is_text(path_or_text: str | Path) -> bool:
    if isinstance(path_or_text, Path):
        return False
    return "\n" in path_or_text or ": " in path_or_text or path_or_text.lstrip()[:1] in ("", "{")


def _name(path_or_text: str | Path) -> str | None:
    return None if _is_text(path_or_text) else os.fspath(path_or_text)


def _read(
    path_or_text: str | Path, overrides: Sequence[str], folder: str | Path | None, files: bool
) -> tuple[Plan | None, list[Fault]]:
    faults = Faults()
    name = _name(path_or_text)
    if name is None:
        text = str(path_or_text)
    else:
        try:
            text = Path(name).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            return None, [Fault(path="", line=line, message="isn't UTF-8 from here on")]
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            return None, [Fault(path="", line=0, message=f"can't be read: {reason}")]
    trees.read(text, faults)
    return _resolved(faults, overrides, folder, name, files)


def _resolved(
    faults: Faults,
    overrides: Sequence[str],
    folder: str | Path | None,
    name: str | None,
    files: bool,
) -> tuple[Plan | None, list[Fault]]:
    plan = None
    if faults.tree.value:
        overriding.apply(faults.tree, overrides, faults)
        if folder is None:
            folder = Path(name).parent if name is not None else Path()
        where = str(Path(folder).absolute())
        plan = resolve(faults.tree, faults, folder=where, path=name, files=files)
    return plan, faults.sorted()
