"""Where a model stands on a scaling axis: its number of parameters, the examples it is shown.

Read from the files' heads alone; no weights are loaded.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from gradus.errors import CheckpointError, MissingExtra, UsageError
from gradus.records import CheckpointRef


def parameters(ref: CheckpointRef) -> int:
    """How many numbers the weights hold, tied ones once; of a prompt those of its model.

    Raises:
        UsageError: this kind of checkpoint doesn't say.
        CheckpointError: a file's head can't be read.
        MissingExtra: a GGUF file and no gguf package.
    """
    if ref.kind == "prompt":
        from gradus.predict.prompt import locate_model

        return parameters(locate_model(ref))
    if ref.file is not None:
        return _of_gguf(Path(ref.path) / ref.file)
    files = sorted(Path(ref.path).glob("*.safetensors"))
    if not files:
        raise UsageError(
            f"{ref.name}: a checkpoint of kind '{ref.kind}' doesn't say how many parameters it "
            "has: give the sizes, as in --scaling size=1e6,4e6,16e6"
        )
    return sum(_of_safetensors(file) for file in files)


def _of_safetensors(file: Path) -> int:
    """The head is JSON after its own length, eight bytes, little-endian."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            head = json.loads(stream.read(length))
        return sum(
            math.prod(entry["shape"]) for name, entry in head.items() if name != "__metadata__"
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file}: not readable as safetensors ({error})") from error


def _of_gguf(file: Path) -> int:
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise MissingExtra("gguf", "gguf", f"counting the parameters of {file}") from error
    try:
        return sum(int(tensor.n_elements) for tensor in GGUFReader(str(file)).tensors)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{file}: not readable as GGUF ({error})") from error


def shots(ref: CheckpointRef) -> int:
    """How many examples a prompt shows; 0 for language models that are given none.

    Raises:
        UsageError: the checkpoint is no prompt.
    """
    if ref.kind != "prompt":
        raise UsageError(
            f"{ref.name}: a checkpoint of kind '{ref.kind}' has no shots: give them, as in "
            "--scaling shots=0,1,2,4"
        )
    content = json.loads((Path(ref.path) / "prompt.json").read_text(encoding="utf-8"))
    return len(content["prompt"].get("examples", ()))
