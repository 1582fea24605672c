"""From a place to a checkpoint reference: what kind of weights stand there, and their digest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gradus.checkpoints.manifest import is_checkpoint, open_checkpoint
from gradus.errors import SourceError
from gradus.records import CheckpointRef
from gradus.sources.base import Located, hidden, listing, nearby
from gradus.sources.digests import digest_files

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_HASHED = (
    "*.safetensors",
    "*.json",
    "*.model",
    "*.jinja",
    "vocab.txt",
    "merges.txt",
    "*/config.json",
)
_GGUF_MAGIC = b"GGUF"


def describe_weights(name: str, located: Located) -> CheckpointRef:
    """The reference to the weights at a place, under the name that the plan gives them.

    Raises:
        SourceError: there are no weights, several, or only a pickle.
        CheckpointError: the manifest of a Gradus checkpoint can't be read.
    """
    place = _find(located)
    if place.is_file():
        return _gguf(name, place, located)
    if is_checkpoint(place):
        return open_checkpoint(place, name=name, origin=located.origin)
    files = sorted({p.relative_to(place).as_posix() for g in _HASHED for p in place.glob(g)})
    return CheckpointRef(
        name=name,
        kind="transformer",
        path=str(place),
        digest=digest_files(place, files),
        origin=located.origin,
        labels=_labels(place / "config.json"),
    )


def _gguf(name: str, file: Path, located: Located) -> CheckpointRef:
    with file.open("rb") as stream:
        magic = stream.read(len(_GGUF_MAGIC))
    if magic != _GGUF_MAGIC:
        raise SourceError(
            f"{file} is not a GGUF file: it begins with {magic!r} instead of {_GGUF_MAGIC!r}; "
            "download it again"
        )
    return CheckpointRef(
        name=name,
        kind="gguf",
        path=str(file.parent),
        file=file.name,
        digest=digest_files(file.parent, [file.name]),
        origin=located.origin,
    )


def _find(located: Located) -> Path:
    """The folder or GGUF file that the weights are in."""
    path = located.path
    if path.is_file():
        if path.suffix != ".gguf":
            raise SourceError(
                f"{path} is a single file that isn't GGUF: name the folder that holds config.json "
                "and the safetensors"
            )
        return path
    if not located.search:
        found = _at(path)
        if found is None:
            raise SourceError(_nothing(path))
        return found
    candidates = [found for top in located.search for found in _below(top)]
    if not candidates:
        raise SourceError(_nothing(path))
    if len(candidates) > 1:
        inner = listing(_relative(found, located.search) for found in candidates)
        raise SourceError(
            f"{path} holds {len(candidates)} sets of weights, {inner}: add 'path' to name one"
        )
    return candidates[0]


def _relative(path: Path, tops: tuple[Path, ...]) -> str:
    top = next(t for t in tops if path.is_relative_to(t))
    return path.relative_to(top).as_posix()


def _at(folder: Path) -> Path | None:
    """The weights that stand in the folder itself: the folder, its one GGUF file, or None."""
    if is_checkpoint(folder) or _has_safetensors(folder):
        return folder
    files = sorted(folder.glob("*.gguf"))
    if len(files) > 1:
        raise SourceError(
            f"{folder} holds {len(files)} GGUF files, {listing(f.name for f in files)}: name one "
            "with {gguf: PATH}"
        )
    return files[0] if files else None


def _has_safetensors(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def _below(top: Path) -> list[Path]:
    """Every set of weights in a package; a checkpoint's own folders aren't searched further."""
    if is_checkpoint(top) or _has_safetensors(top):
        return [top]
    found = sorted(top.glob("*.gguf"))
    for child in sorted(top.iterdir()):
        if child.is_dir() and not hidden(child.name):
            found += _below(child)
    return found


def _nothing(folder: Path) -> str:
    pickles = sorted({p.name for pattern in _PICKLES for p in folder.rglob(pattern)})
    if pickles:
        return (
            f"{folder} holds only {listing(pickles)}, a pickle, and a pickle can run any code when "
            "it is read: convert the weights to safetensors "
            "(model.save_pretrained writes them) and name that folder"
        )
    looked = f"{folder} holds no weights: looked for config.json with *.safetensors, a .gguf file"
    inner = [p for p in _below(folder) if p != folder]
    if inner:
        places = listing(p.relative_to(folder).as_posix() for p in inner)
        return f"{looked}, and found {places} further inside: name that path"
    return f"{looked} and gradus.json; {nearby('config.json', folder)}"


def _labels(config: Path) -> tuple[str, ...]:
    """The labels of a Hugging Face classifier; none for other models and for nameless labels."""
    try:
        raw: Any = json.loads(config.read_bytes())
        architectures = raw.get("architectures") or [""]
        if not architectures[0].endswith("ForSequenceClassification"):
            return ()
        names = [raw["id2label"][str(i)] for i in range(len(raw.get("id2label", {})))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{config}: not a readable model config ({error})") from error
    return () if any(name.startswith("LABEL_") for name in names) else tuple(names)
