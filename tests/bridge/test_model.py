"""Gradus as a model that the harness knows by name."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gradus.errors import UsageError

pytest.importorskip("lm_eval", reason="the extra lm-eval isn't installed")


def environment(folder: Path) -> dict[str, str]:
    cache = {"HF_DATASETS_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **cache, "GRADUS_THREADS": "1"}


def known_in(program: str) -> bool:
    """Whether a fresh process that ran `program` knows the model."""
    asked = (
        "\nfrom lm_eval.api.registry import model_registry as r\nprint('gradus' in r, 'hf' in r)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program + asked], capture_output=True, text=True, check=True
    )
    own, theirs = done.stdout.split()
    assert (own, theirs) != ("True", "False"), "the harness's own models went missing"
    return own == "True"


def test_importing_the_module_is_enough() -> None:
    assert known_in("import gradus.bridge.lm_eval")
    assert not known_in("import lm_eval")


def test_torch_makes_it_known_where_the_harness_is() -> None:
    points = importlib.metadata.entry_points(group="torch.backends")
    if "gradus" not in points.names:
        pytest.skip("installed before the entry point was there: run make install")
    assert known_in("import lm_eval.api.registry, torch")
    assert not known_in("import torch")


def test_the_hook_loads_nothing_of_its_own() -> None:
    """It runs in every program that imports torch."""
    program = (
        "import sys, gradus.bridge.autoload as a; a.on_torch(); "
        "print([m for m in sys.modules if m.startswith(('gradus.', 'lm_eval', 'torch', 'numpy'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['gradus.bridge', 'gradus.bridge.autoload']"


def test_arguments_are_checked(engine: Any, model: Path) -> None:
    from gradus.bridge.lm_eval import GradusLM

    with pytest.raises(UsageError, match="unknown argument 'dtyp': did you mean 'dtype'"):
        GradusLM(str(model), dtyp="float32")
    with pytest.raises(UsageError, match="say which model"):
        GradusLM(batch_size=4)
    opened = GradusLM.create_from_arg_obj(
        {"pretrained": str(model), "dtype": "bfloat16", "threads": 1},
        {"batch_size": 1, "device": "cuda:0"},
    )
    assert opened.get_model_info()["dtype"] == "bfloat16"
    assert opened.max_length == engine.limit


def test_decoding_that_the_engine_lacks_is_refused() -> None:
    from gradus.bridge.lm_eval import _decoding

    settings = _decoding({"until": "\n", "max_gen_toks": 5, "do_sample": False, "top_p": 0.9})
    assert settings.stop == ("\n",)
    assert settings.max_tokens == 5
    assert settings.greedy
    drawn = _decoding({"until": ["a", ""], "do_sample": True, "temperature": 0.7, "top_p": 0.9})
    assert (drawn.temperature, drawn.top_p, drawn.max_tokens) == (0.7, 0.9, 256)
    assert drawn.stop == ("a",)
    with pytest.raises(UsageError, match="num_beams"):
        _decoding({"until": [], "num_beams": 4})


@pytest.mark.slow
@pytest.mark.parametrize("command", [["-m", "gradus.bridge.lm_eval"], ["-m", "lm_eval"]])
def test_the_harness_as_a_command(
    command: list[str], model: Path, tasks: Path, tmp_path: Path
) -> None:
    """The command line says what the same task gives in a plan."""
    from gradus import scoring
    from gradus.benchmarks.harness import HarnessBenchmark, HarnessConfig

    points = importlib.metadata.entry_points(group="torch.backends")
    if command[1] == "lm_eval" and "gradus" not in points.names:
        pytest.skip("installed before the entry point was there: run make install")
    arguments = ["--model", "gradus", "--model_args", f"pretrained={model},dtype=float32"]
    arguments += ["--tasks", "choice", "--include_path", str(tasks), "--output_path", "found"]
    subprocess.run(
        [sys.executable, *command, *arguments],
        cwd=tmp_path,
        env=environment(tmp_path),
        check=True,
        capture_output=True,
    )
    (file,) = (tmp_path / "found").rglob("results*.json")
    found = json.loads(file.read_text())
    config = HarnessConfig(task="choice", path=str(tasks))
    documents = HarnessBenchmark.read(config, tasks)
    items = HarnessBenchmark.ask(config, documents, scoring.open(model, threads=1))
    assert found["results"]["choice"]["acc,none"] == pytest.approx(items.right().mean())
    assert found["config"]["backend"] == "torch"
