"""Splits by content: stable, disjoint, in the right shares."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from gradus.data.splits import (
    GATE,
    SELECT,
    AssignmentFile,
    assign_by_hash,
    assign_stratified,
    content_id,
    digest_split,
    quotas,
)
from gradus.errors import DataError, StorageError

SHARES = {"train": 0.8, "dev": 0.1, "test": 0.1}
SEEDS = st.integers(0, 2**32)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=40)


def ids(n: int, start: int = 0) -> list[str]:
    return [content_id(f"text {i}") for i in range(start, start + n)]


def test_the_id_is_of_the_exact_bytes() -> None:
    assert content_id("é") == hashlib.sha256(b"\xc3\xa9").hexdigest()
    assert content_id("e\u0301") != content_id("é")  # the same to the eye, not to a tokenizer
    assert content_id("a ") != content_id("a")


@given(TEXTS, TEXTS, SEEDS)
def test_adding_rows_never_moves_old_ones(old: list[str], new: list[str], seed: int) -> None:
    before = assign_by_hash(map(content_id, old), SHARES, seed)
    after = assign_by_hash(map(content_id, [*new, *reversed(old)]), SHARES, seed)
    assert {item: after[item] for item in before} == before


@given(SEEDS, st.floats(0.05, 0.5), st.floats(0.05, 0.4))
def test_dev_leaves_test_as_it_is(seed: int, dev: float, test: float) -> None:
    one = assign_by_hash(ids(300), {"train": 1 - dev - test, "dev": dev, "test": test}, seed)
    two = assign_by_hash(ids(300), {"train": 1 - test - 0.01, "dev": 0.01, "test": test}, seed)
    assert {i for i in one if one[i] == "test"} == {i for i in two if two[i] == "test"}


@pytest.mark.parametrize("seed", [0, 13, -7, 2**70])
def test_shares_are_within_binomial_bounds(seed: int) -> None:
    n = 20_000
    counts = Counter(assign_by_hash(ids(n), SHARES, seed).values())
    expected = {"train": 0.8, SELECT: 0.05, GATE: 0.05, "test": 0.1}
    for split, share in expected.items():
        assert binomtest(counts[split], n, share).pvalue > 1e-4, (split, counts)


def test_seeds_give_independent_splits() -> None:
    n = 20_000
    one, two = (assign_by_hash(ids(n), SHARES, seed) for seed in (1, 2))
    both = sum(one[i] == two[i] == "test" for i in one)
    assert binomtest(both, n, 0.01).pvalue > 1e-4


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=80),
    st.floats(0.02, 0.4),
    st.floats(0.0, 0.4),
    SEEDS,
)
def test_stratified_quotas_are_exact(labels: list[str], dev: float, test: float, seed: int) -> None:
    shares = {"train": 1 - dev - test, "dev": dev, "test": test}
    of = dict(zip(ids(len(labels)), labels, strict=True))
    assigned = assign_stratified(of, shares, seed)
    assert assigned.keys() == of.keys()
    exact = {"train": shares["train"], SELECT: dev / 2, GATE: dev / 2, "test": test}
    for label, n in Counter(labels).items():
        found = Counter(assigned[item] for item in of if of[item] == label)
        for split, share in exact.items():
            assert abs(found[split] - n * share) < 1 + 1e-6
        if test == 0:
            assert found["test"] == 0


@given(st.data(), SEEDS)
def test_stored_assignments_never_move(data: st.DataObject, seed: int) -> None:
    labels = data.draw(st.lists(st.sampled_from("ab"), min_size=2, max_size=60))
    of = dict(zip(ids(len(labels)), labels, strict=True))
    cut = data.draw(st.integers(0, len(of)))
    old = dict(list(of.items())[:cut])
    stored = assign_stratified(old, SHARES, seed)
    grown = assign_stratified(of, SHARES, seed, stored)
    assert {item: grown[item] for item in stored} == stored
    assert grown.keys() == of.keys()


def test_rows_added_later_fill_what_lacks() -> None:
    first = dict.fromkeys(ids(100), "a")
    stored = assign_stratified(first, SHARES, 1)
    grown = assign_stratified(dict.fromkeys(ids(200), "a"), SHARES, 1, stored)
    assert Counter(grown.values()) == {"train": 160, SELECT: 10, GATE: 10, "test": 20}


@given(st.integers(0, 500), st.lists(st.floats(0.01, 1), min_size=1, max_size=4), SEEDS)
def test_quotas_sum_to_the_rows(rows: int, weights: list[float], seed: int) -> None:
    shares = {f"s{i}": w / sum(weights) for i, w in enumerate(weights)}
    found = quotas(rows, shares, "label", seed)
    assert sum(found.values()) == rows
    assert all(abs(found[name] - rows * share) < 1 + 1e-6 for name, share in shares.items())


def test_equal_remainders_favour_no_split() -> None:
    shares = {"train": 0.8, SELECT: 0.05, GATE: 0.05, "test": 0.1}
    totals: Counter[str] = Counter()
    for i in range(400):
        totals.update(quotas(10, shares, f"label {i}", 3))
    assert totals["train"] == 3200
    assert totals["test"] == 400
    assert binomtest(totals[SELECT], 400, 0.5).pvalue > 1e-4


def test_a_split_of_one_label_is_random() -> None:
    """Stratifying draws by the keyed hash, not by file order."""
    order = ids(1000)
    assigned = assign_stratified(dict.fromkeys(order, "a"), SHARES, 5)
    places = [i for i, item in enumerate(order) if assigned[item] == "test"]
    assert len(places) == 100
    assert 400 < np.mean(places) < 600


def test_the_assignment_file_round_trips(tmp_path: Path) -> None:
    file = AssignmentFile(tmp_path / "new", "news", SHARES, 13)
    assert file.read() == {}
    assigned = assign_stratified(dict.fromkeys(ids(20), "a"), SHARES, 13)
    file.write(assigned)
    assert file.read() == assigned
    assert [p.name for p in (tmp_path / "new").iterdir()] == [file.path.name]
    others = {AssignmentFile(tmp_path, "news", SHARES, 14).path.name}
    others.add(AssignmentFile(tmp_path, "news", {"train": 0.9, "dev": 0.1}, 13).path.name)
    others.add(AssignmentFile(tmp_path, "mail", SHARES, 13).path.name)
    assert len(others | {file.path.name}) == 4


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "it has no assignments of version 1"),
        ('{"version": 2, "assigned": {}}', "it has no assignments of version 1"),
        (json.dumps({"version": 1, "assigned": {"a": "valid"}}), "unknown split 'valid'"),
    ],
)
def test_a_damaged_assignment_is_an_error(tmp_path: Path, content: str, why: str) -> None:
    file = AssignmentFile(tmp_path, "news", SHARES, 13)
    file.path.write_text(content)
    with pytest.raises(DataError) as caught:
        file.read()
    assert str(caught.value).startswith(f"{file.path}: the stored split can't be read ({why}")


def test_a_folder_that_cant_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = AssignmentFile(tmp_path / "file", "news", SHARES, 13)
    with pytest.raises(StorageError, match="the split can't be stored"):
        file.write({})


def test_the_digest_is_of_ids_and_labels_in_any_order() -> None:
    one = digest_split(["a", "b"], ["x", "y"])
    assert digest_split(["b", "a"], ["y", "x"]) == one
    assert digest_split(["a", "b"], ["y", "x"]) != one
    assert digest_split(["a"], ["x"]) != one
    assert digest_split(["a"], ["x\nb\ty"]) != one
