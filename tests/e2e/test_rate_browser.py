"""The raters' page in real Chromium: from start to end, accessible, and through a killed server.

Pictures are kept in build/screenshots (or in GRADUS_SCREENSHOTS).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra 'panel' isn't installed")
pytest.importorskip("uvicorn", reason="the extra 'panel' isn't installed")

from tests.panel.panels import CHINESE, ENGLISH, leave, samples, served

from gradus.panel.criteria import CRITERIA
from gradus.panel.store import Store
from gradus.panel.words import WORDS

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
MODES: dict[str, dict[str, Any]] = {
    "desktop": DESKTOP,
    "dark": DESKTOP | {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "phone-dark": {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "has_touch": True,
        "color_scheme": "dark",
    },
    "narrow": {"viewport": {"width": 320, "height": 640}},
}
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pictures(root: Path) -> Path:
    folder = Path(os.environ.get("GRADUS_SCREENSHOTS", root / "build" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Rater:
    """One person before a browser of their own; anything odd that it says is kept."""

    def __init__(self, browser: Any, origin: str, mode: str = "desktop") -> None:
        self.origin, self.complaints = origin, list[str]()
        self.context = browser.new_context(**MODES[mode])
        self.page = self.context.new_page()
        self.page.on("console", lambda said: self.complaints.append(f"console: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(self.origin + "/"):
            self.complaints.append(f"request: {request.url}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def at(self, text: str) -> None:
        """Wait until the page says so, and its script listens."""
        self.page.get_by_text(text, exact=True).first.wait_for()
        self.listens()

    def listens(self) -> None:
        self.page.locator("html[data-ready]").wait_for()

    def accessible(self) -> None:
        """Nothing that axe finds fault with."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        found = axe.run(
            self.page, options={"runOnly": LEVELS, "resultTypes": ["violations"]}
        ).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []

    def fits(self) -> None:
        """Nothing sticks out at the side."""
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= self.page.viewport_size["width"]


def origin(page: Any) -> str:
    return f"http://{page.address[0]}:{page.address[1]}"


def test_three_raters_at_once_from_start_to_end(
    browser: Any, tmp_path: Path, pictures: Path
) -> None:
    with served(tmp_path / "run", each=8) as page:
        raters = [Rater(browser, origin(page)) for _ in range(3)]
        for number, rater in enumerate(raters, 1):
            rater.page.goto(f"{origin(page)}/r/{page.token(number)}/")
            rater.page.get_by_role("link", name="Begin").click()
        total = len(page.store.items("rater-1"))
        for at in range(1, total + 1):
            for number, rater in enumerate(raters, 1):
                rater.at(f"{at} of {total}")
                rater.press(*(str(1 + (at + k + number) % 5) for k in range(5)))
            for rater in raters:
                rater.press("Enter")
        for rater in raters:
            rater.at("That was all. Thank you.")
            rater.accessible()
            assert rater.complaints == []
        raters[0].page.screenshot(path=str(pictures / "rate-done.png"))
        rows = page.store.rows()
        assert page.store.finished() == ("rater-1", "rater-2", "rater-3")
    assert len(rows) == 3 * total * len(CRITERIA)
    for number in (1, 2, 3):
        given = [row.value for row in rows if row.rater == f"rater-{number}"]
        assert given == [1 + (at + k + number) % 5 for at in range(1, total + 1) for k in range(5)]
    assert all(0 < row.seconds < 600 for row in rows)


SHOWN = [
    (language, kind, mode)
    for language in ("en", "zh")
    for kind in ("likert", "pairs")
    for mode in MODES
]


@pytest.mark.parametrize(("language", "kind", "mode"), SHOWN)
def test_how_it_looks(
    language: str, kind: str, mode: str, browser: Any, tmp_path: Path, pictures: Path
) -> None:
    written = samples(ENGLISH if language == "en" else CHINESE)
    each = 8 if kind == "likert" else 12
    with served(tmp_path / "run", written, language=language, mode=kind, each=each) as page:
        rater = Rater(browser, origin(page), mode)
        name = f"rate-{language}-{kind}-{mode}"
        rater.page.goto(f"{origin(page)}/r/{page.token()}/")
        rater.accessible()
        rater.fits()
        rater.page.screenshot(path=str(pictures / f"{name}-start.png"), full_page=True)
        rater.page.get_by_role("link", name=WORDS[language]["begin"]).click()  # type: ignore[index]  # a language
        rater.page.locator("#answers").wait_for()
        rater.listens()
        rater.accessible()
        rater.press(*("435" if kind == "likert" else "1"))
        rater.accessible()
        rater.fits()
        rater.page.evaluate("scrollTo(0, 0)")
        rater.page.screenshot(path=str(pictures / f"{name}.png"))
        rater.page.screenshot(path=str(pictures / f"{name}-whole.png"), full_page=True)
        if kind == "likert" and mode in ("desktop", "phone"):
            # targets that a thumb hits
            boxes = [x.bounding_box() for x in rater.page.locator(".scale label b").all()]
            assert min(min(box["width"], box["height"]) for box in boxes) >= 36
        rater.page.evaluate("document.getElementById('keys').showModal()")
        rater.accessible()
        rater.page.screenshot(path=str(pictures / f"{name}-keys.png"))
        assert rater.complaints == []


def test_the_modes_differ(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path / "run") as page:
        colours = set()
        for mode in ("desktop", "dark"):
            rater = Rater(browser, origin(page), mode)
            rater.page.goto(f"{origin(page)}/r/{page.token()}/next")
            colours.add(rater.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2


@pytest.mark.parametrize("mode", ["desktop", "phone", "narrow"])
def test_a_rater_chooses_the_language(
    mode: str, browser: Any, tmp_path: Path, pictures: Path
) -> None:
    with served(tmp_path / "run", language="both") as page:
        rater = Rater(browser, origin(page), mode)
        rater.page.goto(f"{origin(page)}/r/{page.token()}/next")
        rater.press("1", "2", "3", "4", "5", "Enter")
        rater.at("2 of 9")
        rater.press("3", "2")
        rater.page.get_by_role("button", name="中文").click()
        rater.at(CRITERIA["fluency"].zh.question)
        # what was ticked stays ticked
        assert ticked(rater) == {"fluency": "3", "coherence": "2"}
        rater.accessible()
        rater.fits()
        rater.page.screenshot(path=str(pictures / f"rate-both-{mode}.png"))
        assert rater.complaints == []


def ticked(rater: Rater) -> dict[str, str]:
    found: dict[str, str] = rater.page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#answers input:checked')]"
        ".map(one => [one.name, one.value]))"
    )
    return found


def test_every_key(browser: Any, tmp_path: Path, pictures: Path) -> None:
    with served(tmp_path / "run") as page:
        rater = Rater(browser, origin(page))
        rater.page.goto(f"{origin(page)}/r/{page.token()}/next")
        assert not rater.page.locator("#undo").is_visible()
        rater.press("2", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowUp", "5")
        assert ticked(rater) == {"fluency": "2", "coherence": "5", "relevance": "2"}
        rater.press("?")
        assert rater.page.locator("#keys").is_visible()
        rater.press("1", "Escape")
        assert not rater.page.locator("#keys").is_visible()
        rater.press("Enter")
        rater.at(WORDS["en"]["missing"])
        assert page.store.rows() == []
        before = ticked(rater)
        rater.page.reload()
        rater.listens()
        assert ticked(rater) == before
        rater.press("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "1")
        rater.press(*["ArrowUp"] * 5)
        rater.press("1", "2", "3", "4", "5", "Enter")
        rater.at("2 of 9")
        rater.press("u")
        rater.at(WORDS["en"]["undone"])
        rater.page.screenshot(path=str(pictures / "rate-undone.png"))
        rater.accessible()
        assert ticked(rater) == dict(zip(CRITERIA, "12345", strict=True))
        assert page.store.rows() == []
        rater.press("Enter")
        rater.at("2 of 9")
        assert [row.value for row in page.store.rows()] == [1, 2, 3, 4, 5]
        assert rater.complaints == []


def test_keys_of_one_character_can_be_switched_off(browser: Any, tmp_path: Path) -> None:
    """WCAG 2.1.4: who dictates would answer with every word."""
    with served(tmp_path / "run") as page:
        rater = Rater(browser, origin(page))
        rater.page.goto(f"{origin(page)}/r/{page.token()}/next")
        rater.press("2", "?")
        assert rater.page.get_by_role("button", name=WORDS["en"]["close"]).evaluate(
            "button => button === document.activeElement"
        )
        rater.page.get_by_label(WORDS["en"]["single_keys"]).uncheck()
        rater.accessible()
        rater.press("Escape")
        for _ in range(2):
            rater.press("5", "u", "?")
            assert ticked(rater) == {"fluency": "2"}
            assert not rater.page.locator("#keys").is_visible()
            rater.page.reload()
            rater.listens()
        rater.press("ArrowRight")
        assert ticked(rater) == {"fluency": "2", "coherence": "3"}
        rater.page.get_by_role("button", name="Keys").click()
        rater.page.get_by_label(WORDS["en"]["single_keys"]).check()
        rater.press("Escape", "1")
        assert ticked(rater) == {"fluency": "2", "coherence": "1"}
        assert rater.complaints == []


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


def test_pairs_by_keys_and_clicks(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path / "run", mode="pairs", each=6) as page:
        rater = Rater(browser, origin(page))
        rater.page.goto(f"{origin(page)}/r/{page.token()}/next")
        for at, keys in enumerate((["1"], ["2"], ["0"], ["ArrowLeft"], ["1", "ArrowRight"]), 1):
            rater.at(f"{at} of 7")
            rater.press(*keys, "Enter")
        rater.at("6 of 7")
        rater.page.locator('[data-side="2"]').click()
        rater.page.get_by_role("button", name="Save").click()
        rater.at("7 of 7")
        rater.page.locator("label", has_text="No difference").click()
        rater.page.get_by_role("button", name="Save").click()
        rater.at("That was all. Thank you.")
        assert [row.value for row in page.store.rows()] == [1, 2, 0, 1, 2, 2, 0]
        assert rater.complaints == []


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
