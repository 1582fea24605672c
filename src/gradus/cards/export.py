"""Taking a checkpoint out of a run: a checked copy with its card and its licences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradus.cards.facts import facts
from gradus.cards.licence_names import of_text
from gradus.cards.licences import UNKNOWN, head
from gradus.cards.markdown import render
from gradus.cards.write import sealed, tells
from gradus.checkpoints import CARD, copy_checkpoint, is_companion, list_files
from gradus.checkpoints.manifest import MANIFEST
from gradus.errors import UsageError


def export(
    checkpoint: Path,
    folder: Path,
    *,
    run: Path | None = None,
    license: str | None = None,  # the word that plans and the Hub use
    name: str | None = None,
) -> dict[str, Any]:
    """Copy a checkpoint with a card and, where its sources have them, licence texts and notices.

    Args:
        checkpoint: a folder with a manifest.
        folder: new or empty.
        run: as `facts`.
        license: as `facts`.
        name: as `facts`.

    Returns:
        ``name``, ``folder``, ``digest``, ``bytes``, ``files`` (all that stand there now),
        ``licence``, ``closed`` (gates) and ``limits``; null where an exported folder's own card,
        which tells of a run that isn't at hand, was copied as it is.

    Raises:
        CheckpointError: a file is missing or was changed.
        UsageError: `folder` isn't empty; `run` is no run folder.
        StorageError: the disk is full or the folder can't be written; nothing is left behind.
    """
    known = facts(checkpoint, run=run, license=license, name=name)
    told = checkpoint / CARD if known["made"]["run"] is None and tells(checkpoint / CARD) else None
    if told is not None and (license, name) != (None, None):
        raise UsageError(
            f"{told} tells of a run that isn't at hand, so it can't be written anew: name the run "
            "with --run"
        )
    texts = {} if told is not None else _texts(known)
    known["licence"]["files"] = sorted(texts)

    def also(partial: Path) -> None:
        for target, content in texts.items():
            (partial / target).write_bytes(content)
        _companions(checkpoint, partial)
        if told is not None:
            (partial / CARD).write_bytes(told.read_bytes())
        else:
            card = sealed(render(known))
            (partial / CARD).write_text(card, encoding="utf-8", newline="")

    manifest = copy_checkpoint(checkpoint, folder, also=also)
    said = head(folder / CARD)
    return {
        "name": known["name"] if told is None else str(said["model-index"][0]["name"]),
        "folder": str(folder),
        "digest": manifest.digest,
        "bytes": manifest.size_bytes,
        "files": list(list_files(folder)),
        "licence": str(said.get("license", UNKNOWN)),
        "closed": _closed(known) if told is None else None,
        "limits": known["limits"] if told is None else None,
    }


def _closed(known: Mapping[str, Any]) -> list[str]:
    return [v["gate"] for v in known["verdicts"] if v["verdict"] == "closed"]


def _companions(checkpoint: Path, partial: Path) -> None:
    """Licence texts that joined the checkpoint before."""
    for path in sorted(checkpoint.iterdir()):
        there = (partial / path.name).exists() or path.name in (CARD, MANIFEST)
        if path.is_file() and is_companion(path.name) and not there:
            (partial / path.name).write_bytes(path.read_bytes())


def _texts(known: Mapping[str, Any]) -> dict[str, bytes]:
    """File name -> content of the licences and notices of every source; equal ones once."""
    roots = [one for one in known["lineage"] if one["root"] and one["licence"]["texts"]]
    single = len({one["digest"] for one in roots}) == 1
    hub = known["licence"]["hub"]
    found: dict[str, bytes] = {}
    for root in roots:
        for text in root["licence"]["texts"]:
            path = Path(text)
            if not path.is_file():
                continue
            content = path.read_bytes()
            kind = "NOTICE" if path.name.lower().startswith("notice") else "LICENSE"
            own = re.sub(r"[^A-Za-z0-9_.-]+", "-", root["name"])
            # A text of another licence than the card names must not pass for that one's.
            plainly = single and of_text(content.decode("utf-8", "replace")) in (None, hub)
            name = kind if plainly else f"{kind}-{own}"
            number = 1
            while name in found and found[name] != content:
                number += 1
                name = f"{kind}-{own}-{number}"
            found[name] = content
    taken = known["checkpoint"]["files"]
    return {name: content for name, content in found.items() if name not in taken}
