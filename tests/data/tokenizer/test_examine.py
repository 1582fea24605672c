"""What a tokenizer does to held-out texts, counted by hand and on real ones."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from gradus.data.tokenizer.examine import examine
from gradus.data.tokenizer.recipe import Kind, Recipe, complete
from gradus.data.tokenizer.train import train


def test_bytes_by_hand() -> None:
    tokenizer = train(lambda: [], Recipe(kind="bytes"))
    found = examine(tokenizer, [("aé", "fr"), ("好好", "zh"), ("b", "fr")])
    chinese, french, everything = found.rows  # the most bytes first
    assert (chinese["language"], french["language"], everything["language"]) == ("zh", "fr", "all")
    assert (chinese["tokens"], chinese["bytes"], chinese["characters"]) == (6, 6, 2)
    assert chinese["characters_per_token"] == pytest.approx(1 / 3)
    assert (french["documents"], french["bytes_per_token"]) == (2, 1.0)
    assert french["part_tokens"] == pytest.approx(2 / 4)  # the two bytes of é
    assert chinese["part_tokens"] == 1.0
    assert everything["tokens"] == 10
    assert everything["coverage"] == everything["lossless"] == 1.0
    assert found.used == len({*"aéb好".encode()})


def test_unknown_characters_by_hand() -> None:
    recipe = Recipe(kind="characters", vocabulary=4, special=complete("characters", None))
    tokenizer = train(lambda: ["ab"], recipe)
    (row,) = examine(tokenizer, [("abc☃", "en"), ("ab", "en")], unknown="<unk>").rows
    assert row["coverage"] == pytest.approx(1 - 2 / 6)
    assert row["lossless"] == 0.5
    assert row["part_tokens"] == 0.0


def test_without_texts_nothing_is_said() -> None:
    found = examine(train(lambda: [], Recipe(kind="bytes")), [])
    assert (list(found.rows), found.used) == ([], 0)


@pytest.mark.parametrize("kind", ["byte-bpe", "unigram", "wordpiece"])
def test_chinese_and_english_together(kind: Kind, shared_data: Path) -> None:
    """Trained on both, a tokenizer covers both and takes fewer tokens than bytes."""
    with (shared_data / "ChnSentiCorp_htl_all.csv").open(encoding="utf-8") as file:
        chinese = [row["review"] for row in csv.DictReader(file)][:400]
    with (shared_data / "banking77.train.csv").open(encoding="utf-8") as file:
        english = [row["text"] for row in csv.DictReader(file)][:2000]
    recipe = Recipe(kind=kind, vocabulary=6000, special=complete(kind, None))
    tokenizer = train(lambda: [*chinese[:300], *english[:1500]], recipe)
    held_out = [*((t, "zh") for t in chinese[300:]), *((t, "en") for t in english[1500:])]
    unknown = recipe.roles.get("unk_token")
    rows = {row["language"]: row for row in examine(tokenizer, held_out, unknown=unknown).rows}
    assert rows["en"]["bytes_per_token"] > (2.4 if kind == "unigram" else 2.9)
    assert rows["zh"]["bytes_per_token"] > 2
    assert rows["zh"]["characters_per_token"] < rows["en"]["characters_per_token"]
    if kind == "wordpiece":
        assert 0.95 < rows["zh"]["coverage"] < 1
    else:
        assert rows["all"]["coverage"] == rows["all"]["lossless"] == 1.0
    assert np.isclose(rows["all"]["tokens"], rows["zh"]["tokens"] + rows["en"]["tokens"])
