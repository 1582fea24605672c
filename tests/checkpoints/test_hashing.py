from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.checkpoints import canonical_json, hash_file, hash_folder, hash_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_key_order_does_not_matter_and_nothing_is_lost(value: dict[str, object]) -> None:
    turned = dict(reversed(value.items()))
    assert hash_json(turned) == hash_json(value)
    assert json.loads(canonical_json(value)) == value


@given(VALUES, VALUES)
def test_different_values_have_different_texts(one: object, other: object) -> None:
    assert (canonical_json(one) == canonical_json(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


def test_nan_has_no_digest() -> None:
    with pytest.raises(ValueError):
        hash_json({"loss": float("nan")})


@given(st.binary(max_size=1000))
def test_hash_file_is_sha256(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        assert hash_file(path) == hashlib.sha256(content).hexdigest()


def test_hash_folder_sees_names_and_contents_but_no_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("one")
    first = hash_folder(tmp_path)
    (tmp_path / ".cache").write_text("left by a file manager")
    assert hash_folder(tmp_path) == first
    (tmp_path / "a" / "b.txt").rename(tmp_path / "a" / "c.txt")
    renamed = hash_folder(tmp_path)
    (tmp_path / "a" / "c.txt").write_text("two")
    assert len({first, renamed, hash_folder(tmp_path)}) == 3
