"""Starting other processes of Gradus."""

from __future__ import annotations

import sys


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours.

    Without ``-P`` Python would look for every module in the current folder first, and a file
    `json.py` that a user keeps there would be run in place of the library's.
    """
    return [sys.executable, "-P", "-m", name, *arguments]
