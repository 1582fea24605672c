from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradus.checkpoints import Manifest, open_checkpoint, read_manifest, verify
from gradus.errors import CheckpointError

FILES = {"model.bin": bytes(range(256)) * 40, "sub/tokens.json": b'{"a": 1}'}


def test_what_was_saved_is_read_back(save, tmp_path: Path) -> None:
    ref = save("tuned", FILES, facts={"epochs": 3})
    manifest = verify(tmp_path / "tuned")
    assert (manifest.kind, manifest.labels, manifest.facts) == (
        "linear",
        ("no", "yes"),
        {"epochs": 3},
    )
    assert {name: entry.bytes for name, entry in manifest.files.items()} == {
        name: len(content) for name, content in FILES.items()
    }
    assert manifest.size_bytes == sum(map(len, FILES.values()))
    assert open_checkpoint(tmp_path / "tuned", name="tuned") == ref
    assert Manifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest


@pytest.mark.parametrize(
    ("change", "equal"),
    [
        ({"facts": {"seconds": 3.5}}, True),
        ({"origin": {"step": "other"}}, True),
        ({"labels": ["yes", "no"]}, False),
        ({"kind": "onnx"}, False),
        ({"preprocessing": {"lowercase": False}}, False),
        ({"files": {**FILES, "sub/tokens.json": b'{"a": 2}'}}, False),
        ({"files": {"model.bin": FILES["model.bin"], "tokens.json": b'{"a": 1}'}}, False),
    ],
)
def test_digest_is_content_alone(save, change, equal) -> None:
    first = save("one", FILES)
    second = save("two", **{"files": FILES, **change})
    assert (first.digest == second.digest) is equal


@pytest.mark.parametrize("position", [0, 5_000, len(FILES["model.bin"]) - 1])
@pytest.mark.parametrize("bit", [0, 7])
def test_one_flipped_bit_is_named(save, tmp_path: Path, position: int, bit: int) -> None:
    save("tuned", FILES)
    path = tmp_path / "tuned" / "model.bin"
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.bin: the content differs") as caught:
        verify(tmp_path / "tuned")
    assert "tokens.json" not in str(caught.value)


def test_every_fault_is_named_at_once(save, tmp_path: Path) -> None:
    save("tuned", {**FILES, "gone.txt": b"x"})
    folder = tmp_path / "tuned"
    (folder / "gone.txt").unlink()
    with (folder / "model.bin").open("ab") as stream:
        stream.write(b"!")
    (folder / "pytorch_model.bin").write_bytes(b"slipped in")
    (folder / ".DS_Store").write_bytes(b"a file manager's")
    with pytest.raises(CheckpointError) as caught:
        verify(folder)
    message = str(caught.value)
    assert "gone.txt: missing" in message
    assert "model.bin: 10,241 bytes instead of 10,240" in message
    assert "pytorch_model.bin: not in the manifest" in message
    assert "DS_Store" not in message


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda m: {**m, "format_version": 2}, "format version 2 is unknown"),
        (lambda m: {**m, "labels": ["yes", "no"]}, "changed after it was written"),
        (lambda m: {k: v for k, v in m.items() if k != "files"}, "missing, unknown or wrong"),
        (lambda m: {**m, "surprise": 1}, "surprise"),
        (lambda m: {**m, "files": {"../../x": m["files"]["weights.bin"]}}, "leads out"),
        (lambda m: [m], "not a manifest"),
        (lambda m: {"format_version": 1, "files": []}, "missing, unknown or wrong"),
    ],
)
def test_edited_manifest_is_refused(save, tmp_path: Path, edit, says: str) -> None:
    save("tuned")
    path = tmp_path / "tuned" / "gradus.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(CheckpointError, match=says):
        read_manifest(tmp_path / "tuned")


def test_cut_manifest_is_refused(save, tmp_path: Path) -> None:
    save("tuned")
    path = tmp_path / "tuned" / "gradus.json"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match="not valid JSON"):
        read_manifest(tmp_path / "tuned")


def test_folders_that_are_no_checkpoint_say_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint folder"):
        open_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"no gradus\.json"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="weights of a source, not a classifier"):
        open_checkpoint(tmp_path)
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"GGUF")
    with pytest.raises(CheckpointError, match="weights of a source, not a classifier"):
        open_checkpoint(gguf)
