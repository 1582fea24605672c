"""Near-duplicates in a corpus, against the Jaccard similarity of every pair."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from pathlib import Path

import pytest
from datasketch import MinHash

from gradus.data.audit.shingles import WIDTH, plain_form
from gradus.data.corpora import load_corpus

WORDS = Path(__file__).read_text().split()


def shingles(text: str) -> set[str]:
    form = f" {plain_form(text)} ".ljust(WIDTH)
    return {form[i : i + WIDTH] for i in range(len(form) - WIDTH + 1)}


def similarity(one: str, two: str) -> float:
    a, b = shingles(one), shingles(two)
    return len(a & b) / len(a | b)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Forty texts, of which most have one to four altered copies."""
    rng = random.Random(5)
    found = []
    for number in range(40):
        words = [f"{number}", *(rng.choice(WORDS) + str(rng.randrange(90)) for _ in range(60))]
        found.append(" ".join(words))
        for copy in range(number % 5):
            changed = list(words)
            for place in rng.sample(range(60), 1 + copy):
                changed[place] = f"changed{copy}"
            found.append(" ".join(changed))
    return found


def kept_by_brute_force(texts: list[str], threshold: float) -> set[str]:
    """Of every connected group the text with the least hash."""
    group = {text: text for text in texts}
    for one, two in itertools.combinations(texts, 2):
        if similarity(one, two) >= threshold:
            old, new = group[one], group[two]
            group = {text: new if of == old else of for text, of in group.items()}
    parts: dict[str, list[str]] = {}
    for text, of in group.items():
        parts.setdefault(of, []).append(text)
    return {
        min(part, key=lambda t: hashlib.sha256(t.encode()).hexdigest()) for part in parts.values()
    }


@pytest.mark.parametrize("threshold", [0.75, 0.85])
def test_one_of_each_group_stays(tmp_path: Path, texts: list[str], threshold: float) -> None:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (tmp_path / "a.jsonl").write_text(lines)
    config = {
        "source": {"file": "a.jsonl"},
        "split": {"dev": 0.3},
        "clean": {"near_duplicates": threshold},
    }
    corpus = load_corpus("c", config, folder=tmp_path, seed=2, place=tmp_path / "corpora")
    found = [text for docs in corpus.splits.values() for text in docs.texts()]
    expected = kept_by_brute_force(texts, threshold)
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert len(texts) - len(expected) > 10
    count = corpus.facts["cleaning"]["near_duplicates"]
    assert (count["seen"], count["dropped"]) == (len(texts), len(texts) - len(found))


def test_what_stays_is_unlike_by_another_minhash(tmp_path: Path, texts: list[str]) -> None:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (tmp_path / "a.jsonl").write_text(lines)
    config = {"source": {"file": "a.jsonl"}, "clean": {"near_duplicates": 0.5}}
    corpus = load_corpus("c", config, folder=tmp_path, seed=2, place=tmp_path / "corpora")

    def sketch(text: str) -> MinHash:
        made = MinHash(num_perm=512, seed=1)
        made.update_batch([s.encode() for s in sorted(shingles(text))])
        return made

    before = [sketch(text) for text in texts[:40]]
    assert any(a.jaccard(b) > 0.6 for a, b in itertools.combinations(before, 2))
    stayed = [sketch(t) for docs in corpus.splits.values() for t in docs.texts()]
    # 0.5 and 4.5 standard errors of an estimate from 512 permutations.
    assert all(a.jaccard(b) < 0.6 for a, b in itertools.combinations(stayed, 2))
