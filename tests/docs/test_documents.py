"""Every command and every Python block of the documents runs, in order, as a reader would do it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gradus.plan import check_plan

from .blocks import ROOT, Block, blocks, commands, documents
from .driver import plainly
from .elsewhere import ELSEWHERE, SLOW

DRIVER = Path(__file__).with_name("driver.py")
SHOWN_ONLY = ("text", "yaml", "json", "toml", "css")


def actions(block: Block) -> list[dict[str, Any]]:
    """What the driver has to do for a block."""
    place = {"document": block.document, "line": block.line}
    if block.language == "console":
        return [
            place | {"do": "shell", "text": c.text, "exit_code": c.exit_code, "shown": c.shown}
            for c in commands(block)
            if c.text not in ELSEWHERE
        ]
    if block.language == "diff":
        return [place | {"do": "patch", "path": block.title, "text": block.text}]
    if block.title is not None:
        return [place | {"do": "write", "path": block.title, "text": block.text}]
    if block.language == "python":
        return [place | {"do": "python", "text": block.text}]
    assert block.language in SHOWN_ONLY, (
        f"{block.document}:{block.line}: a block of kind '{block.language}' neither runs nor is "
        f"one of {', '.join(SHOWN_ONLY)}"
    )
    return []


def workspace(folder: Path, found: list[Block]) -> dict[str, str]:
    """A folder as a fresh clone has it, as far as the document needs it, and its environment."""
    shutil.copytree(ROOT / "plans", folder / "plans")
    shutil.copytree(ROOT / "docs" / "data", folder / "docs" / "data")
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment |= {"HF_HUB_OFFLINE": "1", "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
    if extends(found):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
        environment["PYTHONPATH"] = str(folder / "src")
    return environment


@pytest.mark.parametrize(
    "document",
    [pytest.param(d, marks=pytest.mark.slow) if d in SLOW else d for d in documents()],
)
def test_blocks_run(document: str, tmp_path: Path) -> None:
    found = blocks(document)
    todo = [action for block in found for action in actions(block)]
    if not any(action["do"] in ("shell", "python") for action in todo):
        return
    done = subprocess.run(
        [sys.executable, str(DRIVER)],
        input=json.dumps(todo),
        cwd=tmp_path,
        env=workspace(tmp_path, found),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    print(done.stdout)


def extends(found: list[Block]) -> bool:
    """Whether a document adds to the project, in a copy of it."""
    return any((block.title or "").startswith("src/") for block in found)


def plans() -> list[Any]:
    """The whole plans of all documents; those that name an extension are checked by running."""
    found = [
        b for d in documents() if not extends(blocks(d)) for b in blocks(d) if b.language == "yaml"
    ]
    whole = [b for b in found if b.text.startswith("name:") or "\nname:" in b.text]
    return [pytest.param(b, id=f"{b.document}:{b.line}") for b in whole]


@pytest.mark.parametrize("block", plans())
def test_plans_have_no_faults(block: Block, tmp_path: Path) -> None:
    if block.title and "fault" in block.title:
        assert check_plan(block.text, folder=tmp_path), "a plan that is shown for its faults"
        return
    assert check_plan(block.text, folder=tmp_path) == []


def test_documents_hold_plans_commands_and_python() -> None:
    found = [b for d in documents() for b in blocks(d)]
    assert len(documents()) >= 10
    assert len(plans()) >= 8
    assert sum(b.language == "python" and b.title is None for b in found) >= 8
    assert sum(len(commands(b)) for b in found if b.language == "console") >= 25


def test_nothing_is_excused_that_no_document_holds() -> None:
    said = {
        command.text
        for document in documents()
        for block in blocks(document)
        if block.language == "console"
        for command in commands(block)
    }
    assert set(ELSEWHERE) - said == set()
    assert set(documents()) >= SLOW


def test_output_is_compared_without_what_machines_differ_in() -> None:
    assert plainly("tuned   done  0.952 [0.773, 0.992]") == plainly("tuned done 1.0 [0.9, 1.000]")
    assert plainly("✓ accuracy") != plainly("✗ accuracy")


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"do": "shell", "text": "false", "exit_code": 0, "shown": []}, "exit code 1, not 0"),
        ({"do": "shell", "text": "echo a", "exit_code": 0, "shown": ["b"]}, "the output lacks"),
        ({"do": "python", "text": "assert 1 > 2"}, "AssertionError"),
    ],
)
def test_a_block_that_fails_is_told(action: dict[str, Any], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(DRIVER)],
        input=json.dumps([{"document": "page.md", "line": 7, **action}]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "page.md" in done.stderr
