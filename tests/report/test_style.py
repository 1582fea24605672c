"""Contrast of the page's colours in both modes, by the formula of WCAG 2.2."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

CSS = (files("gradus.report") / "templates/report.css").read_text(encoding="utf-8")
TEXT = ("ink", "soft", "accent", "good", "bad", "warn")


def variables(mode: str) -> dict[str, str]:
    """The custom properties of a mode; dark and print override light."""
    roots = re.findall(r":root \{(.*?)\}", CSS, flags=re.S)
    assert len(roots) == 3
    chosen = roots[:1] + {"light": [], "dark": roots[1:2], "print": roots[2:]}[mode]
    return dict(re.findall(r"--([\w-]+): ([^;]+);", "".join(chosen)))


def rgb(value: str) -> tuple[float, ...]:
    if value.startswith("#"):
        digits = value[1:] if len(value) == 7 else "".join(2 * c for c in value[1:])
        return tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))
    return tuple(float(part) for part in value.split())


def luminance(colour: tuple[float, ...]) -> float:
    def linear(c: float) -> float:
        c /= 255
        return c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4

    r, g, b = (linear(c) for c in colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula_gives_the_standards_extremes() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("mode", ["light", "dark", "print"])
def test_text_has_enough_contrast(mode: str) -> None:
    known = variables(mode)
    for name in TEXT:
        for ground in ("paper", "card", "hover"):
            assert contrast(rgb(known[name]), rgb(known[ground])) >= 4.5, (name, ground)
    for name in ("good", "bad", "warn"):
        assert contrast(rgb(known[name]), rgb(known[f"{name}-wash"])) >= 4.5, name
    assert contrast(rgb(known["soft"]), rgb(known["mute-wash"])) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark", "print"])
def test_heat_keeps_its_counts_readable(mode: str) -> None:
    known = variables(mode)
    cells = re.findall(r"\.heat \.[de]\d \{ background: rgb\(var\(--(\w+)\) / ([\d.]+)\)", CSS)
    assert len(cells) == 10
    for name, alpha in cells:
        over, under = rgb(known[name]), rgb(known["card"])
        mixed = tuple(
            float(alpha) * o + (1 - float(alpha)) * u for o, u in zip(over, under, strict=True)
        )
        assert contrast(rgb(known["ink"]), mixed) >= 4.5, (name, alpha)


@pytest.mark.parametrize("mode", ["light", "dark", "print"])
def test_lines_stand_out_from_their_ground(mode: str) -> None:
    known = variables(mode)
    for name in ("accent", "accent-2", "accent-3", "accent-4"):
        assert contrast(rgb(known[name]), rgb(known["card"])) >= 3, name
