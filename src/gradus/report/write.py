"""Writing the report into the run folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from gradus.errors import StorageError
from gradus.report.gather import facts
from gradus.report.html import html
from gradus.report.markdown import markdown


def write_report(run_folder: Path) -> dict[str, Path]:
    """Write ``report.json``, ``report.md`` and ``report.html``; each file is whole or as it was.

    Returns the paths under ``json``, ``markdown`` and ``html``.

    Raises:
        StorageError: the disk is full or the folder can't be written.
        GradusError: whatever `facts` raises.
    """
    run_folder = Path(run_folder)
    known = facts(run_folder)
    made = {
        "json": ("report.json", json.dumps(known, ensure_ascii=False, indent=1, allow_nan=False)),
        "markdown": ("report.md", markdown(known)),
        "html": ("report.html", html(known)),
    }
    return {kind: _write(run_folder / name, text) for kind, (name, text) in made.items()}


def _write(path: Path, text: str) -> Path:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8", errors="replace")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{path} can't be written: {error.strerror or error}") from error
    return path
