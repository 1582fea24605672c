"""Checkpoints: atomic save, manifest, hashes, lineage."""

from gradus.checkpoints.copy import copy_checkpoint
from gradus.checkpoints.hashing import (
    canonical_json,
    hash_file,
    hash_folder,
    hash_json,
    list_files,
)
from gradus.checkpoints.lineage import lineage_of
from gradus.checkpoints.manifest import (
    CARD,
    MANIFEST,
    Ancestor,
    FileEntry,
    Manifest,
    find_manifest,
    is_checkpoint,
    is_companion,
    open_checkpoint,
    read_manifest,
    verify,
)
from gradus.checkpoints.save import save_checkpoint
from gradus.checkpoints.seen import seen_items, share_seen

__all__ = [
    "CARD",
    "MANIFEST",
    "Ancestor",
    "FileEntry",
    "Manifest",
    "canonical_json",
    "copy_checkpoint",
    "find_manifest",
    "hash_file",
    "hash_folder",
    "hash_json",
    "is_checkpoint",
    "is_companion",
    "lineage_of",
    "list_files",
    "open_checkpoint",
    "read_manifest",
    "save_checkpoint",
    "seen_items",
    "share_seen",
    "verify",
]
