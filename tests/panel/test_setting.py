"""What step `panel` leaves for `gradus rate`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gradus.errors import DataError, UsageError
from gradus.panel import setting
from gradus.panel.setting import Setting

ABOUT = Setting(
    step="people",
    mode="likert",
    criteria=("fluency", "coherence"),
    language="en",
    raters=3,
    each=40,
    seed=7,
    samples="steps/written/0123456789ab/checkpoint",
    digest="ab" * 32,
)


def test_what_is_left_is_found(tmp_path: Path) -> None:
    left = setting.leave(tmp_path, ABOUT)
    assert setting.find(tmp_path) == left == setting.find(tmp_path, "people")
    assert left.setting == ABOUT
    assert left.place == setting.place_of(tmp_path, ABOUT)
    assert left.store == tmp_path / "panels" / "people" / ABOUT.key / "panel.sqlite"
    assert left.samples == tmp_path / ABOUT.samples
    assert left.command == ("gradus", "rate", str(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "pairs"},
        {"criteria": ("fluency",)},
        {"each": 20},
        {"seed": 8},
        {"digest": "cd" * 32},
    ],
)
def test_what_raters_see_has_a_place_of_its_own(tmp_path: Path, change: dict[str, object]) -> None:
    first = setting.leave(tmp_path, ABOUT)
    other = setting.leave(tmp_path, replace(ABOUT, **change))  # type: ignore[arg-type]  # parametrised
    assert other.place != first.place
    assert setting.find(tmp_path) == other
    assert setting.leave(tmp_path, ABOUT).place == first.place
    assert setting.find(tmp_path) == first


@pytest.mark.parametrize("change", [{"raters": 5}, {"language": "zh"}, {"samples": "elsewhere"}])
def test_more_raters_or_another_language_go_on_with_it(
    tmp_path: Path, change: dict[str, object]
) -> None:
    first = setting.leave(tmp_path, ABOUT)
    (first.place / setting.STORE).write_bytes(b"answers")
    other = setting.leave(tmp_path, replace(ABOUT, **change))  # type: ignore[arg-type]  # parametrised
    assert other.place == first.place
    assert other.store.read_bytes() == b"answers"
    assert setting.find(tmp_path).setting == replace(ABOUT, **change)  # type: ignore[arg-type]  # as above


def test_several_panels_are_told_apart_by_their_step(tmp_path: Path) -> None:
    setting.leave(tmp_path, ABOUT)
    second = setting.leave(tmp_path, replace(ABOUT, step="more"))
    with pytest.raises(UsageError, match="more, people: name one with --step"):
        setting.find(tmp_path)
    assert setting.find(tmp_path, "more") == second
    assert second.command == ("gradus", "rate", str(tmp_path), "--step", "more")
    with pytest.raises(UsageError, match="did you mean 'people'"):
        setting.find(tmp_path, "peopel")


def test_a_run_without_a_panel(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gradus run PLAN"):
        setting.find(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw.pop("seed"), "seed"),
        (lambda raw: raw.pop("criteria"), "criteria"),
        (lambda raw: raw.update(mode="stars"), "mode is 'stars'"),
        (lambda raw: raw.update(language="la"), "language is 'la'"),
        (lambda raw: raw.update(colour="red"), "colour"),
    ],
)
def test_a_damaged_setting_is_told_with_file_and_field(
    tmp_path: Path, change: object, said: str
) -> None:
    path = setting.leave(tmp_path, ABOUT).place / setting.SETTING
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)  # type: ignore[operator]  # parametrised
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(DataError, match=said) as error:
        setting.find(tmp_path)
    assert str(path) in str(error.value)


def test_a_setting_that_is_no_json_or_gone(tmp_path: Path) -> None:
    path = setting.leave(tmp_path, ABOUT).place / setting.SETTING
    path.write_text('{"step":\n "peo', encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        setting.find(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        setting.find(tmp_path)
