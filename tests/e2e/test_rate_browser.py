"""The raters' page in real Chromium: from start to end, accessible, by keys and by clicks.

Pictures are kept in build/screenshots (or in GRADUS_SCREENSHOTS).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra 'panel' isn't installed")
pytest.importorskip("uvicorn", reason="the extra 'panel' isn't installed")

from tests.panel.panels import CHINESE, ENGLISH, samples, served

from gradus.panel.criteria import CRITERIA
from gradus.panel.words import WORDS

from .pages import MODES, Rater, origin

pytestmark = pytest.mark.slow


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
