"""The raters' page in real Chromium where something is amiss: no script, two windows, no server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra 'panel' isn't installed")
pytest.importorskip("uvicorn", reason="the extra 'panel' isn't installed")

from tests.panel.panels import leave, samples, served

from gradus.panel.criteria import CRITERIA
from gradus.panel.store import Store
from gradus.panel.words import WORDS

from .pages import Rater, origin

pytestmark = pytest.mark.slow


def test_a_browser_that_keeps_nothing_can_rate(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path / "run", each=4) as page:
        rater = Rater(browser, origin(page))
        rater.page.add_init_script(
            "Object.defineProperty(window, 'sessionStorage',"
            " { get() { throw new DOMException('denied', 'SecurityError'); } })"
        )
        rater.page.goto(f"{origin(page)}/r/{page.token()}/next")
        for at in range(1, 6):
            rater.at(f"{at} of 5")
            rater.press("1", "2", "3", "4", "5", "Enter")
        rater.at("That was all. Thank you.")
        assert len(page.store.rows()) == 5 * len(CRITERIA)
        assert rater.complaints == []


def test_a_second_window_is_told_that_its_answers_werent_kept(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path / "run") as page:
        one, two = (Rater(browser, origin(page)) for _ in range(2))
        for rater in (one, two):
            rater.page.goto(f"{origin(page)}/r/{page.token()}/next")
        one.press("1", "2", "3", "4", "5", "Enter")
        one.at("2 of 9")
        two.press("5", "4", "3", "2", "1", "Enter")
        two.at(WORDS["en"]["stale"])
        two.at("2 of 9")
        assert [row.value for row in page.store.rows()] == [1, 2, 3, 4, 5]


def test_the_page_works_without_script(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path / "run") as page:
        context = browser.new_context(java_script_enabled=False)
        plain = context.new_page()
        plain.goto(f"{origin(page)}/r/{page.token()}/next")
        for name in CRITERIA:
            plain.locator(f"label[for={name}-4] b").click()
        plain.get_by_role("button", name="Save").click()
        plain.get_by_text("2 of 9").first.wait_for()
        plain.get_by_role("button", name="Undo").click()
        plain.get_by_text(WORDS["en"]["undone"]).wait_for()
        assert plain.locator("#answers input:checked").count() == 5
        assert page.store.rows() == []
        context.close()


def test_script_in_a_text_does_nothing(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path / "run", samples(hostile=True), each=4) as page:
        rater = Rater(browser, origin(page))
        rater.page.goto(f"{origin(page)}/r/{page.token()}/next")
        for at in range(1, 6):
            rater.at(f"{at} of 5")
            assert rater.page.title().startswith(f"{at} of 5")
            assert rater.page.locator(".sheet *:not(h2):not(p)").count() == 0
            assert rater.page.locator("form").count() == (3 if at > 1 else 2)
            rater.press("1", "2", "3", "4", "5", "Enter")
        rater.at("That was all. Thank you.")
        # nor would it do anything if it got into the page
        rater.page.evaluate(
            "document.body.insertAdjacentHTML('beforeend',"
            '\'<img src="/x" onerror="document.title = 1"><style>body{display:none}</style>\')'
        )
        assert rater.page.locator("h1").is_visible()
        assert not rater.page.title().startswith("1")
        assert any("Content Security Policy" in said for said in rater.complaints)


def start(run: Path, port: int) -> tuple[subprocess.Popen[str], list[dict[str, Any]]]:
    """The real command in a process of its own, once it answers."""
    command = [sys.executable, "-m", "gradus", "rate", str(run), "--port", str(port), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = ""
    while not text.endswith("]\n"):
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        text += line
    return process, json.loads(text)


def test_a_killed_server_loses_and_doubles_nothing(browser: Any, tmp_path: Path) -> None:
    """SIGKILL while submissions are under way; the browser sends them again to the next server."""
    run = tmp_path / "run"
    panel = leave(run, samples(), each=16)
    process, links = start(run, 0)
    port = int(links[0]["link"].split("/")[2].rpartition(":")[2])
    raters = [Rater(browser, f"http://127.0.0.1:{port}") for _ in links]
    for rater, about in zip(raters, links, strict=True):
        rater.page.goto(about["link"] + "next")
    total = links[0]["total"]
    for at in range(1, total + 1):
        for number, rater in enumerate(raters):
            rater.at(f"{at} of {total}")
            rater.press(*[str(1 + (at + number) % 5)] * 5)
        if at in (2, 5, 9):
            for rater in raters:
                rater.page.evaluate("document.getElementById('answers').requestSubmit()")
            # somewhere between "not yet received" and "answered": another moment each time
            time.sleep({2: 0.0, 5: 0.004, 9: 0.02}[at])
            process.kill()
            process.wait()
            process, _ = start(run, port)
        else:
            for rater in raters:
                rater.press("Enter")
    for rater in raters:
        rater.at("That was all. Thank you.")
    process.terminate()
    process.communicate(timeout=30)
    store = Store.open(panel.store)
    rows = store.rows()
    finished = store.finished()
    store.close()
    assert finished == ("rater-1", "rater-2", "rater-3")
    assert len(rows) == 3 * total * len(CRITERIA)
    for number in range(3):
        mine = [row.value for row in rows if row.rater == f"rater-{number + 1}"]
        assert mine == [1 + (at + number) % 5 for at in range(1, total + 1) for _ in CRITERIA]


def test_without_a_server_the_answer_waits(browser: Any, tmp_path: Path, pictures: Path) -> None:
    run = tmp_path / "run"
    leave(run, samples(), each=4)
    process, links = start(run, 0)
    port = int(links[0]["link"].split("/")[2].rpartition(":")[2])
    rater = Rater(browser, f"http://127.0.0.1:{port}")
    rater.page.goto(links[0]["link"] + "next")
    process.kill()
    process.wait()
    rater.press("1", "2", "3", "4", "5", "Enter")
    rater.at(WORDS["en"]["retry"])
    rater.page.screenshot(path=str(pictures / "rate-retry.png"))
    process, _ = start(run, port)
    rater.at("2 of 5")
    process.terminate()
    process.communicate(timeout=30)
