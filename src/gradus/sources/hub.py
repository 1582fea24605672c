"""A repository on a Hugging Face hub, downloaded once and then read from its cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator

from gradus.errors import SourceError
from gradus.sources.base import Located, Purpose, Source, SourceConfig, check_inner, require
from gradus.sources.hub_client import client, failures, reason

_WEIGHT_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.gguf",
    "*.model",
    "*.jinja",
    "vocab.txt",
    "merges.txt",
    "README.md",  # says the licence, as do the next two; for model cards
    "LICENSE*",
    "NOTICE*",
)
_SUFFIXES = ("jsonl", "json", "csv", "tsv", "parquet", "arrow", "txt", "conll")
_DATA_FILES = (
    "README.md",  # its head says the configurations and splits of a repository of data
    *(f"*.{suffix}" for suffix in _SUFFIXES),
    *(f"*.{suffix}.{packed}" for suffix in _SUFFIXES for packed in ("gz", "bz2", "xz", "zst")),
)


class HubConfig(SourceConfig):
    """``{hub: ORG/NAME, revision: COMMIT, path: WITHIN}``.

    `revision` is a branch, tag or commit; only a commit pins the content. `path` is a file or
    folder within the repository. For data, the repository is one of the hub's data sets, of which
    `config` and `split` choose a part; they are read by the format ``datasets``.
    """

    hub: str
    revision: str | None = None
    path: Annotated[str, AfterValidator(check_inner)] | None = None
    config: str | None = None
    split: str | None = None


class Hub(Source):
    """A model or data set repository on a hub.

    No code of the repository is run and no pickle is downloaded. ``HF_HUB_OFFLINE=1`` keeps to
    what is in the cache; ``HF_ENDPOINT`` names another hub.
    """

    key: ClassVar[str] = "hub"
    summary: ClassVar[str] = "a repository on a Hugging Face hub, pinned by its revision"
    example: ClassVar[str] = "{hub: sentence-transformers/all-MiniLM-L6-v2, revision: main}"
    purposes: ClassVar[frozenset[str]] = frozenset({"data", "weights"})
    Config: ClassVar[type[SourceConfig]] = HubConfig

    def locate(self, config: Any, folder: Path, *, purpose: Purpose = "data") -> Located:
        """Download what is missing and give the folder in the hub's cache."""
        if purpose == "weights" and (config.config or config.split):
            raise SourceError(f"the hub's repository {config.hub}: weights have no config or split")
        snapshot = _snapshot(config, purpose)
        # The cache names the folder of a snapshot after its commit.
        chosen = {"config": config.config, "split": config.split}
        options = {key: value for key, value in chosen.items() if value is not None}
        origin = {"hub": config.hub, "revision": snapshot.name, **options}
        if config.path is None:
            return Located(snapshot, origin, options=options)
        where = f"in the hub's repository {config.hub}, the path"
        found = require(snapshot / config.path, where)
        return Located(found, {**origin, "path": config.path}, options=options)


def _snapshot(config: HubConfig, purpose: Purpose) -> Path:
    hub = client(f"the source {{hub: {config.hub}}}")
    try:
        found = hub.snapshot_download(
            config.hub,
            repo_type="dataset" if purpose == "data" else "model",
            revision=config.revision,
            allow_patterns=_patterns(config.path, purpose),
        )
    except failures(hub) as error:
        raise SourceError(
            f"the hub's repository {config.hub}"
            + (f" at revision {config.revision}" if config.revision else "")
            + f" can't be had: {reason(error)}. Check the name, the network and "
            "HF_HUB_OFFLINE, or download it elsewhere and write {folder: PATH}"
        ) from error
    return Path(found)


def _patterns(path: str | None, purpose: Purpose) -> list[str]:
    if purpose == "data":
        return [path, f"{path.rstrip('/')}/*"] if path else list(_DATA_FILES)
    return [f"{path.rstrip('/')}/{p}" for p in _WEIGHT_FILES] if path else list(_WEIGHT_FILES)
