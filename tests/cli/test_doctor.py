"""`gradus doctor`: versions, features, ceilings and what is missing."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from gradus import hardware
from gradus.cli import main as cli
from gradus.cli.doctor import EXTRAS


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A matrix so small that it takes no time, and a cache of its own."""
    measure = functools.partial(hardware.measure_ceilings, size=64, repeats=1)
    monkeypatch.setattr(hardware, "measure_ceilings", measure)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["ceilings"]["matmul_gflops"]) == {"float32", "bfloat16", "int8"}
    assert facts["ceilings"]["bandwidth_gb_s"] > 0
    assert facts["versions"]["torch"] == hardware.version("torch")
    assert facts["disk_free_gb"] > 0
    assert facts["memory_gb"] > 0
    assert [extra["extra"] for extra in facts["extras"]] == [extra.name for extra in EXTRAS]


def test_a_missing_extra_says_what_it_would_give(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = hardware.version
    monkeypatch.setattr(hardware, "version", lambda n: None if n == "onnxruntime" else version(n))
    assert cli.main(["doctor", "--json", "--quick"]) == 0
    extras = {e["extra"]: e for e in json.loads(capsys.readouterr().out)["extras"]}
    assert extras["onnx"]["missing"] == ["onnxruntime"]
    assert extras["onnx"]["install"] == "pip install 'gradus-lm[onnx]'"
    assert cli.main(["doctor", "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "pip install 'gradus-lm[onnx]'" in shown
    assert "step quantize: int8 through ONNX Runtime" in shown
    assert "memory bandwidth" in shown


def test_extras_are_those_of_the_package() -> None:
    from importlib.metadata import metadata, requires

    offered = set(metadata("gradus-lm").get_all("Provides-Extra") or ())
    assert {extra.name for extra in EXTRAS} == offered - {"all", "dev", "docs"}
    needed = " ".join(requires("gradus-lm") or ())
    for extra in EXTRAS:
        for package in extra.needs:
            assert package in needed
