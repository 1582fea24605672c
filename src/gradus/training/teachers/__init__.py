"""Teachers of a student: what they say, computed once and kept, and how several are mixed.

`open_teachers` asks them about labelled texts; `gradus.training.distil.language` has what is
particular to a vocabulary. Imported when asked for, since a plan is checked with `config` alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gradus.training.teachers.base import Ensemble, TeacherOutputs
    from gradus.training.teachers.teaching import Teaching, open_teachers
    from gradus.training.teachers.tokens import require_same
    from gradus.training.teachers.unlabelled import texts_of

_WHERE: Final = {
    "Ensemble": "base",
    "TeacherOutputs": "base",
    "Teaching": "teaching",
    "open_teachers": "teaching",
    "require_same": "tokens",
    "texts_of": "unlabelled",
}

__all__ = ["Ensemble", "TeacherOutputs", "Teaching", "open_teachers", "require_same", "texts_of"]


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__} has no {name}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
