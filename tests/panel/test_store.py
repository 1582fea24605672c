"""The store: one answer each, kept for good, whoever sends it and however often."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gradus.errors import StorageError, UsageError
from gradus.panel.store import Item, Store

CRITERIA = ("fluency", "coherence")
ITEMS = [
    Item(first="aa"),
    Item(first="bb"),
    Item(first="check-1", expected=2),
    Item(first="cc"),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.create(
        tmp_path / "p" / "panel.sqlite", mode="likert", criteria=CRITERIA, samples="d"
    )
    for rater in ("rater-1", "rater-2"):
        made.enrol(rater, ITEMS)
    return made


def give(store: Store, rater: str = "rater-1", value: int = 4) -> str:
    item = store.next(rater)
    assert item is not None
    scores = dict.fromkeys(CRITERIA, value)
    assert store.submit(rater, item.name, store.nonce(rater, item.name), scores, 1.25)
    return item.name


def test_answers_come_out_as_they_went_in(store: Store) -> None:
    for value in (4, 5, 1, 2):
        give(store, value=value)
    assert store.next("rater-1") is None
    assert store.finished() == ("rater-1",)
    rows = store.rows()
    assert [(x.writing, x.criterion, x.value) for x in rows if not x.check] == [
        (writing, name, value)
        for writing, value in (("aa", 4), ("bb", 5), ("cc", 2))
        for name in CRITERIA
    ]
    checks = [x for x in rows if x.check]
    assert [(x.expected, x.value, x.passed) for x in checks] == [(2, 1, False)] * 2
    assert {x.seconds for x in rows} == {1.25}
    assert all(x.at.endswith("Z") for x in rows)


def test_answers_outlive_the_process(store: Store) -> None:
    give(store)
    again = Store.open(store.path)
    assert again.rows() == store.rows()
    assert (again.mode, again.criteria, again.samples) == ("likert", CRITERIA, "d")
    assert again.token("rater-1") == store.token("rater-1")


def test_a_second_copy_of_a_form_changes_nothing(store: Store) -> None:
    item = store.items("rater-1")[0].name
    nonce = store.nonce("rater-1", item)
    for value in (4, 4, 1):
        # Other answers, from a second window, aren't taken, and that isn't hushed up.
        kept = store.submit("rater-1", item, nonce, dict.fromkeys(CRITERIA, value), 1)
        assert kept == (value == 4)
    assert [x.value for x in store.rows()] == [4, 4]


def test_forms_that_are_not_due_are_refused(store: Store) -> None:
    scores = dict.fromkeys(CRITERIA, 3)
    mine, theirs = store.items("rater-1")[0].name, store.items("rater-2")[0].name
    assert mine != theirs
    for item, nonce in (
        (theirs, store.nonce("rater-2", theirs)),
        (mine, store.nonce("rater-2", theirs)),
        (mine, "made-up"),
        (mine, ""),
        ("aa", store.nonce("rater-1", "aa")),
    ):
        assert not store.submit("rater-1", item, nonce, scores, 1)
    assert store.rows() == []


def test_what_is_taken_back_is_open_again_and_kept(store: Store) -> None:
    first = give(store, value=2)
    give(store, value=3)
    old = store.nonce("rater-1", first)
    last = store.last("rater-1")
    assert last is not None
    assert store.withdraw("rater-1", last[1])
    assert not store.withdraw("rater-1", last[1])
    assert store.withdraw("rater-1", old)
    due = store.next("rater-1")
    assert due is not None
    assert due.name == first
    assert store.given("rater-1", first) == dict.fromkeys(CRITERIA, 2)
    assert store.nonce("rater-1", first) != old
    # the form from before can't bring the old answer back
    assert not store.submit("rater-1", first, old, dict.fromkeys(CRITERIA, 5), 1)
    give(store, value=5)
    assert [x.value for x in store.rows()] == [5, 5]
    with sqlite3.connect(store.path) as db:
        assert db.execute("SELECT count(*) FROM answers").fetchone() == (3,)


def test_only_ones_own_answers_are_taken_back(store: Store) -> None:
    give(store)
    last = store.last("rater-1")
    assert last is not None
    assert not store.withdraw("rater-2", last[1])
    assert len(store.rows()) == 2


@pytest.mark.parametrize(
    "scores", [{"fluency": 3}, {"fluency": 3, "coherence": 6}, {"fluency": 3, "coherence": 0}]
)
def test_impossible_answers_are_a_defect(store: Store, scores: dict[str, int]) -> None:
    item = store.items("rater-1")[0].name
    with pytest.raises(ValueError, match="answer"):
        store.submit("rater-1", item, store.nonce("rater-1", item), scores, 1)
    assert store.rows() == []


def test_tokens_tell_raters_apart(store: Store) -> None:
    tokens = {rater: store.token(rater) for rater in store.raters()}
    assert len(set(tokens.values())) == 2
    for rater, token in tokens.items():
        assert store.rater_of(token) == rater
        for wrong in (token[:-1], token + "A", token.swapcase(), "", "rater-1", "\udc80"):
            assert store.rater_of(wrong) is None


def test_nobody_else_reads_the_secret(store: Store) -> None:
    assert store.path.stat().st_mode & 0o077 == 0


def test_secrets_differ_between_panels(tmp_path: Path) -> None:
    made = [
        Store.create(tmp_path / name, mode="likert", criteria=CRITERIA, samples="d")
        for name in ("a", "b")
    ]
    for one in made:
        one.enrol("rater-1", ITEMS)
    assert made[0].token("rater-1") != made[1].token("rater-1")
    assert {x.name for x in made[0].items("rater-1")}.isdisjoint(
        x.name for x in made[1].items("rater-1")
    )


def test_enrolling_twice_changes_nothing(store: Store) -> None:
    before = store.items("rater-1")
    give(store)
    store.enrol("rater-1", ITEMS[:1])
    assert store.items("rater-1") == before
    store.enrol("rater-3", ITEMS[:1])
    assert [(x.rater, x.answered, x.total) for x in store.progress()] == [
        ("rater-1", 1, 4),
        ("rater-2", 0, 4),
        ("rater-3", 0, 1),
    ]


def test_the_file_is_written_ahead_and_synchronised(store: Store) -> None:
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_other_questions_need_another_place(store: Store) -> None:
    for mode, criteria, digest in (
        ("pairs", CRITERIA, "d"),
        ("likert", ("fluency",), "d"),
        ("likert", CRITERIA, "e"),
    ):
        with pytest.raises(UsageError, match="a place of its own"):
            Store.create(store.path, mode=mode, criteria=criteria, samples=digest)  # type: ignore[arg-type]  # from a tuple


def test_what_is_no_panel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no panel"):
        Store.open(tmp_path / "none")
    (tmp_path / "text").write_text("not a database at all, but longer than a header" * 9)
    with pytest.raises(StorageError, match="no panel's file"):
        Store.open(tmp_path / "text")
    sqlite3.connect(tmp_path / "empty").close()
    (tmp_path / "empty").touch()
    with pytest.raises(StorageError, match="no panel's file"):
        Store.open(tmp_path / "empty")


def test_many_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "panel.sqlite"
    stores = [Store.create(path, mode="likert", criteria=CRITERIA, samples="d") for _ in range(4)]
    stores[0].enrol("rater-1", [Item(first=f"w{k}") for k in range(50)])
    items = stores[0].items("rater-1")
    scores = dict.fromkeys(CRITERIA, 3)

    def send(job: int) -> bool:
        # every form twice, by two connections
        store, item = stores[job % 4], items[job // 2].name
        return store.submit("rater-1", item, store.nonce("rater-1", item), scores, 1)

    with ThreadPoolExecutor(16) as pool:
        kept = list(pool.map(send, range(100)))
    assert all(kept)
    assert [x.writing for x in stores[0].rows()] == [f"w{k}" for k in range(50) for _ in CRITERIA]


WRITER = """
import sys
from pathlib import Path
from gradus.panel.store import Store
store = Store.open(Path(sys.argv[1]))
while (item := store.next("rater-1")) is not None:
    nonce = store.nonce("rater-1", item.name)
    store.submit("rater-1", item.name, nonce, {"fluency": 3, "coherence": 3}, 1)
    print(item.name, flush=True)
"""


@pytest.mark.parametrize("after", [1, 7, 30])
def test_a_killed_writer_leaves_whole_answers(tmp_path: Path, after: int) -> None:
    path = tmp_path / "panel.sqlite"
    store = Store.create(path, mode="likert", criteria=CRITERIA, samples="d")
    store.enrol("rater-1", [Item(first=f"w{k}") for k in range(400)])
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    confirmed = [process.stdout.readline().strip() for _ in range(after)]
    assert all(confirmed)
    os.kill(process.pid, signal.SIGKILL)
    confirmed += process.stdout.read().split()
    process.wait()
    process.stdout.close()
    with sqlite3.connect(path) as db:
        kept = [name for (name,) in db.execute("SELECT item FROM answers ORDER BY rowid")]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        scores = db.execute("SELECT count(*) FROM scores").fetchone()[0]
    # what was cut off after the commit and before the word is kept too: one answer at most
    assert kept[: len(confirmed)] == confirmed
    assert len(kept) <= len(confirmed) + 1
    assert scores == 2 * len(kept)
