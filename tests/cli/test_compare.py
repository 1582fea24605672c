"""``gradus compare``: steps of runs, checkpoints, item files; splits, files, benchmarks; scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_plans import FLOOR, write_plan
from statsmodels.stats.contingency_tables import mcnemar

import gradus
from gradus import ledger
from gradus.cli.main import main
from gradus.data.load import load_dataset
from gradus.metrics.items import read_items
from gradus.plan import load_plan
from runner.toy_benchmark import make_models, plan, suite, toys, write

__all__ = ["toys"]
LETTERS = {**FLOOR, "id": "letters", "analyzer": "char_wb"}
FINAL = {"id": "final", "step": "evaluate", "models": ["floor", "letters"], "on": "news.test"}
QUICK = ("--bootstrap", "100", "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two classifiers beside the majority class, two tiny language models and a file."""
    made = tmp_path_factory.mktemp("compare")
    scores = {"half": {"combine": "0.5 * accuracy"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(made / "state"))
        gradus.run(write_plan(made, FLOOR, LETTERS, FINAL, scores=scores), runs_dir=made / "runs")
    make_models(made)
    write(made / "toy.jsonl", 24)
    return made


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def compared(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["compare", *arguments, *QUICK, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    assert main(["compare", *arguments, *QUICK]) == code
    return capsys.readouterr().err


def checkpoint(folder: Path, step: str) -> str:
    (found,) = (folder / "runs/mini/steps" / step).glob("*/checkpoint")
    return str(found)


def test_steps_of_a_run_on_what_it_keeps(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(capsys, "mini:floor", "runs/mini:letters")
    assert [place["on"] for place in found["places"]] == ["news.dev.gate", "news.test"]
    test = found["places"][1]
    row = test["pairs"][0]
    files = {m["checkpoint"]: m["items"] for m in test["measurements"]}
    right = [read_items(Path(files[name]))[0].right() for name in ("floor", "letters")]
    b, c = (right[0] & ~right[1]).sum(), (~right[0] & right[1]).sum()
    assert (row["only_first"], row["only_second"]) == (b, c)
    assert row["p_value"] == pytest.approx(min(1.0, mcnemar([[0, b], [c, 0]], exact=True).pvalue))
    # The plan's own score is compared with the rest.
    half = next(r for r in test["pairs"] if r["metric"] == "half")
    assert half["difference"] == pytest.approx(row["difference"] / 2)


def test_a_split_of_a_plan_is_asked_anew_and_its_reading_counted(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mini = load_plan(here / "mini.yaml")
    data = load_dataset("news", mini.data["news"], folder=here, seed=mini.seed)
    digest, on = data.split_digests["test"], ("--on", "mini.yaml:news.test")
    kept = compared(capsys, "mini:floor", "mini:letters", *on)
    assert ledger.count(digest) == 0
    anew = compared(capsys, checkpoint(here, "floor"), checkpoint(here, "letters"), *on)
    assert ledger.count(digest) == 1
    assert anew["models"] == ["floor", "letters"]

    def numbers(found: dict[str, Any]) -> list[tuple[str, float]]:
        rows = found["places"][0]["pairs"]
        return [(r["metric"], r["difference"]) for r in rows if r["metric"] != "half"]

    assert numbers(kept) == [(name, pytest.approx(value)) for name, value in numbers(anew)]


def test_all_of_a_file_or_one_of_its_splits(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(
        capsys,
        "mini:floor",
        "mini:letters",
        "mini:floor.majority",
        "--on",
        "news.jsonl",
        "--against",
        "floor.majority",
        "--metric",
        "accuracy",
        "--disagreements",
        "2",
    )
    (place,) = found["places"]
    assert [r["n"] for r in place["pairs"]] == [180, 180]
    assert [(r["first"], r["second"]) for r in place["pairs"]] == [
        ("floor", "floor.majority"),
        ("letters", "floor.majority"),
    ]
    assert place["pairs"][0]["better"] == "floor"
    assert [len(pair["items"]) for pair in place["disagreements"]] == [2, 2]
    part = compared(
        capsys, "mini:floor", "mini:letters", "--on", "news.jsonl.dev.gate", "--limit", "5"
    )
    assert {r["n"] for r in part["places"][0]["pairs"]} == {5}
    sampled = part["places"][0]["measurements"][0]["contract"]["sample"]
    assert sampled.startswith("5 of ")


def test_item_files_of_a_run_bring_their_contract_and_others_do_not(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = [
        m["items"]
        for m in compared(capsys, "mini:floor", "mini:letters")["places"][0]["measurements"]
    ]
    one, two = dict.fromkeys(files)
    found = compared(capsys, f"a={one}", f"b={two}")
    assert found["models"] == ["a", "b"]
    assert found["notes"] == found["places"][0]["notes"] == []
    loose = tmp_path / "loose.parquet"
    loose.write_bytes(Path(two).read_bytes())
    found = compared(capsys, "mini:floor", str(loose))
    assert "loose: only its items are known" in found["places"][0]["notes"][0]
    assert found["places"][0]["on"] == "news.dev.gate"


@pytest.mark.usefixtures("toys")
def test_language_models_on_a_benchmark(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(
        capsys,
        "base",
        "other",
        "--on",
        "toy=toy.jsonl",
        "--on",
        "toy={path: toy.jsonl, case: lower, limit: 9}",
    )
    first, second = found["places"]
    assert [r["metric"] for r in first["pairs"]] == ["accuracy", "target_perplexity"]
    assert {r["n"] for r in first["pairs"]} == {24}
    assert {r["n"] for r in second["pairs"]} == {9}
    contract = first["measurements"][0]["contract"]
    assert {"dtype", "backend", "tokenizer", "file", "format", "case"} <= contract.keys()
    assert second["measurements"][0]["contract"]["limit"] == "the first 9"
    top = first["disagreements"][0]
    assert top["unit"] == "nats"
    assert len(top["items"][0]["text"].split()) >= 3
    assert list((Path(here) / "toy.jsonl").parent.glob("*.partial")) == []
    alone = compared(
        capsys, "base", "other", "--on", "toy=toy.jsonl", "--metric", "target_perplexity"
    )
    assert alone["places"][0]["pairs"][0]["difference"] == first["pairs"][1]["difference"]


@pytest.mark.usefixtures("toys")
def test_a_runs_models_on_the_benchmark_that_it_keeps(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record = gradus.run(plan(here, suite(here)), runs_dir=tmp_path)
    sides = [f"{record.run}:base", f"{record.run}:other"]
    kept = compared(capsys, *sides)
    assert [place["on"] for place in kept["places"]] == ["toy"]
    anew = compared(capsys, *sides, "--on", "toy=toy.jsonl")
    assert anew["models"] == kept["models"] == ["base", "other"]
    for one, two in zip(kept["places"][0]["pairs"], anew["places"][0]["pairs"], strict=True):
        assert one["metric"] == two["metric"]
        assert one["difference"] == pytest.approx(two["difference"], rel=1e-4)
    # What a run keeps and what is asked anew have one contract.
    mixed = compared(capsys, sides[0], "other", "--on", "toy=toy.jsonl")
    assert mixed["places"][0]["refused"] == []


def test_over_scale(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    five = [f"m{i}=mini:{'letters' if i % 2 else 'floor'}" for i in range(4)]
    (view,) = compared(
        capsys,
        *five,
        "mini:floor.majority",
        "--on",
        "news.jsonl",
        "--scaling",
        "size=8,4,2,1,0.1",
        "--predict",
        "20",
    )["scaling"]
    assert (view["axis"], view["metric"]) == ("parameters", "accuracy")
    assert [p["x"] for p in view["points"]] == [0.1, 1, 2, 4, 8]
    assert view["law"] is not None or view["why"]
    assert main(["compare", *five[:2], "--scaling", "size=1,2", *QUICK]) == 0
    assert "No power law: 2 distinct x" in capsys.readouterr().out


def test_what_a_person_reads(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    asked = ["mini:letters", "mini:floor.majority", "--on", "news.jsonl", *QUICK]
    assert main(["compare", *asked, "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("By accuracy on news.jsonl, letters is better than floor.majority (+0.")
    assert "exact McNemar" in shown
    assert "disagree most on:" in shown
    assert shown.endswith(f"page: {page}\n")
    assert 'class="rule"' in page.read_text(encoding="utf-8")
    assert main(["compare", *asked, "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("# letters and floor.majority\n")
    assert main(["compare", *asked, "--html", str(tmp_path)]) == 1
    assert "can't be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mini:floor"], "two models or more"),
        (["mini:flor", "mini:letters"], "unknown step 'flor': did you mean 'floor'?"),
        (["mni:floor", "mini:letters"], "unknown run 'mni': did you mean 'mini'?"),
        (["mini:floor", "mini:floor"], "two models are called mini:floor"),
        (["mini:floor", "base"], "base keeps no items: say what to measure on"),
        (["mini:floor", "base", "--on", "news.jsonl"], "base is weights without a classifier"),
        (["mini:floor", "mini:letters", "--on", "news.tst"], "did you mean 'news.test'?"),
        (["mini:floor", "mini:letters", "--on", "lambda=x"], "did you mean 'lambada'?"),
        (["mini:floor", "mini:letters", "--on", "mini.yaml:news.train"], "isn't measured"),
        (["mini:floor", "mini:letters", "--on", "mini.yaml:nws"], "did you mean 'news'?"),
        (["mini:floor", "mini:letters", "--metric", "acuracy"], "did you mean 'accuracy'?"),
        (["mini:floor", "mini:letters", "--against", "flor"], "did you mean 'floor'?"),
        (["mini:floor", "mini:letters", "--level", "95"], "between 0.5 and 1"),
        (["mini:floor", "mini:letters", "--predict", "3"], "goes with --scaling"),
        (["mini:floor", "mini:letters", "--scaling", "sise"], "did you mean 'size'?"),
        (["mini:floor", "mini:letters", "--scaling", "size=1,2,3"], "3 numbers for 2 models"),
        (["mini:floor", "mini:letters", "--scaling", "size=1,x"], "isn't a list of numbers"),
        (["mini:floor", "mini:letters", "--scaling", "shots"], "has no shots: give them"),
        (["mini:floor", "mini:letters", "--scaling", "tokens"], "doesn't say on how many tokens"),
        (["mini:floor", "nowhere/at-all.gguf"], "neither an existing file"),
    ],
)
def test_what_cannot_be_is_told_at_once(
    arguments: list[str], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *arguments)


def test_another_contract_ends_with_1(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The same step in a run on other data of the same name."""
    rows = (here / "news.jsonl").read_text(encoding="utf-8").splitlines()
    twin = write_plan(tmp_path, FLOOR, name="twin")
    more = [
        json.dumps({**json.loads(row), "text": json.loads(row)["text"] + " Really."})
        for row in rows
    ]
    (tmp_path / "news.jsonl").write_text("\n".join(more), encoding="utf-8")
    gradus.run(twin, runs_dir=tmp_path / "runs")
    said = refused(
        capsys, "mini:floor", f"{tmp_path}/runs/twin:floor", "--on", "news.dev.gate", code=1
    )
    assert "share none of their items" in said
