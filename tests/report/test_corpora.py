"""Corpora in the report: splits, cleaning, domains and languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradus.data.corpora import load_corpus
from gradus.records import Measurement, RunRecord, State, StepRecord
from gradus.report.corpora import MOST, corpora
from gradus.report.gather import facts
from gradus.report.html import html
from gradus.report.markdown import markdown


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    texts = folder / "texts"
    texts.mkdir()
    for number in range(60):
        words = "the men and the gate" if number % 2 else "城门在夜里开了"
        (texts / f"<{number:02}>.txt").write_text(f"{words} {number} " * 9, encoding="utf-8")
    (texts / "short.txt").write_text("too short", encoding="utf-8")
    config = {
        "source": {"folder": "texts"},
        "format": "text",
        "options": {"whole": True},
        "columns": {"domain": "file"},
        "clean": {"min_characters": 20},
        "split": {"train": 0.5, "dev": 0.3, "test": 0.2},
    }
    made = load_corpus("tales", config, folder=folder, seed=1, place=folder / "corpora")
    measured = Measurement(
        metric="bits_per_byte", value=2.1, unit="bits/byte", direction="lower", n=40,
        data="tales", split="dev.gate", benchmark="corpus.v1", checkpoint="base",
    )  # fmt: skip
    step = StepRecord(id="base", step="pretrain.v1", state=State.DONE, measurements=(measured,))
    known = {**made.facts, "path": "/somewhere", "digest": made.digest}
    record = RunRecord(
        run=str(folder), plan="tales", state=State.DONE, steps=(step,), corpora={"tales": known},
        readings={"tales": 3},
    )  # fmt: skip
    (folder / "plan.resolved.yaml").write_text(
        "steps:\n- {id: base, step: pretrain.v1, corpora: {mix: {tales: 1.0}}}\n"
    )
    from gradus.runner.store import RunFolder

    RunFolder(folder).save(record)
    return folder


def test_the_tables_say_what_the_corpus_holds(run: Path) -> None:
    known = facts(run)
    assert "path" not in known["corpora"]["tales"]
    (shown,) = corpora(known)
    told = known["corpora"]["tales"]["splits"]
    assert [[cell.text for cell in row][:2] for row in shown.splits.rows] == [
        [split, str(of["documents"])] for split, of in told.items()
    ]
    cleaning = {row[0].text: [cell.text for cell in row[1:3]] for row in shown.cleaning.rows}
    assert cleaning["min characters"] == ["61", "1"]
    by = dict(shown.parts)
    assert {row[0].text for row in by["languages"].rows} == {"en", "zh"}
    assert len(by["domains"].rows) == MOST
    assert by["domains"].rows[-1][0].text == f"{60 - MOST + 1} others"
    assert ("readings of test", "3") in shown.about


def test_every_document_of_a_part_is_counted_once(run: Path) -> None:
    known = facts(run)
    (shown,) = corpora(known)
    for _, made in shown.parts:
        counted = sum(
            int(cell.small.removeprefix("in "))
            for row in made.rows
            for cell in row[1:]
            if cell.small
        )
        assert counted == 60


def test_both_reports_have_it_and_it_feeds_its_step(run: Path) -> None:
    known = facts(run)
    assert known["lineage"]["edges"] == [["data:tales", "base"]]
    page, plain = html(known), markdown(known)
    assert 'id="corpora"' in page
    assert "## Corpus: tales" in plain
    assert "<01>.txt" not in page + plain
    assert "min characters" in page
