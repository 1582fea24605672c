"""Documents and what stands in their fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+)(?P<info>.*)$")
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: `line` (from 1) is that of its first line of text."""

    document: str
    line: int
    language: str
    title: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A line of a console block after its ``$``, and the output shown under it."""

    text: str
    exit_code: int
    shown: tuple[str, ...]


def documents() -> list[str]:
    """README, CONTRIBUTING and every page that isn't generated, relative to the project."""
    pages = [p for p in (ROOT / "docs").rglob("*.md") if "reference" not in p.parts]
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(pages)]
    return [str(path.relative_to(ROOT)) for path in found]


def blocks(document: str) -> list[Block]:
    """Every fenced block of a document, in order."""
    found: list[Block] = []
    opened: re.Match[str] | None = None
    begun, lines = 0, list[str]()
    for number, line in enumerate((ROOT / document).read_text("utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if opened is None:
            if fence:
                opened, begun, lines = fence, number + 1, []
        elif fence and fence["fence"].startswith(opened["fence"]) and not fence["info"].strip():
            title = _TITLE.search(opened["info"])
            found.append(
                Block(
                    document=document,
                    line=begun,
                    language=opened["info"].split(maxsplit=1)[0] if opened["info"].strip() else "",
                    title=title[1] if title else None,
                    text="\n".join(lines) + "\n",
                )
            )
            opened = None
        else:
            lines.append(line.removeprefix(opened["indent"]))
    assert opened is None, f"{document}: the block that begins before line {begun} isn't closed"
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a console block; a backslash at a line's end goes on in the next.

    A command that doesn't end with 0 says so: ``$ gradus run plan.yaml  # exit code 3``.
    """
    found: list[tuple[str, list[str]]] = []
    going_on = False
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif going_on:
            found[-1] = (found[-1][0] + "\n" + line, [])
        else:
            assert found, f"{block.document}:{block.line}: a console block begins with '$ '"
            found[-1][1].append(line)
        going_on = line.endswith("\\")
    return [Command(text, _exit_code(text), tuple(shown)) for text, shown in found]


def _exit_code(text: str) -> int:
    match = re.search(r"# exit code (\d+)$", text)
    return int(match[1]) if match else 0
