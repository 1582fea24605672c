"""An export that doesn't hold what it should is refused, and the refusal names the file."""

from pathlib import Path

import pytest

from gradus.checkpoints import open_checkpoint, save_checkpoint
from gradus.errors import CheckpointError
from gradus.predict import load
from gradus.predict.onnx import GRAPH


def exported(folder: Path, graph: bytes) -> Path:
    """A checkpoint of kind onnx whose graph has these bytes."""

    def write(place: Path) -> None:
        (place / GRAPH).write_bytes(graph)
        (place / "tokenizer.json").write_text("{}", encoding="utf-8")

    save_checkpoint(
        folder,
        kind="onnx",
        labels=("a", "b"),
        preprocessing={"max_tokens": 8},
        parents=(),
        facts={},
        write=write,
    )
    return folder


@pytest.mark.parametrize("graph", [b"", b"no protocol buffer", bytes(range(256)) * 8])
def test_a_graph_that_is_none_is_refused(graph: bytes, tmp_path: Path) -> None:
    place = exported(tmp_path / "small", graph)
    with pytest.raises(CheckpointError, match=GRAPH.replace(".", r"\.")):
        load(open_checkpoint(place))


def test_bytes_that_changed_on_disk_are_refused(tmp_path: Path) -> None:
    place = exported(tmp_path / "small", b"whatever it held")
    (place / GRAPH).write_bytes(b"whatever it holds")
    with pytest.raises(CheckpointError, match=GRAPH.replace(".", r"\.")):
        load(open_checkpoint(place))


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    place = exported(tmp_path / "small", b"whatever it held")
    (place / GRAPH).unlink()
    with pytest.raises(CheckpointError, match=GRAPH.replace(".", r"\.")):
        load(open_checkpoint(place))
