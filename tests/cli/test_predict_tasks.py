"""Tasks on the command line: what fits a checkpoint, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gradus.cli.main import main
from gradus.predict import encoder
from gradus.predict.linear import save_majority
from gradus.predict.tasks import find
from gradus.testing.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def models(world: World) -> dict[str, str]:
    floor = save_majority(world.folder / "floor", labels=["a", "b"], counts=[1, 3]).path
    return {"lm": world.model("lm").path, "encoder": world.model("encoder").path, "floor": floor}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.jsonl"
    rows = [{"text": "A car maker"}, {"no": 1}, {"text": "The striker won"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def predict(*arguments: object) -> int:
    return main(["predict", *map(str, arguments)])


def test_vectors_as_json_lines_and_as_a_numpy_file(
    models: dict[str, str], texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(models["encoder"], "--input", texts) == 1
    shown = capsys.readouterr()
    assert "1 of 3 records can't be read" in shown.err
    first, bad, last = map(json.loads, shown.out.splitlines())
    assert "error" in bad
    wanted = encoder(find(models["encoder"])).embed(["A car maker", "The striker won"])
    said = np.array([first["embedding"], last["embedding"]], dtype=np.float32)
    np.testing.assert_array_equal(said, wanted)
    target = tmp_path / "x.npy"
    assert predict(models["encoder"], "--input", texts, "--output", target, "--normalise") == 1
    rows = np.load(target, allow_pickle=False)
    np.testing.assert_allclose(np.linalg.norm(rows[[0, 2]], axis=1), 1.0, atol=1e-6)
    assert np.isnan(rows[1]).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["texts.jsonl", "x.npy"]


def test_a_language_model_replies_or_goes_on(
    models: dict[str, str], texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(models["lm"], "--input", texts, "--max-tokens", 4) == 1
    first, bad, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(first) == ["line", "reply", "tokens", "ended"]
    assert first["tokens"] <= 4
    assert bad["line"] == 2
    drawn = ("--no-chat", "--temperature", 1.5, "--seed", 3, "--max-tokens", 5)
    assert predict(models["lm"], "--task", "generate", "--input", texts, *drawn) == 1
    once = capsys.readouterr().out
    assert "continuation" in json.loads(once.splitlines()[0])
    assert predict(models["lm"], "--input", texts, *drawn, "--batch-texts", 1) == 1
    assert capsys.readouterr().out == once


@pytest.mark.parametrize(
    ("model", "arguments", "code", "says"),
    [
        ("floor", ["--task", "tag"], 2, "--task tag: 'floor' can't do that; leave it out, or take"),
        ("floor", ["--task", "embed"], 2, "or take --task classify"),
        ("encoder", ["--task", "classify"], 2, "or take --task embed"),
        ("floor", ["--task", "sing"], 2, "sing"),
        ("floor", ["--max-tokens", "3"], 2, "--max-tokens is for --task generate, this is class"),
        ("floor", ["--normalise"], 2, "--normalise is for --task embed, this is classify"),
        ("lm", ["--top-k", "2"], 2, "--top-k is for --task classify, this is generate"),
        ("encoder", ["--threshold", "0.5"], 2, "--threshold is for --task classify"),
        ("lm", ["--temperature", "-1"], 2, "--temperature"),
        ("floor", ["--output", "x.npy"], 2, ".npy holds vectors"),
        ("encoder", ["--output", "x.npy", "--echo"], 2, "--echo repeats texts"),
        ("encoder", ["--output", "/dev/null", "--workers", "0"], 2, "--workers"),
        ("nowhere", [], 1, "nowhere: there is no such checkpoint folder"),
        ("package:nowhere", [], 2, "nowhere"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(
    models: dict[str, str],
    texts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert predict(models.get(model, model), "--input", texts, *arguments) == code
    shown = capsys.readouterr()
    assert says in " ".join(shown.err.replace("\u2502", "").split())
    assert shown.out == ""
    assert [p.name for p in tmp_path.iterdir()] == ["texts.jsonl"]
