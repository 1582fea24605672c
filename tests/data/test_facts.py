"""What gates on data are about, against statsmodels and counting by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from statsmodels.stats.proportion import proportion_confint

from gradus.data.facts import MEASUREMENTS, measurements
from gradus.data.load import load_dataset

from .conftest import WriteJsonl, texts


@pytest.mark.parametrize("dev", ["halves", "joined"])
def test_measurements(tmp_path: Path, write_jsonl: WriteJsonl, dev: str) -> None:
    records = texts(180)
    records += texts(20)  # 20 duplicates ...
    for row in records[-5:]:
        row["label"] = "a" if row["label"] == "b" else "b"  # ... 5 of which contradict
    records += [{"text": f"rare {i}", "label": "rare"} for i in range(20)]
    write_jsonl("a.jsonl", records)
    config = {"source": {"file": "a.jsonl"}, "dev": dev, "split": {"stratify": True}}
    data = load_dataset("d", config, folder=tmp_path, seed=1)
    found = {m.metric: m for m in measurements(data)}
    assert tuple(found) == MEASUREMENTS
    assert (found["rows"].value, found["rows"].n) == (200.0, 200)
    expected = {
        "duplicate_rate": (20, 220, "lower"),
        "conflict_rate": (5, 220, "lower"),
        "smallest_class_share": (20, 200, "higher"),
    }
    for name, (count, n, direction) in expected.items():
        m = found[name]
        assert (m.value, m.n, m.unit, m.direction) == (count / n, n, "proportion", direction)
        assert (m.ci_low, m.ci_high) == pytest.approx(
            proportion_confint(count, n, method="wilson"), abs=1e-12
        )
        assert (m.ci_method, m.level, m.data, m.split) == ("wilson", 0.95, "d", "all")
    notes = data.facts["notes"]
    assert "20 exact duplicates were dropped." in notes
    assert any(note.startswith("5 of the duplicates had another label") for note in notes)
