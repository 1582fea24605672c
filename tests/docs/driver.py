"""Runs one document's blocks in order, in the working directory; started by test_documents.

Standard input is the list of actions as JSON: ``write``, ``patch``, ``shell`` and ``python``.
All Python blocks of a document share one namespace. Stops at the first that fails.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Run every action; the exit code is 1 when one fails."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for action in json.load(sys.stdin):
        began = time.perf_counter()
        where = f"{action['document']}:{action['line']}"
        if action["do"] == "write":
            path = Path(action["path"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(action["text"], "utf-8")
        elif action["do"] == "patch":
            patch(Path(action["path"]), action["text"], where)
        elif action["do"] == "shell":
            shell(action, where)
        else:
            source = "\n" * (action["line"] - 1) + action["text"]  # tracebacks name the real line
            exec(compile(source, action["document"], "exec"), namespace)
            sys.stdout.flush()
        print(f"## {where} {action['do']} {time.perf_counter() - began:.1f} s", flush=True)


def patch(path: Path, text: str, where: str) -> None:
    """Put the lines after ``+`` below those before them, which stand in the file as they are."""
    before = [line[1:] for line in text.splitlines() if line.startswith(" ")]
    added = [line[1:] for line in text.splitlines() if line.startswith("+")]
    assert before, f"{where}: say below which lines"
    assert added, f"{where}: nothing is added"
    old = "\n".join(before) + "\n"
    content = path.read_text("utf-8")
    assert content.count(old) == 1, f"{where}: not once in {path}:\n{old}"
    path.write_text(content.replace(old, old + "\n".join(added) + "\n"), "utf-8")


def shell(action: dict[str, Any], where: str) -> None:
    """Run a command; its exit code, and its output where some is shown, must be as written."""
    done = subprocess.run(
        ["bash", "-c", action["text"]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(f"$ {action['text']}\n{done.stdout}", flush=True)
    expected = action["exit_code"]
    assert done.returncode == expected, f"{where}: exit code {done.returncode}, not {expected}"
    remaining = iter([plainly(line) for line in done.stdout.splitlines()])
    for line in action["shown"]:
        if line.strip() in ("", "..."):
            continue
        assert plainly(line) in remaining, f"{where}: the output lacks, in this order:\n{line}"


def plainly(line: str) -> str:
    """A line without what differs between machines: numbers, the width of columns, the folder."""
    line = line.replace(f"{Path.cwd()}/", "")
    return " ".join(re.sub(r"[0-9][0-9,.]*(e-?[0-9]+)?", "#", line).split())


if __name__ == "__main__":
    main()
