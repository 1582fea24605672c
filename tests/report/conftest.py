"""Run folders to report on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradus.report import facts, write_report

from .runs import banking_run, news_run


@pytest.fixture(scope="session")
def news(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The news run, done, with its report."""
    folder = news_run(tmp_path_factory.mktemp("report") / "news")
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def banking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with 77 labels, with its report."""
    folder = banking_run(tmp_path_factory.mktemp("report") / "banking")
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def known(news: Path) -> dict[str, Any]:
    """The facts of the news run."""
    return facts(news)
