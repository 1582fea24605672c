"""The audit as a whole: what it measures, says and keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from gradus.data import Dataset, Split
from gradus.data.audit import compare
from gradus.data.audit.audit import audit, audit_against
from gradus.data.audit.names import AUDIT_MEASUREMENTS
from gradus.data.audit.report import Audit
from gradus.data.audit.samples import count_cut
from gradus.data.load import load_dataset


def dataset(labels: Any = None, target: str = "label", **splits: list[Any]) -> Dataset:
    """A data set of these texts; labels in turn unless given by split."""
    made = {}
    for name, texts in splits.items():
        split = name.replace("dev_", "dev.")
        own = np.arange(len(texts)) % 2 if labels is None else labels[name]
        made[split] = Split(texts=texts, labels=own, ids=[f"{split}{i}" for i in range(len(texts))])
    return Dataset(
        name="d",
        labels=("a", "b") if target == "label" else (),
        splits=made,
        digest="0" * 64,
        split_digests={},
        facts={},
        target=target,  # type: ignore[arg-type]  # a name of a target
    )


def values(made: Audit) -> dict[str, float | None]:
    return {m.metric: m.value for m in made.measurements}


@pytest.fixture(scope="module")
def seeded(questions: list[str]) -> Dataset:
    """Questions with leaks: 8 of test in train, 3 of dev.gate in dev.select, 2 under two labels."""
    rows = [q for q in questions if len(q) > 60][:700]
    train, select, gate, test = rows[:400], rows[400:460], rows[460:520], rows[520:600]
    test[:8] = [text.upper() + "!!" for text in train[:8]]
    gate[:3] = [text.replace("?", " ?? ") + " !" for text in select[10:13]]
    labels = {
        "train": np.arange(400) % 2,
        "dev_select": np.arange(60) % 2,
        "dev_gate": np.arange(60) % 2,
        "test": np.arange(80) % 2,
    }
    labels["test"][:2] = 1 - labels["train"][:2]
    return dataset(labels, train=train, dev_select=select, dev_gate=gate, test=test)


def test_seeded_leaks_and_conflicts(seeded: Dataset) -> None:
    made = audit(seeded)
    assert tuple(m.metric for m in made.measurements) == AUDIT_MEASUREMENTS
    found = {m.metric: m for m in made.measurements}
    clean = audit(
        dataset(
            **{
                name.replace(".", "_"): [
                    text
                    for row, text in enumerate(split.texts)
                    if not (name == "test" and row < 8) and not (name == "dev.gate" and row < 3)
                ]
                for name, split in seeded.splits.items()
            }
        )
    )
    natural = {(row["split"], row["in"]): row["texts"] for row in clean.leaks}
    leaks = {(row["split"], row["in"]): row["texts"] for row in made.leaks}
    assert leaks["test", "train"] == natural["test", "train"] + 8
    assert leaks["dev.gate", "dev.select"] == natural["dev.gate", "dev.select"] + 3
    rate = found["near_duplicate_rate"]
    assert rate.n == 200
    assert rate.value is not None
    assert (rate.ci_low, rate.ci_high) == pytest.approx(
        proportion_confint(round(rate.value * 200), 200, method="wilson")
    )
    texts = {pair["second"]["text"] for pair in made.pairs if pair["similarity"] == 1.0}
    assert set(seeded.splits["test"].texts[:8]) <= texts
    upside = [c for c in made.conflicts if c["similarity"] == 1.0]
    assert len(upside) == 2
    assert {c["first"]["label"] for c in upside} == {"a", "b"}
    assert all(c["first"]["label"] != c["second"]["label"] for c in upside)
    assert any("texts of test" in f["text"] and f["tone"] == "bad" for f in made.findings)


def test_the_same_data_give_the_same_audit_and_json_keeps_it(seeded: Dataset) -> None:
    one, two = audit(seeded).to_json(), audit(seeded).to_json()
    assert {**one, "seconds": 0} == {**two, "seconds": 0}
    kept = json.loads(json.dumps(one, allow_nan=False))
    assert Audit.from_json(kept).to_json() == one
    with pytest.raises(KeyError):
        Audit.from_json({**kept, "format": 99})


def test_joined_halves_are_one_part(seeded: Dataset) -> None:
    dev = seeded.splits["dev.select"]
    joined = Dataset(
        name="d",
        labels=("a", "b"),
        splits={"train": seeded.splits["train"], "dev.select": dev, "dev.gate": dev},
        digest="",
        split_digests={},
    )
    made = audit(joined)
    assert {row["split"] for row in made.leaks} == {"dev"}
    assert next(m.n for m in made.measurements if m.metric == "near_duplicate_rate") == len(dev)


def test_labels_that_are_no_classes(questions: list[str]) -> None:
    numbers = {"train": np.linspace(0, 1, 60), "dev_select": np.ones(20), "dev_gate": np.ones(20)}
    made = audit(
        dataset(
            numbers,
            "number",
            train=questions[:60],
            dev_select=questions[60:80],
            dev_gate=questions[80:100],
        )
    )
    assert values(made)["label_drift_p"] is None
    assert values(made)["near_conflict_rate"] is None
    assert values(made)["length_drift_p"] is not None
    assert any("classes" in note for note in made.notes)


def test_broken_texts_and_drift(questions: list[str]) -> None:
    long = [(q * 30)[:300] for q in questions[:90]]
    train = [*long[:50], "?!?", "..."]
    made = audit(dataset(train=train, dev_select=questions[100:130], dev_gate=questions[130:160]))
    total = 52 + 60
    assert values(made)["empty_rate"] == pytest.approx(2 / total)
    assert values(made)["cut_rate"] == pytest.approx(50 / total)
    assert (values(made)["length_drift_p"] or 0) < 1e-6
    tones = [f["tone"] for f in made.findings]
    assert tones == sorted(tones, key=("bad", "warn", "good").index)
    assert any("cut off" in f["text"] for f in made.findings)


def test_a_lone_longest_text_isnt_called_cut() -> None:
    assert count_cut(np.array([3, 9, 9, 9, 9])) == 0
    assert count_cut(np.array([3, 9, 9, 9, 9, 9])) == 5
    assert count_cut(np.zeros(0, int)) == 0


def test_very_many_texts_are_sampled_and_it_is_said(
    seeded: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "MOST_TEXTS", 100)
    monkeypatch.setattr(compare, "PROBES", 50)
    made = audit(seeded)
    rate = next(m for m in made.measurements if m.metric == "near_duplicate_rate")
    assert rate.n == 50
    assert any("near-duplicates of 100 of them" in note for note in made.notes)


def test_a_sample_that_dev_stands_for_and_one_that_it_doesnt(
    seeded: Dataset, questions: list[str], articles: list[str]
) -> None:
    like = audit_against(seeded, [q for q in questions if len(q) > 60][700:800])
    unlike = audit_against(seeded, [text[:120] for text in articles[:60]], labels=["a"] * 60)
    assert like.against == "sample"
    assert (values(like)["adversarial_auroc"] or 1) < 0.7
    assert values(like)["label_drift"] is None
    assert (values(unlike)["adversarial_auroc"] or 0) > 0.95
    assert (values(unlike)["label_drift_p"] or 1) < 1e-6
    assert (values(unlike)["length_drift_p"] or 1) < 0.01
    assert values(unlike)["near_duplicate_rate"] == 0.0
    assert {m.split for m in unlike.measurements} == {"sample"}
    copied = audit_against(seeded, list(seeded.splits["train"].texts[:30]), labels=["z"] * 30)
    assert values(copied)["near_duplicate_rate"] == 1.0
    assert "'d' has no label 'z'." in copied.notes
    assert len(copied.pairs) == 20


def test_exact_copies_across_given_splits_are_told(tmp_path: Path, questions: list[str]) -> None:
    def write(name: str, rows: list[str]) -> None:
        lines = (json.dumps({"text": t, "label": "ab"[len(t) % 2]}) for t in rows)
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")

    write("train.jsonl", questions[:300])
    write("test.jsonl", [*questions[290:300], *questions[400:440]])
    source = {name: {"file": f"{name}.jsonl"} for name in ("train", "test")}
    data = load_dataset("d", {"source": source}, folder=tmp_path, seed=1)
    made = audit(data)
    assert any("10 rows of train are exact copies" in f["text"] for f in made.findings)
