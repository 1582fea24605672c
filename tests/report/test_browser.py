"""The page in real Chromium: no request, no complaint, no overflow; its pictures are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradus.records import Answer, State, StepRecord, Verdict
from gradus.report import write_report

from .pages import HOSTILE, broken_after, hostile_run
from .pretrained import pretrained_run, rows
from .runs import stopped_run

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
MODES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 1000}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 1000}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 380, "height": 800}, "is_mobile": True, "has_touch": True},
    "phone-dark": {"viewport": {"width": 380, "height": 800}, "color_scheme": "dark"},
    "print": {"viewport": {"width": 700, "height": 990}},
}


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


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gate = Verdict(gate="accuracy >= 0.999", verdict=Answer.CLOSED, why="0.991 is below 0.999")

    def edit(steps: list[StepRecord]) -> None:
        steps[:] = broken_after(steps, 2, State.CLOSED, gates=[gate.to_json()])

    folder = stopped_run(tmp_path_factory.mktemp("closed"), State.CLOSED, edit)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def edit(steps: list[StepRecord]) -> None:
        bare = {"measurements": [], "gates": [], "error": "the loss is NaN at step 12: lower lr"}
        steps[:] = broken_after(steps, 2, State.FAILED, **bare)

    folder = stopped_run(tmp_path_factory.mktemp("failed"), State.FAILED, edit)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = hostile_run(tmp_path_factory.mktemp("hostile"))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    curves = [*rows(), *rows(prompt=HOSTILE, said=HOSTILE)]
    folder = pretrained_run(tmp_path_factory.mktemp("pretrained"), curves)
    write_report(folder)
    return folder


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("run", ["news", "banking", "closed", "failed", "hostile", "pretrained"])
def test_the_page_in_chromium(
    run: str, mode: str, browser: Any, pictures: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(run)
    address = (folder / "report.html").as_uri()
    complaints: list[str] = []
    context = browser.new_context(offline=False, **MODES[mode])
    page = context.new_page()
    page.on("console", lambda message: complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.on(
        "request",
        lambda sent: (
            None
            if sent.url == address or sent.url.startswith("data:")
            else complaints.append(f"request: {sent.url}")
        ),
    )
    page.goto(address)
    if mode == "print":
        page.emulate_media(media="print")
        page.pdf(path=str(pictures / f"{run}.pdf"), prefer_css_page_size=True)
    page.screenshot(path=str(pictures / f"{run}-{mode}.png"), full_page=True)
    wide = page.evaluate("document.documentElement.scrollWidth")
    opened = page.evaluate(
        "(document.querySelectorAll('details').forEach(d => d.open = true),"
        " document.documentElement.scrollWidth)"
    )
    shown = page.evaluate("document.querySelector('h1').getBoundingClientRect().height")
    context.close()
    assert complaints == []
    assert shown > 0
    if mode != "print":
        # not innerWidth: a phone's browser widens that to whatever overflows
        assert wide <= MODES[mode]["viewport"]["width"]
        assert opened <= MODES[mode]["viewport"]["width"]


def test_the_modes_differ(browser: Any, news: Path) -> None:
    seen = set()
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto((news / "report.html").as_uri())
        seen.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert len(seen) == 2


def test_a_wide_table_scrolls_in_its_own_box_with_its_first_column_in_sight(
    browser: Any, news: Path
) -> None:
    page = browser.new_page(viewport={"width": 380, "height": 800})
    page.goto((news / "report.html").as_uri())
    box = page.locator("#final .scroll").first
    moved = box.evaluate("b => { b.scrollLeft = 400; return b.scrollLeft; }")
    assert moved > 100
    edge = box.evaluate("b => b.getBoundingClientRect().left")
    name = box.locator("tbody th").first.evaluate("t => t.getBoundingClientRect().left")
    assert abs(name - edge) < 3
    page.close()


def test_without_script_long_texts_open(browser: Any, news: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((news / "report.html").as_uri())
    long = page.locator("details.prose").first
    paragraph = long.locator("p")
    assert not paragraph.is_visible()
    long.locator("summary").click()
    assert paragraph.is_visible()
    context.close()
