"""What holds of every benchmark of the suite, and the published table."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from gradus import registry
from gradus.benchmarks.suite import published
from gradus.benchmarks.texts import TextBenchmark

SUITE = [
    "lambada", "cbt-cn", "cbt-ne", "cbt-v", "cbt-p", "wikitext-2", "wikitext-103", "ptb",
    "enwik8", "text8", "one-billion-word",
]  # fmt: skip


@pytest.fixture(params=SUITE)
def benchmark(request: pytest.FixtureRequest) -> Any:
    return registry.load("benchmarks", request.param)


def test_each_says_where_it_comes_from(benchmark: type[TextBenchmark]) -> None:
    assert issubclass(benchmark, TextBenchmark)
    assert registry.resolve("benchmarks", registry.plain(benchmark.name)) == benchmark.name
    assert re.search(r"\d{4}, .*http", benchmark.origin)
    assert benchmark.licence
    assert benchmark.protocol
    assert benchmark.kind in ("text", "option")
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in benchmark.sha256)
    assert benchmark.Config(path="x").limit is None


def test_each_names_metrics_of_the_catalog(benchmark: type[TextBenchmark]) -> None:
    needs = {"text": {"texts", "greedy", "labels"}, "option": {"options", "labels"}}
    for name in benchmark.metrics:
        assert registry.load("metrics", name).needs in needs[benchmark.kind]
    assert set(benchmark.compared) <= set(benchmark.metrics)
    assert set(benchmark.published) <= set(benchmark.metrics)
    for column in benchmark.published.values():
        assert len(published.figures(column)) == 5


def test_every_published_column_has_a_benchmark() -> None:
    used = [
        column for name in SUITE for column in registry.load("benchmarks", name).published.values()
    ]
    assert sorted(used) == sorted(column.name for column in published.COLUMNS)


def test_digests_are_those_of_the_files_at_hand(shared_data: Path) -> None:
    cases = {"lambada": "lambada_test.jsonl", "wikitext-2": "wikitext2.valid.txt",
             "ptb": "ptb.valid.txt"}  # fmt: skip
    for name, file in cases.items():
        digest = hashlib.sha256((shared_data / file).read_bytes()).hexdigest()
        assert digest in registry.load("benchmarks", name).sha256


@pytest.mark.parametrize(
    ("column", "row", "value"),
    [
        ("lambada-perplexity", "117M", 35.13),
        ("lambada-accuracy", "1542M", 0.6324),
        ("cbt-ne", "345M", 0.871),
        ("wikitext-103", "762M", 22.05),
        ("one-billion-word", "762M", 44.575),
        ("enwik8", "state of the art then", 0.99),
    ],
)
def test_figures_of_the_paper(column: str, row: str, value: float) -> None:
    (found,) = [one for one in published.figures(column) if one.model == row]
    assert found.value == value
    assert "Radford" in found.source


def test_the_table_is_the_one_at_hand(root: Path) -> None:
    table = root.parent / "shared" / "PUBLISHED.md"
    if not table.is_file():
        pytest.skip(f"no published figures at {table}")
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in table.read_text(encoding="utf-8").splitlines()
        if line.startswith(tuple(f"| {model}" for model in published.MODELS))
    ]
    assert [row[0] for row in rows] == list(published.MODELS)
    head = ["LAMBADA PPL", "LAMBADA ACC", "CBT-CN ACC", "CBT-NE ACC", "WikiText-2 PPL", "PTB PPL",
            "enwik8 BPB", "text8 BPC", "WikiText-103 PPL", "1BW PPL"]  # fmt: skip
    assert [column.title for column in published.COLUMNS] == head
    for place, column in enumerate(published.COLUMNS):
        printed = [figure.printed for figure in published.figures(column.name)]
        assert printed == [row[place + 1] for row in rows]


def test_an_unknown_column() -> None:
    with pytest.raises(KeyError, match="did you mean 'enwik8'"):
        published.figures("enwik9")
