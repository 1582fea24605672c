"""From a plan's entry to a corpus with its splits, built once and opened again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from gradus import registry
from gradus.checkpoints.hashing import hash_file, hash_json
from gradus.data.corpora.building import Builder
from gradus.data.corpora.config import CorpusConfig
from gradus.data.corpora.documents import Documents
from gradus.data.corpora.near import near_kept
from gradus.data.corpora.once import make_once
from gradus.data.corpora.reading import Origin, Progress, locate
from gradus.data.dataset import SPLITS
from gradus.data.splits import digest_split
from gradus.errors import DataError

MANIFEST: Final = "corpus.json"
_VERSION: Final = 1
_STRAYS: Final = 10  # files named in the facts
_NAMED: Final = 100  # domains, or languages, listed in them


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus with its splits (keys of `SPLITS`; test may be absent).

    Attributes:
        name: as the plan calls it.
        digest: SHA-256 over ids, domains, languages and splits of all documents.
        splits: documents by split.
        split_digests: SHA-256 over the ids of each split; the ledger's key.
        facts: JSON: source, files, what each filter did (``cleaning``), how it was split, and by
            split the documents and bytes, in all and by domain and language.
        place: the folder that holds it.
    """

    name: str
    digest: str
    splits: Mapping[str, Documents]
    split_digests: Mapping[str, str]
    facts: Mapping[str, Any]
    place: Path

    def for_training(self) -> Corpus:
        """The part that steps may see: train and dev.select."""
        seen = ("train", "dev.select")
        return replace(
            self,
            splits={name: self.splits[name] for name in seen if name in self.splits},
            split_digests={n: self.split_digests[n] for n in seen if n in self.split_digests},
        )


def load_corpus(
    name: str,
    config: CorpusConfig | Mapping[str, Any],
    *,
    folder: Path,
    seed: int,
    place: Path,
    progress: Progress | None = None,
) -> Corpus:
    """Build a corpus, or open it where it has been built from the same files in the same way.

    It stands in ``place/NAME/KEY``, the key being a hash of config, seed and files. Memory is
    constant: the largest document, or some 8 MB; finding near-duplicates takes 256 bytes a
    document more. The same content gives the same splits, whatever its order.

    Args:
        name: as the plan calls it.
        config: the plan's entry.
        folder: what relative paths are relative to.
        seed: the plan's seed, which the splits depend on.
        place: the folder for corpora.
        progress: called now and then with work done, work in all and what is under way.

    Raises:
        SourceError: a source isn't there.
        DataError: a file is broken, a split has no documents, or a built corpus is damaged.
        StorageError: the disk is full, or the place can't be written.
    """
    if not isinstance(config, CorpusConfig):
        config = _validate(name, config)
    origins = locate(config, folder)
    files = [[origin.given, *entry] for origin in origins for entry in origin.hashes()]
    key = hash_json([_VERSION, config.model_dump(mode="json"), seed, files])[:16]
    target = place / name / key

    def write(partial: Path) -> None:
        _build(name, config, origins, seed, partial, progress)

    make_once(target, MANIFEST, write)
    return open_corpus(target)


def open_corpus(place: Path) -> Corpus:
    """A corpus that has been built; every file is checked against its hash.

    Raises:
        DataError: there is none, or a file of it is missing or damaged.
    """
    try:
        manifest = json.loads((place / MANIFEST).read_bytes())
        if manifest["version"] != _VERSION:
            raise DataError(
                f"is of version {manifest['version']}, this Gradus reads {_VERSION}: delete the "
                "folder, and it is built anew",
                file=place / MANIFEST,
            )
        for split, hashes in manifest["files"].items():
            for file, expected in hashes.items():
                if hash_file(place / split / file) != expected:
                    raise DataError(
                        "differs from what was written: delete the corpus's folder, and it is "
                        "built anew",
                        file=place / split / file,
                    )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"holds no whole corpus ({error})", file=place) from error
    return Corpus(
        name=manifest["name"],
        digest=manifest["digest"],
        splits={split: Documents(place / split) for split in SPLITS if split in manifest["files"]},
        split_digests=manifest["split_digests"],
        facts=manifest["facts"],
        place=place,
    )


def _build(
    name: str,
    config: CorpusConfig,
    origins: Sequence[Origin],
    seed: int,
    folder: Path,
    progress: Progress | None,
) -> None:
    """Write a corpus into an empty folder."""
    builder = Builder(config, seed, folder, progress)
    hashes = builder.write(builder.read(origins))
    splits = {split: Documents(folder / split) for split in SPLITS}
    counts = {key: count.facts() for key, count in builder.cleaner.counts.items()}
    if config.clean.exact_duplicates == "drop":
        counts["exact_duplicates"] = builder.exact.facts()
    if config.clean.near_duplicates is not None:
        kept, near = near_kept(splits, config.clean.near_duplicates)
        counts["near_duplicates"] = near.facts()
        if near.dropped:
            hashes = builder.rewrite(kept)
            splits = {split: Documents(folder / split) for split in SPLITS}
    _check_sizes(name, config, splits, builder.tally.rows, counts)
    for split in [split for split in SPLITS if not len(splits[split])]:
        del splits[split], hashes[split]
        shutil.rmtree(folder / split)
    digests = {split: documents.digest for split, documents in splits.items()}
    digest = _digest(splits, digests)
    manifest = {
        "version": _VERSION,
        "name": name,
        "digest": digest,
        "split_digests": digests,
        "files": hashes,
        "facts": {
            **_describe(config, origins, builder, seed),
            "cleaning": counts,
            "splits": {split: _split_facts(docs) for split, docs in splits.items()},
            "digest": digest,
            "split_digests": digests,
        },
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _validate(name: str, raw: Mapping[str, Any]) -> CorpusConfig:
    try:
        return CorpusConfig.model_validate(raw)
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc'])) or 'corpora'}: "
            + fault["msg"].removeprefix("Value error, ")
            for fault in error.errors()
        )
        raise DataError(f"{name}: {'; '.join(faults)}") from error


def _check_sizes(
    name: str,
    config: CorpusConfig,
    splits: Mapping[str, Documents],
    read: int,
    counts: Mapping[str, Mapping[str, Any]],
) -> None:
    needed = ["train", "dev.select", "dev.gate"]
    if config.shares().get("test", 0.0) > 0:
        needed.append("test")
    left = sum(map(len, splits.values()))
    dropped = [f"{key} {count['dropped']:,}" for key, count in counts.items() if count["dropped"]]
    for split in needed:
        if not len(splits[split]):
            raise DataError(
                f"{name}: no document falls into {split}, there are {left:,} of {read:,} left"
                + (f" (dropped: {', '.join(dropped)})" if dropped else "")
                + ": give more documents or a larger share, or loosen 'clean'"
            )


def _digest(splits: Mapping[str, Documents], digests: Mapping[str, str]) -> str:
    """Over what each split holds: ids in order, and the names of domains and languages."""
    parts = []
    for split, documents in splits.items():
        state = hashlib.sha256(digests[split].encode())
        for column, names in enumerate((documents.domains, documents.languages)):
            # By the names' own order: codes are numbered as documents were read.
            order = sorted(range(len(names)), key=names.__getitem__)
            rank = np.full(len(names) + 1, -1, "<i4")
            rank[order] = np.arange(len(names))
            ranks = rank[documents.codes[:, column]]
            codes = np.unique(documents.codes[:, column]).tolist()
            used = sorted(names[code] for code in codes if code >= 0)
            state.update(json.dumps(used).encode() + np.ascontiguousarray(ranks).tobytes())
        parts.append(state.hexdigest())
    return digest_split(list(splits), parts)


def _describe(
    config: CorpusConfig, origins: Sequence[Origin], builder: Builder, seed: int
) -> dict[str, Any]:
    tally = builder.tally
    facts: dict[str, Any] = {
        "source": [dict(origin.located.origin) for origin in origins],
        "format": registry.plain(origins[0].format.name),
        "files": tally.files,
        "encodings": dict(tally.encodings),
        "documents_read": tally.rows,
        "split": {
            "by": "content" if config.columns.group is None else "group",
            "shares": config.shares(),
            "given": [origin.given for origin in origins if origin.given],
            "seed": seed,
        },
        "language": "told by script and small words"
        if config.columns.language is None
        else "given",
    }
    if tally.strays:
        facts["strays"] = [Path(path).name for path in tally.strays[:_STRAYS]]
    if builder.crossing:
        facts["elsewhere"] = builder.crossing
    if builder.limited:
        facts["limited"] = builder.limited
    return {**facts, **tally.facts}


def _split_facts(documents: Documents) -> dict[str, Any]:
    """Documents and bytes of a split, in all and by domain and language, the largest first."""
    lengths = documents.lengths()
    facts: dict[str, Any] = {"documents": len(documents), "bytes": documents.bytes}
    for column, (key, names) in enumerate(
        (("domains", documents.domains), ("languages", documents.languages))
    ):
        codes = documents.codes[:, column]
        has = codes >= 0
        counts = np.bincount(codes[has], minlength=len(names)).tolist()
        sizes = np.bincount(codes[has], lengths[has], minlength=len(names)).astype(int).tolist()
        order = sorted(range(len(names)), key=lambda code: (-counts[code], names[code]))
        there = [code for code in order if counts[code]]
        if there:
            facts[key] = {
                names[code]: {"documents": counts[code], "bytes": sizes[code]}
                for code in there[:_NAMED]
            }
        if len(there) > _NAMED:
            facts[f"{key}_left_off"] = len(there) - _NAMED
    return facts
