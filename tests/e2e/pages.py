"""A person before a page of ours, in real Chromium."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

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


def origin(server: Any) -> str:
    """Where a server of ours listens."""
    host, port = server.address
    return f"http://{host}:{port}"
