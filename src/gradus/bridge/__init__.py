"""The bridge to lm-evaluation-harness, both ways: its tasks on our engine, our engine in it.

Only this room imports the package `lm_eval` (extra ``lm-eval``).
"""

from __future__ import annotations

import importlib.metadata


def version() -> str:
    """The installed harness's version; imports nothing of it.

    Raises:
        MissingExtra: it isn't installed.
    """
    try:
        return importlib.metadata.version("lm_eval")
    except importlib.metadata.PackageNotFoundError as error:
        from gradus.errors import MissingExtra

        raise MissingExtra("lm_eval", "lm-eval", "a task of lm-evaluation-harness") from error
