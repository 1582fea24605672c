"""What sources say of their licence: read, never guessed."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from gradus.cards.licence_names import identifier, of_text
from gradus.cards.licences import head, of_source
from gradus.cards.terms import terms
from gradus.sources import locate_data

MIT = """MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software ...
The above copyright notice and this permission notice shall be included in all copies."""


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("Apache-2.0", "apache-2.0"),
        ("Apache License, Version 2.0", "apache-2.0"),
        ("MIT License", "mit"),
        ("GPL-3.0-or-later", "gpl-3.0"),
        ("CC-BY-SA-4.0", "cc-by-sa-4.0"),
        ("Only for friends", None),
        ("", None),
    ],
)
def test_names(said: str, known: str | None) -> None:
    assert identifier(said) == known


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("   Apache License\n   Version 2.0, January 2004\n", "apache-2.0"),
        (MIT, "mit"),
        ("GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007", "gpl-3.0"),
        (
            "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International",
            "cc-by-nc-sa-4.0",
        ),
        ("Attribution 4.0 International", "cc-by-4.0"),
        ("You may use it on Sundays.", None),
        ("", None),
    ],
)
def test_texts(text: str, known: str | None) -> None:
    assert of_text(text) == known


@pytest.mark.parametrize(
    ("package", "known"),
    [("safetensors", "apache-2.0"), ("pyyaml", "mit"), ("jinja2", "bsd-3-clause")],
)
def test_texts_of_real_packages(package: str, known: str) -> None:
    files = importlib.metadata.distribution(package).files or []
    legal = [Path(str(f.locate())) for f in files if "LICEN" in f.name.upper()]
    if not legal:
        pytest.skip(f"{package} was installed without its licence")
    assert of_text(legal[0].read_text("utf-8")) == known


def test_the_plan_goes_before_the_card_and_the_card_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text(MIT, "utf-8")
    found = of_source({"folder": "x"}, tmp_path)
    assert (found.hub, found.where) == ("mit", "the file LICENSE beside it")
    assert found.texts == (str(tmp_path / "LICENSE"),)
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n", "utf-8")
    found = of_source({"folder": "x"}, tmp_path)
    assert (found.hub, found.where) == ("cc-by-4.0", "its model card")
    assert found.others == ("mit according to the file LICENSE beside it",)
    found = of_source({"folder": "x", "license": "Ours 1.0"}, tmp_path)
    assert (found.hub, found.said, found.where) == ("other", "Ours 1.0", "the plan")


@pytest.mark.parametrize(
    "card", ["", "# None\n", "---\nlicense: unknown\n---\n", "---\n: [\n---\n", "---\n- a\n---\n"]
)
def test_what_says_nothing_is_unknown(card: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card, "utf-8")
    assert not of_source({"folder": "x"}, tmp_path).known
    assert "license" not in head(tmp_path / "README.md") or "unknown" in card


def test_a_package_says_it_in_its_metadata() -> None:
    found = of_source({"package": "safetensors"})
    assert (found.hub, found.where) == ("apache-2.0", "the metadata of its package")
    assert not of_source({"package": "no-such-package-here"}).known


def test_several_licences_give_none() -> None:
    def root(name: str, hub: str) -> dict[str, object]:
        licence = {"hub": hub, "said": hub, "where": "its model card"}
        return {"name": name, "root": True, "licence": licence}

    assert terms({"lineage": [root("a", "mit"), root("b", "mit")]})["hub"] == "mit"
    mixed = terms({"lineage": [root("a", "mit"), root("b", "gpl-3.0")]})
    assert mixed["hub"] == "unknown"
    assert "a mit, b gpl-3.0" in mixed["why"]
    unsaid = terms({"lineage": [root("a", "mit"), root("b", "unknown")]})
    assert "the source of b doesn't say one" in unsaid["why"]
    assert terms({"lineage": []}, "MIT")["hub"] == "mit"


def test_a_plan_states_it_beside_any_source(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n", "utf-8")
    assert locate_data({"file": "a.csv", "license": "mit"}, tmp_path).origin == {
        "file": "a.csv",
        "license": "mit",
    }
    assert "license" not in locate_data({"file": "a.csv"}, tmp_path).origin
