from __future__ import annotations

import pytest

from .plain import PlainEngine


@pytest.fixture(scope="session")
def engine() -> PlainEngine:
    return PlainEngine()
