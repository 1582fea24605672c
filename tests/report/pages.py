"""Reading a report in tests, and runs that try its patience."""

from __future__ import annotations

import html as entities
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from gradus.metrics.base import Predictions
from gradus.metrics.items import write_items
from gradus.records import Answer, Measurement, State, StepRecord, Verdict

from .runs import step
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


def broken_after(steps: list[StepRecord], at: int, state: State, **known: Any) -> list[StepRecord]:
    raw = steps[at].to_json()
    changes = {} if known.get("measurements") == [] else raw["facts"]
    bare = {**raw, "state": state, "curves": None, "facts": changes, **known}
    rest = [
        StepRecord(id=s.id, step=s.step, state=State.SKIPPED, parents=s.parents)
        for s in steps[at + 1 :]
    ]
    return [*steps[:at], StepRecord.from_json(bare), *rest]
