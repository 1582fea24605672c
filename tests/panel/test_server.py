"""What the server answers: to raters, to the careless and to the hostile."""

from __future__ import annotations

import re
import socket
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra 'panel' isn't installed")
pytest.importorskip("uvicorn", reason="the extra 'panel' isn't installed")

from gradus.errors import MissingExtra, UsageError
from gradus.panel.criteria import CRITERIA
from gradus.panel.server import HEADERS, LARGEST_FORM, application, listen, server
from gradus.panel.store import Item
from gradus.panel.words import WORDS

from .panels import CHINESE, HOSTILE, Served, samples, served, undo_of


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "run", each=4, raters=2) as made:
        yield made


def test_a_rater_goes_from_start_to_end(page: Served) -> None:
    token = page.token()
    start = page.get(f"/r/{token}/")
    assert start.status == 200
    assert "Begin" in start.text
    total = len(page.store.items("rater-1"))
    assert total == 5
    for at in range(total):
        form = page.get(f"/r/{token}/next").text
        assert f"{at + 1} of {total}" in form
        reply = page.answer(value=1 + at % 5, seconds="2.5")
        assert (reply.status, reply.to) == (303, "next")
    assert "Thank you" in page.get(f"/r/{token}/next").text
    assert page.told[-1].finished
    rows = page.store.rows()
    assert len(rows) == total * len(CRITERIA)
    assert {row.seconds for row in rows} == {2.5}
    assert page.store.finished() == ("rater-1",)


def test_one_comes_back_to_where_one_was(page: Served) -> None:
    page.answer()
    assert "1 of 5 answered" in page.get(f"/r/{page.token()}/").text
    form = page.form()
    assert page.form() == form


def test_without_the_slash_one_gets_there_too(page: Served) -> None:
    assert page.get(f"/r/{page.token()}").to.endswith(f"/r/{page.token()}/")


# --- who wrote a text is nowhere


def everything(page: Served) -> str:
    token, seen = page.token(), []
    for path in (f"/r/{token}/", *["next"] * 40):
        if path == "next":
            reply = page.get(f"/r/{token}/next")
            seen += [reply.text, repr(reply.headers)]
            if "Thank you" in reply.text:
                break
            answered = page.answer(value=2)
            seen += [answered.text, repr(answered.headers)]
        else:
            seen.append(page.get(path).text)
    assert "Thank you" in seen[-2]
    return "\n".join(seen)


@pytest.mark.parametrize("mode", ["likert", "pairs"])
def test_nothing_says_who_wrote_a_text(tmp_path: Path, mode: str) -> None:
    with served(tmp_path / "run", mode=mode, each=24) as page:
        seen = everything(page)
    for writer in page.samples.writers:
        assert writer not in seen
    for one in page.samples.writings:
        assert one.id not in seen
        assert one.prompt_id not in seen


def test_items_are_called_otherwise_by_every_rater(page: Served) -> None:
    names = [{x.name for x in page.store.items(f"rater-{k}")} for k in (1, 2)]
    assert names[0].isdisjoint(names[1])


# --- the careless


def test_a_replayed_form_changes_nothing(page: Served) -> None:
    fields = page.form() | dict.fromkeys(CRITERIA, "5")
    path = f"/r/{page.token()}/answer"
    for value, to in (("5", "next"), ("5", "next"), ("1", "next?note=stale")):
        reply = page.post(path, fields | dict.fromkeys(CRITERIA, value))
        assert (reply.status, reply.to) == (303, to)
    assert [row.value for row in page.store.rows()] == [5] * len(CRITERIA)
    page.answer(value=2)
    assert page.post(path, fields).to == "next"
    assert len(page.store.rows()) == 2 * len(CRITERIA)


def test_undo_brings_the_last_text_back_as_it_was_answered(page: Served) -> None:
    token = page.token()
    page.answer(value=2)
    before = page.form()
    shown = page.get(f"/r/{token}/next").text
    undo = {"nonce": undo_of(shown)}
    assert page.post(f"/r/{token}/undo", undo).to == "next?note=undone"
    again = page.get(f"/r/{token}/next?note=undone").text
    assert WORDS["en"]["undone"] in again
    assert len(re.findall(r'value="2" required checked', again)) == len(CRITERIA)
    assert page.store.rows() == []
    # the same click again takes nothing else back
    assert page.post(f"/r/{token}/undo", undo).to == "next?note=stale"
    page.answer(value=3)
    assert page.form()["item"] == before["item"]
    assert {row.value for row in page.store.rows()} == {3}


def test_an_old_undo_takes_nothing_back(page: Served) -> None:
    page.answer()
    old = {"nonce": undo_of(page.get(f"/r/{page.token()}/next").text)}
    page.answer()
    assert page.post(f"/r/{page.token()}/undo", old).to == "next?note=stale"
    assert len(page.store.rows()) == 2 * len(CRITERIA)


# --- the hostile


def test_a_wrong_token_gets_nowhere(page: Served) -> None:
    right = page.token()
    for wrong in (right[:-1], right + "A", right.swapcase(), "x", "%2e%2e", "rater-1", "%ff"):
        for path in ("", "next"):
            reply = page.get(f"/r/{wrong}/{path}")
            assert reply.status == 404
            assert WORDS["en"]["nothing"] in reply.text
        fields = page.form() | dict.fromkeys(CRITERIA, "5")
        for path in ("answer", "undo", "language"):
            assert page.post(f"/r/{wrong}/{path}", fields).status == 404
    assert page.store.rows() == []


def test_the_address_of_a_waiting_run_says_what_is_needed(page: Served) -> None:
    reply = page.get("/")
    assert reply.status == 200
    assert "a link of your own" in reply.text
    assert page.token() not in reply.text


@pytest.mark.parametrize("path", ["/r", "/r/", "/static/", "/static/../server.py", "/panel.sqlite"])
def test_other_addresses_say_what_is_needed(page: Served, path: str) -> None:
    reply = page.get(path)
    assert reply.status == 404
    assert "a link of your own" in reply.text
    assert HEADERS["Content-Security-Policy"] == reply.headers["content-security-policy"]


def test_a_forged_item_or_nonce_gets_nowhere(page: Served) -> None:
    mine, theirs = page.form(1), page.form(2)
    for forged in (
        {"item": theirs["item"]},
        {"nonce": theirs["nonce"]},
        {"item": theirs["item"], "nonce": theirs["nonce"]},
        {"item": page.samples.writings[0].id},
        {"item": "' OR 1=1 --"},
        {"nonce": ""},
    ):
        reply = page.answer(1, **(mine | forged))
        assert (reply.status, reply.to) == (303, "next?note=stale")
    assert page.store.rows() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"fluency": "6"},
        {"fluency": "0"},
        {"fluency": "-1"},
        {"fluency": "３"},
        {"fluency": "3.0"},
        {"fluency": ""},
        {"seconds": "soon"},
    ],
)
def test_impossible_values_are_refused(page: Served, changes: dict[str, str]) -> None:
    assert page.answer(1, **changes).status == 400
    assert page.store.rows() == []


@pytest.mark.parametrize("said", ["nan", "inf", "-5", "1e300"])
def test_an_odd_clock_loses_no_answer(page: Served, said: str) -> None:
    assert page.answer(1, seconds=said).status == 303
    assert all(0 <= row.seconds <= 86_400 for row in page.store.rows())


def test_a_missing_answer_is_refused(page: Served) -> None:
    reply = page.post(f"/r/{page.token()}/answer", page.form() | {"fluency": "4"})
    assert reply.status == 400
    assert WORDS["en"]["bad"] in reply.text


def test_what_is_no_form_is_refused(page: Served) -> None:
    path = f"/r/{page.token()}/answer"
    good = page.form() | dict.fromkeys(CRITERIA, "5")
    assert page.post(path, "fluency=3&fluency=4").status == 400
    assert page.post(path, "x=%ff").status == 400
    assert page.post(path, good, content_type="application/json").status == 400
    assert page.post(path, good | {"more": "x" * LARGEST_FORM}).status == 400
    assert page.get(path).status == 405
    assert page.store.rows() == []


def test_markup_in_a_text_stays_text(tmp_path: Path) -> None:
    written = samples(hostile=True)
    with served(tmp_path / "run", written, each=16) as page:
        seen = everything(page)
    assert "<script>document" not in seen
    assert "<img" not in seen
    assert 'action="//' not in seen
    assert "&lt;script&gt;document.title=&#34;taken&#34;" in seen
    assert "{{ 7*7 }} &amp; &amp;amp;" in seen
    assert HOSTILE not in seen


def test_every_answer_has_the_policy(page: Served) -> None:
    token = page.token()
    replies = [
        page.get(f"/r/{token}/"),
        page.get(f"/r/{token}/next"),
        page.answer(),
        page.get("/static/rate.js"),
        page.get("/nowhere"),
    ]
    for reply in replies:
        for name, value in HEADERS.items():
            assert reply.headers[name.lower()] == value
        assert "server" not in reply.headers
        assert "set-cookie" not in reply.headers
    assert replies[0].headers["cache-control"] == "no-store"
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_pages_bring_no_style_or_script_of_their_own(page: Served) -> None:
    for path in ("", "next"):
        text = page.get(f"/r/{page.token()}/{path}").text
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)", text)
        assert not re.search(r"(?:src|href|action)=\"(?:\w+:|//)", text)


# --- languages


def test_a_panel_in_chinese(tmp_path: Path) -> None:
    with served(tmp_path / "run", samples(CHINESE), language="zh") as page:
        text = page.get(f"/r/{page.token()}/next", accept_language="en").text
    assert '<html lang="zh-Hans">' in text
    assert CRITERIA["fluency"].zh.anchors[0] in text
    assert CRITERIA["fluency"].en.title not in text
    assert 'action="language"' not in text


def test_raters_choose_where_both_are_spoken(tmp_path: Path) -> None:
    with served(tmp_path / "run", language="both") as page:
        path = f"/r/{page.token()}/"
        assert "Begin" in page.get(path).text
        assert WORDS["zh"]["begin"] in page.get(path, accept_language="zh-CN,en;q=0.5").text
        assert page.post(path + "language", {"language": "zh", "back": "./"}).to == "./"
        assert page.post(path + "language", {"language": "zh", "back": "//x"}).status == 400
        assert WORDS["zh"]["begin"] in page.get(path, accept_language="en").text
        assert "Begin" in page.get(f"/r/{page.token(2)}/").text
        assert page.post(path + "language", {"language": "xx"}).status == 400


# --- pairs and checks


def test_pairs_from_start_to_end(tmp_path: Path) -> None:
    with served(tmp_path / "run", mode="pairs", each=6) as page:
        total = len(page.store.items("rater-1"))
        assert total == 7
        for at in range(total):
            assert page.answer(value=at % 3).status == 303
        rows = page.store.rows()
    assert [row.value for row in rows] == [at % 3 for at in range(total)]
    assert {row.criterion for row in rows} == {"preference"}
    assert all(row.pair is not None for row in rows)


@pytest.mark.parametrize("mode", ["likert", "pairs"])
def test_checks_say_what_they_ask(tmp_path: Path, mode: str) -> None:
    asks = "answer every question here with a" if mode == "likert" else "choose this text"
    with served(tmp_path / "run", mode=mode, each=24) as page:
        items = page.store.items("rater-1")
        for item in items:
            text = page.get(f"/r/{page.token()}/next").text
            assert (asks in text) == item.check
            value = item.expected or (3 if mode == "likert" else 0)
            if item.check and mode == "likert":
                assert f"{asks} {item.expected}" in text
            if item.check and mode == "pairs":
                side = text.index(asks) > text.index('data-side="2"')
                assert item.expected == 1 + side
            page.answer(value=value)
        assert all(row.passed for row in page.store.rows())
        assert any(row.check for row in page.store.rows())


# --- many at once, and what may break


def test_a_hundred_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    """The first forms of 100 raters at the same moment, then all of them once more."""
    with served(tmp_path / "run") as page:
        for number in range(4, 101):
            page.store.enrol(f"rater-{number}", page.store.items("rater-1")[:1])
        sent = {}
        for number in range(1, 101):
            rater = f"rater-{number}"
            item = page.store.items(rater)[0].name
            scores = dict.fromkeys(CRITERIA, str(1 + number % 5))
            nonce = page.store.nonce(rater, item)
            sent[number] = {"item": item, "nonce": nonce, "seconds": "1", **scores}

        def send(number: int) -> int:
            return page.post(f"/r/{page.token(number)}/answer", sent[number]).status

        for _ in range(2):
            with ThreadPoolExecutor(100) as pool:
                assert list(pool.map(send, sent)) == [303] * 100
            rows = page.store.rows()
            assert len(rows) == 100 * len(CRITERIA)
            assert len({row.rater for row in rows}) == 100
            assert all(row.value == 1 + int(row.rater.partition("-")[2]) % 5 for row in rows)


def test_a_store_that_fails_is_said_and_nothing_is_lost(page: Served) -> None:
    path, fields = f"/r/{page.token()}/answer", page.form() | dict.fromkeys(CRITERIA, "4")
    with sqlite3.connect(page.store.path) as other:
        other.execute("ALTER TABLE scores RENAME TO gone")
    reply = page.post(path, fields)
    assert reply.status == 503
    assert WORDS["en"]["broken_more"] in reply.text
    with sqlite3.connect(page.store.path) as other:
        assert other.execute("SELECT count(*) FROM answers").fetchone() == (0,)
        other.execute("ALTER TABLE gone RENAME TO scores")
    assert page.post(path, fields).status == 303
    assert len(page.store.rows()) == len(CRITERIA)


def test_a_fault_of_ours_tells_nothing_and_has_the_policy(page: Served) -> None:
    page.store.enrol("rater-9", [Item(first="of other samples")])
    reply = page.get(f"/r/{page.token(9)}/next")
    assert reply.status == 500
    assert WORDS["en"]["broken_more"] in reply.text
    assert "other samples" not in reply.text
    for name, value in HEADERS.items():
        assert reply.headers[name.lower()] == value


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}.*--port"):
            listen("127.0.0.1", port)


def test_missing_packages_are_named(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradus.panel.pages import Pages

    pages = Pages(page.samples, mode="likert", criteria=("fluency",), spoken="en")
    made = application(page.store, pages, page.told.append)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtra, match=r"gradus-lm\[panel\]"):
        server(made)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(MissingExtra, match=r"gradus-lm\[panel\]"):
        application(page.store, pages, page.told.append)
