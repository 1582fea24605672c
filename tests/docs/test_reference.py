"""The generated reference holds everything that the catalog does; the whole site builds."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import gradus
from gradus import registry
from gradus.catalog import CATALOG
from gradus.cli.main import COMMANDS
from gradus.gates import forms

from .blocks import ROOT


def module(name: str) -> ModuleType:
    """A file of docs/, which lie beside each other and in no package."""
    folder = str(ROOT / "docs")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def docstrings() -> ModuleType:
    return module("docstrings")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    made: dict[str, str] = module("reference").pages()
    return made


def test_every_entry_of_the_catalog_is_told_of(pages: dict[str, str]) -> None:
    everything = "\n".join(pages.values())
    for section in CATALOG:
        for name in registry.names(section):
            assert name in everything, f"the reference lacks {section} {name}"


def test_every_key_of_a_step_has_a_meaning(docstrings: ModuleType) -> None:
    for section in ("steps", "objectives", "optimisers", "losses"):
        for name in registry.names(section):
            config = registry.load(section, name).Config
            keys = {field.alias or name for name, field in config.model_fields.items()}
            unsaid = keys - set(docstrings.attributes(config)) - {"name"}
            assert not unsaid, f"{name}: its docstring doesn't say what these are: {unsaid}"


def test_commands_gates_and_python_are_whole(pages: dict[str, str]) -> None:
    for command in COMMANDS:
        assert f"## gradus {command}\n" in pages["cli.md"]
        assert f"Usage: gradus {command}" in pages["cli.md"]
    for form, meaning in forms():
        assert f"| `{form}` | {meaning} |" in pages["gates.md"]
    for name in gradus.__all__:
        assert f"## {name}\n" in pages["python.md"]


def test_metrics_say_unit_direction_range_and_source(pages: dict[str, str]) -> None:
    metrics, _, computed = pages["metrics.md"].partition("## What is computed of texts")
    rows = [line for line in metrics.splitlines() if line.startswith("| `")]
    assert len(rows) == len(registry.names("metrics"))
    for name in registry.names("features"):
        assert all(
            column in computed for column in (name, *registry.load("features", name).columns)
        )
    for row in rows:
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", row)[1:-1]]
        assert len(cells) == 7
        assert all(cells), row
        assert cells[3] in ("higher", "lower")


def test_a_default_and_a_type_are_written_as_in_a_plan(docstrings: ModuleType) -> None:
    assert docstrings.plainly((True, None, 1.5)) == "[true, null, 1.5]"
    assert docstrings.annotation(list[int] | None) == "list of integer | null"


def test_tables_hold_no_bare_bar(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(counts) == 1, f"{name}: {block[:300]}"


def test_the_site_builds_without_a_warning(pages: dict[str, str], tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("reference", "__pycache__")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=ignored)
    (tmp_path / "docs" / "reference").mkdir()
    for name, text in pages.items():
        (tmp_path / "docs" / "reference" / name).write_text(text, "utf-8")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "reference" / "steps" / "index.html").is_file()
    page = (tmp_path / "site" / "reference" / "metrics" / "index.html").read_text()
    assert "<code>kappa" not in page  # the example of CONTRIBUTING.md, which is no entry


def test_hooks_fetch_nothing_and_run_what_make_check_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    checks = re.findall(r"^\t\$\(BIN\)/(.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    wanted = {line.removesuffix(" .") for line in checks if line.split()[0] in LINTERS}
    assert {hook["entry"].removeprefix(".venv/bin/") for hook in hooks} == wanted
    for hook in hooks:
        tool = hook["entry"].split()[0].rpartition("/")[2]
        assert Path(sys.executable).with_name(tool).is_file()


LINTERS = ("ruff", "mypy", "lint-imports")
