"""Fixtures of the steps."""

from __future__ import annotations

import pytest

from .plays import Plays


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Plays:
    return Plays(tmp_path_factory.mktemp("plays"))
