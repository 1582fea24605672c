"""``gradus overlap``: dirty items, shares of 8-grams, filters, scores on clean items."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradus
from gradus.cli.main import main
from gradus.metrics.items import read_items
from gradus.runner.store import RunFolder
from runner.toy_benchmark import make_models, plan, suite, texts, toys, write

__all__ = ["toys"]
ITEMS = 80
LEAKED = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark's file and a corpus that holds some of its longest items, among other text."""
    made = tmp_path_factory.mktemp("overlap")
    write(made / "toy.jsonl", ITEMS)
    other = ["and something else altogether that nobody asks about in any benchmark at all"] * 3
    documents = [*other, *(f"He read: {text}, and slept." for text in leaked()), *other]
    lines = (json.dumps({"text": text}) for text in documents)
    (made / "web.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    make_models(made)
    return made


def leaked() -> list[str]:
    return [text for text in texts(ITEMS) if len(text.split()) >= 8][:LEAKED]


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch, toys: None) -> Path:
    monkeypatch.chdir(folder)
    return folder


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["overlap", *arguments, "--quiet", "--json"]) == 0
    known: dict[str, Any] = json.loads(capsys.readouterr().out)
    return known


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    assert main(["overlap", *arguments, "--quiet"]) == code
    return capsys.readouterr().err


CORPUS = ("--corpus", "web.jsonl", "--benchmark", "toy=toy.jsonl")


def test_what_was_leaked_is_dirty(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = found(capsys, *CORPUS)
    (row,) = known["benchmarks"]
    assert (row["items"], row["n"], row["dirty"]) == (ITEMS, 8, LEAKED)
    assert row["dirty_share"] == pytest.approx(LEAKED / ITEMS)
    assert row["too_short"] == sum(len(text.split()) < 8 for text in texts(ITEMS))
    eights = [len(text.split()) - 7 for text in texts(ITEMS) if len(text.split()) >= 8]
    shared = sum(len(text.split()) - 7 for text in leaked())
    assert row["ngrams"] == {
        "n": 8,
        "count": sum(eights),
        "found": shared,
        "share": pytest.approx(shared / sum(eights)),
        "by": "exact",
    }
    assert known["filter"] is None
    assert known["corpus"]["bytes"] == (here / "web.jsonl").stat().st_size


def test_a_filter_is_made_once_and_used_without_the_corpus(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--filter", str(tmp_path / "web.bloom"))
    made = found(capsys, "--corpus", "web.jsonl", *at, "--capacity", "500")
    assert (made["benchmarks"], made["filter"]["capacity"]) == ([], 500)
    assert made["filter"]["false_positive_rate"] < 1e-8
    used = found(capsys, "--benchmark", "toy=toy.jsonl", *at)
    (row,), (exact,) = used["benchmarks"], found(capsys, *CORPUS)["benchmarks"]
    assert row["ngrams"] == {**exact["ngrams"], "by": "bloom filter"}
    assert "dirty" not in row
    both = found(capsys, *CORPUS, *at)["benchmarks"][0]
    assert (both["dirty"], both["ngrams"]["by"]) == (LEAKED, "bloom filter")
    other = ("--corpus", "toy.jsonl", "--benchmark", "toy=toy.jsonl")
    assert "made of another corpus" in refused(capsys, *other, *at)
    assert "was made for 500" in refused(capsys, *CORPUS, *at, "--capacity", "9")


def test_an_overfull_filter_says_so(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--filter", str(tmp_path / "small.bloom"), "--capacity", "10")
    assert main(["overlap", *CORPUS, *at, "--quiet"]) == 0
    assert "make it again with --capacity" in capsys.readouterr().out


def test_scores_on_clean_items_stand_beside_all(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = gradus.run(plan(here, suite(here)), runs_dir=tmp_path / "runs")
    record = RunFolder(Path(run.run)).load()
    assert record is not None
    known = found(capsys, *CORPUS, "--model", f"{run.run}:base", "--bootstrap", "100")
    assert {m["checkpoint"] for m in known["measurements"]} == {"base"}
    value = {(m["data"], m["metric"]): m for m in known["measurements"]}
    kept = next(m for m in record.steps[0].measurements if m.checkpoint == "base")
    assert kept.items is not None
    items = read_items(Path(run.run) / kept.items)[0]
    dirty = np.array([item in known["benchmarks"][0]["dirty_items"] for item in items.ids])
    nats = items.nats  # type: ignore[attr-defined]  # the benchmark's items are texts
    for name, rows in (("toy", dirty | ~dirty), ("toy clean", ~dirty), ("toy dirty", dirty)):
        m = value[name, "target_perplexity"]
        assert m["n"] == rows.sum()
        assert m["value"] == pytest.approx(math.exp(-nats[rows].mean()))
        assert m["ci_low"] < m["value"] < m["ci_high"]
        assert m["benchmark"] == "toy.v1"
    assert value["toy", "target_perplexity"]["value"] == pytest.approx(
        next(
            m.value
            for m in record.steps[0].measurements
            if (m.checkpoint, m.metric) == ("base", "target_perplexity")
        )
    )
    asked = [*CORPUS, "--model", f"{run.run}:base", "--quiet", "--bootstrap", "100"]
    assert main(["overlap", *asked]) == 0
    shown = capsys.readouterr().out
    assert "all items" in shown
    assert "clean" in shown
    # An item file by itself is good too, one of other items isn't.
    file = f"mine={Path(run.run) / kept.items}"
    assert found(capsys, *CORPUS, "--model", file)["measurements"][0]["checkpoint"] == "mine"
    (here / "some.jsonl").write_text(json.dumps({"text": leaked()[0]}) + "\n", "utf-8")
    some = ("--corpus", "web.jsonl", "--benchmark", "toy=some.jsonl", "--model", file)
    assert "aren't in the benchmark's file" in refused(capsys, *some, code=1)


def test_own_texts_are_a_benchmark(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = "{benchmark: texts, path: toy.jsonl}"
    rows = found(capsys, *CORPUS, "--benchmark", f"mine={own}")["benchmarks"]
    assert {k: v for k, v in rows[1].items() if k not in ("name", "benchmark", "dirty_items")} == {
        k: v if k != "file" else "toy.jsonl"
        for k, v in rows[0].items()
        if k not in ("name", "benchmark", "dirty_items")
    }


def test_markdown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["overlap", *CORPUS, "--markdown", "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("| benchmark | items | n | dirty |")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--benchmark", "toy=toy.jsonl"), "no corpus given"),
        (("--corpus", "web.jsonl"), "no benchmark given"),
        (("--corpus", "none", "--benchmark", "toy=toy.jsonl"), "no such file or folder"),
        (("--corpus", "web.jsonl", "--benchmark", "tay=toy.jsonl"), "did you mean 'toy'"),
        ((*CORPUS, "--benchmark", "toy=toy.jsonl"), "given twice"),
        ((*CORPUS, "--benchmark", "b={benchmark: texts}"), "texts take path"),
        ((*CORPUS, "--capacity", "5"), "go with --filter"),
        ((*CORPUS, "--level", "2"), "between 0.5 and 1"),
        ((*CORPUS, "--text", "body"), "field 'body'"),
        ((*CORPUS, "--format", "jsonk"), "did you mean 'json"),
        ((*CORPUS, "--model", "nothing:here"), "nothing"),
        (("--filter", "no.bloom", "--benchmark", "toy=toy.jsonl"), "no such file"),
        (("--filter", "toy.jsonl", "--benchmark", "toy=toy.jsonl"), "isn't a filter"),
    ],
)
def test_faults_are_told_plainly(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(capsys, *arguments)


def test_interrupted_it_leaves_no_filter(
    here: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gradus.data.overlap.bloom.Bloom.add", stop)
    assert main(["overlap", *CORPUS, "--filter", str(tmp_path / "web.bloom"), "--quiet"]) == 130
    assert not list(tmp_path.iterdir())
    assert "run the same command again" in capsys.readouterr().err
