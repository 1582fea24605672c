"""The section of pretraining: what it says, draws and shows of the curves by tokens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gradus.report import facts, write_report
from gradus.report.pretraining import Pretrained, pretraining

from .pages import HOSTILE, Page, read, unmarked
from .pretrained import TOKENS, UPDATES, WROTE, pretrained_run, rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = pretrained_run(tmp_path_factory.mktemp("pretrained") / "run")
    write_report(made)
    return made


@pytest.fixture(scope="module")
def section(folder: Path) -> Pretrained:
    (found,) = pretraining(facts(folder))
    return found


def sentences(section: Pretrained) -> str:
    return " ".join(sentence for _, _, sentence in section.said)


def made_of(tmp_path: Path, curves: list[dict[str, Any]]) -> Pretrained:
    (found,) = pretraining(facts(pretrained_run(tmp_path, curves)))
    return found


def test_it_says_how_far_training_went_and_where_the_loss_was_lowest(section: Pretrained) -> None:
    lowest = min((r for r in rows() if "select_loss" in r), key=lambda r: r["select_loss"])
    assert lowest["step"] < UPDATES
    assert f"{TOKENS * UPDATES:,} tokens in {UPDATES:,} updates" in sentences(section)
    assert f"lowest {lowest['select_loss']:.3f} after {lowest['tokens']:,} tokens" in sentences(
        section
    )


def test_a_gap_that_widens_is_called_overfitting_from_where_it_did(section: Pretrained) -> None:
    assert "+0.160 nats a token [0.140, 0.180]" in sentences(section)
    assert f"widened significantly after {1500 * TOKENS:,} tokens, p = 0.004" in sentences(section)
    assert "paired bootstrap over blocks" in sentences(section)
    signs = [row[-1].sign for row in section.validations.rows]
    assert signs.index("▼") == 14  # the fifteenth validation


def test_a_wider_gap_under_a_falling_loss_is_no_overfitting(tmp_path: Path) -> None:
    curves = [
        {**row, "select_loss": 5 - row["step"] / 1000} if "select_loss" in row else row
        for row in rows()
    ]
    found = made_of(tmp_path, curves)
    assert "the validation loss itself still fell" in sentences(found)
    assert "overfitting" not in sentences(found)


def test_a_gap_that_stays_is_not(tmp_path: Path) -> None:
    found = made_of(tmp_path, [{**row, "gap_warned": 0} for row in rows()])
    assert "never widened significantly" in sentences(found)
    assert "overfitting" not in sentences(found)
    assert all(row[-1].sign == "" for row in found.validations.rows)


def test_without_validation_or_gap_nothing_is_said_of_them(tmp_path: Path) -> None:
    bare = [{k: v for k, v in r.items() if "gap" not in k and "select" not in k} for r in rows()]
    found = made_of(tmp_path, [row for row in bare if "sample" not in row])
    assert found.said[0][2] == f"{TOKENS * UPDATES:,} tokens in {UPDATES:,} updates."
    assert not found.validations
    assert found.prompts == []


def test_spikes_are_listed_with_what_was_done(section: Pretrained) -> None:
    assert "2 loss spikes: 1 skipped, 1 rolled back." in sentences(section)
    told = [[str(cell) for cell in row] for row in section.spikes.rows]
    assert [row[1:2] + row[2:3] + row[4:] for row in told] == [
        ["525", "4.500", "skipped"],
        ["1,225", "4.500", "rolled back to update 1,200"],
    ]


def test_losses_are_drawn_by_tokens_with_spikes_as_points(section: Pretrained) -> None:
    assert section.axis == "million tokens"
    charts = dict(section.charts)
    losses = {s.name: s for s in charts["Loss, nats a token"]}
    assert list(losses) == ["train", "validation", "spike loss"]
    assert losses["train"].points[-1] == pytest.approx((UPDATES * TOKENS / 1e6, 1.104), abs=1e-3)
    assert len(losses["validation"].points) == 20
    spikes = losses["spike loss"]
    assert [len(spikes.points), spikes.breaks] == [2, (1,)]


def test_parts_of_a_score_share_a_chart_as_far_as_lines_differ(section: Pretrained) -> None:
    drawn = dict(section.charts)["bits per byte on dev.select by domain, the 4 highest"]
    assert [s.name for s in drawn] == ["play 5", "play 4", "play 3", "play 2"]
    assert len({s.style for s in drawn}) == 4
    assert [s.name for s in dict(section.charts)["bits per byte on dev.select"]] == [
        "bits per byte"
    ]


def test_benchmarks_join_their_validations(section: Pretrained) -> None:
    place = section.validations.titles.index("lambada.accuracy")
    told = [row[place].text for row in section.validations.rows]
    assert [told[4], told[5], told[-1]] == ["0.050", "–", "0.200"]


def test_long_curves_are_thinned_and_keep_their_end(tmp_path: Path) -> None:
    many = [
        {"stage": 0, "epoch": i / 5000, "step": i, "tokens": 10 * i, "train_loss": 5000.0 - i}
        for i in range(1, 5000)
    ]
    (loss,) = dict(made_of(tmp_path, many).charts)["Loss, nats a token"]
    assert 250 <= len(loss.points) <= 300
    assert loss.points[-1] == (49.99, 1.0)
    assert list(loss.points) == sorted(loss.points)


def test_samples_stand_side_by_side_from_first_to_last(tmp_path: Path, section: Pretrained) -> None:
    (watched,) = section.prompts
    assert watched.prompt == "ROMEO:"
    assert [s.text.rpartition(" (")[0] for s in watched.shown] == list(WROTE)
    point = {"stage": 0, "epoch": 1, "prompt": "A", "sample": "b"}
    ten = [{**point, "step": i, "tokens": i * 5} for i in range(1, 11)]
    (long,) = made_of(tmp_path, ten).prompts
    assert [s.tokens for s in long.shown] == [5, 20, 35, 50]
    assert len(long.samples) == 10


def test_speed_says_where_the_time_went(section: Pretrained) -> None:
    told = dict(section.speed)
    assert told["rate"] == "4,096 tokens/s"
    assert told["share of the ceiling"] == "72%"
    assert told["share of time in validation"] == "2.5%"
    assert told["share of time in samples and benchmarks"] == "0.7%"
    assert told["share of time in checkpoints"] == "0.3%"


def test_page_and_markdown_tell_the_same(folder: Path, section: Pretrained) -> None:
    page, told = Page(read(folder, "html")), unmarked(read(folder, "md"))
    assert page.open == []
    ids = [a["id"] for tag, a in page.tags if tag == "section"]
    assert "pretraining" in ids
    assert "curves" not in ids  # they aren't drawn twice
    for _, _, sentence in section.said:
        assert sentence in page.text
        assert sentence in told
    for made in (section.spikes, section.validations):
        for row in made.rows:
            for cell in row:
                assert cell.text in page.text
                assert cell.text in told
    for sample in section.prompts[0].samples:
        assert sample.text in page.text
        assert sample.text in told
    for svg in re.findall(
        r"<figure class=\"chart\">.*?</figcaption>(<svg.*?)</figure>", read(folder, "html")
    ):
        assert ElementTree.fromstring(svg).attrib["aria-label"].startswith("base, ")


def test_other_steps_keep_their_curves_by_epoch(news: Path) -> None:
    assert pretraining(facts(news)) == []
    ids = [a.get("id") for tag, a in Page(read(news, "html")).tags if tag == "section"]
    assert "curves" in ids
    assert "pretraining" not in ids


def test_hostile_samples_stay_text(tmp_path: Path) -> None:
    write_report(
        pretrained_run(tmp_path, rows(prompt=HOSTILE, said=HOSTILE + "\n```\n# no heading"))
    )
    raw = read(tmp_path, "html")
    assert Page(raw).open == []
    assert "<img" not in raw
    assert HOSTILE in Page(raw).text
    fences = re.findall(r"^`{3,}$", read(tmp_path, "md"), flags=re.M)
    assert "````" in fences
