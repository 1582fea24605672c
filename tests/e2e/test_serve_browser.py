"""The page of a served model in real Chromium: usable, accessible, and silent without a key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra 'serve' isn't installed")

from tests.serve.servers import Running, run, served

from gradus.predict.linear import save_majority

from .pages import MODES, Rater, origin

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "floor"
    save_majority(folder, labels=["spam", "ham"], counts=[1, 3])
    return folder


@pytest.fixture(scope="module")
def server(floor: Path) -> Iterator[Running]:
    with served(floor) as running:
        yield running


@pytest.mark.parametrize("mode", MODES)
def test_a_text_is_tried(browser: Any, server: Running, pictures: Path, mode: str) -> None:
    person = Rater(browser, origin(server), mode)
    person.page.goto(origin(server) + "/")
    person.page.get_by_role("button", name="Send").wait_for()
    person.accessible()
    person.page.get_by_label("Text").fill("<b>hello</b>\nworld & all")
    person.press("Control+Enter")
    person.page.get_by_text("ham").first.wait_for()
    person.page.get_by_text("75.0 %").first.wait_for()
    assert person.page.locator(".said").count() == 2
    assert person.page.locator(".said b").count() == 0
    person.page.get_by_text("POST /v1/classify", exact=True).wait_for()
    for details in person.page.locator("summary").all():
        details.click()
    person.accessible()
    person.fits()
    person.page.screenshot(path=pictures / f"serve-{mode}.png", full_page=True)
    assert person.complaints == []
    person.context.close()


def test_a_key_is_asked_for(browser: Any, floor: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    key = run("--new-key", "alice", "--key-file", file).stdout.strip()
    with served(floor, "--key-file", file) as running:
        person = Rater(browser, origin(running))
        person.page.goto(origin(running) + "/")
        person.page.get_by_label("API key").wait_for()
        person.accessible()
        assert "floor" not in person.page.content()
        person.page.get_by_label("API key").fill("wrong")
        person.press("Enter")
        person.page.get_by_text("That key isn't right.").wait_for()
        person.page.get_by_label("API key").fill(key)
        person.press("Enter")
        person.page.get_by_label("Text").fill("hello")
        person.page.get_by_role("button", name="Send").click()
        person.page.get_by_text("75.0 %").first.wait_for()
        assert key not in person.page.content()
        # A browser says on its console that a request was refused; nothing else is odd.
        assert all("401" in one for one in person.complaints)
        person.context.close()
