"""Small folders of weights, and an installed package that carries them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder in Hugging Face layout; its tensor is real, its architecture doesn't matter."""
    import numpy as np
    from safetensors.numpy import save_file

    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"w": np.arange(6.0)}, str(folder / "model.safetensors"))
    return folder


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lay out an installed distribution on the import path; gives its site folder."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def lay(name: str, folders: dict[str, Path], version: str = "1.2.3") -> Path:
        record = []
        for inner, origin in folders.items():
            shutil.copytree(origin, site / inner)
            record += [p for p in (site / inner).rglob("*") if p.is_file()]
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{p.relative_to(site).as_posix()},,\n" for p in record]
        (info / "RECORD").write_text("".join([*lines, f"{info.name}/METADATA,,\n", "../bin/x,,\n"]))
        return site

    return lay
