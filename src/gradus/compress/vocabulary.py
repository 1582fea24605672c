"""Trimming a vocabulary to the tokens that train's texts use.

An embedding table is often half of a small encoder, and a task's texts use a tenth of it. What is
kept: every token that train's texts are cut into, every special or added token, and every token of
a single character (with its continuation form, ``##a``), so that a word never seen is spelled in
shorter pieces where the tokenizer's own algorithm can; only what it can't spell becomes the
unknown token. Tokens of byte-level BPE keep the pieces that they are merged from.

That train's texts give the same tokens as before is checked, not assumed.

Legend: V tokens before, v after.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gradus.errors import CheckpointError
from gradus.predict.graph import TOKENIZER, read_tokenizer

# What models call the tables that have a row for every token.
_TABLES: Final = ("word_embeddings", "embed_tokens", "wte", "lm_head", "tok_embeddings")
_CONTINUATION: Final = "##"
_ALGORITHMS: Final = ("WordPiece", "WordLevel", "BPE", "Unigram")


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A tokenizer with fewer tokens.

    Attributes:
        tokenizer: content of its ``tokenizer.json``.
        kept: v old ids, ascending; the place of an id is its new id.
    """

    tokenizer: Mapping[str, Any]
    kept: Sequence[int]

    @property
    def new_ids(self) -> dict[int, int]:
        """New id by old id."""
        return {old: new for new, old in enumerate(self.kept)}


def trim(tokenizer: Mapping[str, Any], seen: Iterable[int]) -> Trimmed:
    """The tokenizer with what it needs of its vocabulary.

    Args:
        tokenizer: content of a ``tokenizer.json``.
        seen: ids that train's texts are cut into.

    Raises:
        CheckpointError: it works in a way that this doesn't know.
    """
    model = tokenizer["model"]
    kind = model.get("type")
    if kind not in _ALGORITHMS:
        raise CheckpointError(
            f"a tokenizer of type {kind} can't be trimmed, only {', '.join(_ALGORITHMS)}: "
            "leave 'vocabulary: trim' out"
        )
    ids = _ids(model)
    added = {entry["content"]: int(entry["id"]) for entry in tokenizer.get("added_tokens", ())}
    named = {number: name for name, number in {**ids, **added}.items()}
    wanted = {number for number in seen if number in named} | set(added.values())
    wanted |= {number for name, number in ids.items() if _is_short(name)}
    wanted |= {ids[name] for name in _named_by(model) if name in ids}
    if kind == "BPE":
        wanted = _with_parts(model, ids, named, wanted)
    kept = sorted(wanted)
    new = {old: place for place, old in enumerate(kept)}
    return Trimmed(_renumbered(tokenizer, new, {named[i] for i in kept}), kept)


def _ids(model: Mapping[str, Any]) -> dict[str, int]:
    if model["type"] == "Unigram":
        return {str(name): place for place, (name, _) in enumerate(model["vocab"])}
    return {str(name): int(number) for name, number in model["vocab"].items()}


def _is_short(name: str) -> bool:
    """A single character, after the mark of a continuation or of a word's beginning if any."""
    return len(name.removeprefix(_CONTINUATION).lstrip("\u2581\u0120")) <= 1


def _named_by(model: Mapping[str, Any]) -> list[str]:
    """Tokens that the algorithm itself falls back to."""
    names = [model["unk_token"]] if model.get("unk_token") else []
    if model["type"] == "Unigram" and model.get("unk_id") is not None:
        names.append(model["vocab"][int(model["unk_id"])][0])
    if model.get("byte_fallback"):
        names += [f"<0x{number:02X}>" for number in range(256)]
    return names


def _merges(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = []
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        pairs.append((left, right))
    return pairs


def _with_parts(
    model: Mapping[str, Any], ids: Mapping[str, int], named: Mapping[int, str], wanted: set[int]
) -> set[int]:
    """The tokens and all that they are merged from, down to single characters."""
    parts: dict[str, list[tuple[str, str]]] = {}
    for left, right in _merges(model):
        parts.setdefault(left + right, []).append((left, right))
    found, waiting = set(wanted), [named[number] for number in wanted]
    while waiting:
        for pair in parts.get(waiting.pop(), ()):
            for name in pair:
                if ids[name] not in found:
                    found.add(ids[name])
                    waiting.append(name)
    return found


def _renumbered(
    tokenizer: Mapping[str, Any], new: Mapping[int, int], names: set[str]
) -> dict[str, Any]:
    """The tokenizer's JSON with the kept tokens alone, under their new ids."""
    made: dict[str, Any] = json.loads(json.dumps(tokenizer))
    model = made["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [entry for i, entry in enumerate(model["vocab"]) if i in new]
        if model.get("unk_id") is not None:
            model["unk_id"] = new[int(model["unk_id"])]
    else:
        vocabulary = {name: new[i] for name, i in model["vocab"].items() if i in new}
        model["vocab"] = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    if model["type"] == "BPE":
        pairs = _merges(model)
        ways = zip(model["merges"], pairs, strict=True)
        model["merges"] = [m for m, (a, b) in ways if {a, b, a + b} <= names]
    for entry in made.get("added_tokens", ()):
        entry["id"] = new[int(entry["id"])]
    if isinstance(made.get("padding"), dict):
        made["padding"]["pad_id"] = new.get(int(made["padding"]["pad_id"]), 0)
    if isinstance(made.get("post_processor"), dict):
        _renumber_special(made["post_processor"], new)
    return made


def _renumber_special(processor: dict[str, Any], new: Mapping[int, int]) -> None:
    """Ids that a post-processor puts around texts."""
    for part in processor.get("processors", ()):
        _renumber_special(part, new)
    if isinstance(processor.get("special_tokens"), dict):
        for entry in processor["special_tokens"].values():
            entry["ids"] = [new[int(number)] for number in entry["ids"]]
    for name in ("cls", "sep"):
        if isinstance(processor.get(name), list):
            token, number = processor[name]
            processor[name] = [token, new[int(number)]]


def check_same(before: Path, after: Path, trimmed: Trimmed, texts: Sequence[str]) -> None:
    """See that train's texts are cut as they were.

    Raises:
        CheckpointError: one isn't; with that text's beginning.
    """
    old, made, new = read_tokenizer(before), read_tokenizer(after), trimmed.new_ids
    for tokenizer in (old, made):
        tokenizer.no_padding()
        tokenizer.no_truncation()
    coded = zip(old.encode_batch(list(texts)), made.encode_batch(list(texts)), strict=True)
    for text, (one, two) in zip(texts, coded, strict=True):
        if [new.get(number) for number in one.ids] != two.ids:
            raise CheckpointError(
                f"{before.parent}: trimmed, its tokenizer cuts '{text[:60]}' of train in another "
                "way: leave 'vocabulary: trim' out"
            )


def changed_share(before: Path, after: Path, trimmed: Trimmed, texts: Sequence[str]) -> float:
    """The share of texts that are cut in another way than before."""
    old, made, new = read_tokenizer(before), read_tokenizer(after), trimmed.new_ids
    coded = zip(old.encode_batch(list(texts)), made.encode_batch(list(texts)), strict=True)
    moved = sum([new.get(number) for number in one.ids] != two.ids for one, two in coded)
    return float(moved / max(len(texts), 1))


def write_trimmed(source: Path, folder: Path, texts: Sequence[str]) -> Trimmed:
    """A checkpoint's files, manifest left out, with the vocabulary that `texts` of train need.

    Args:
        source: a checkpoint of kind transformer, with ``tokenizer.json`` and safetensors.
        folder: an empty one.
        texts: all of train's, prepared as the checkpoint's training did.

    Raises:
        CheckpointError: the tokenizer can't be trimmed, or there is no embedding table to cut.
    """
    if not (source / TOKENIZER).is_file():
        raise CheckpointError(f"{source}: no {TOKENIZER}, so its vocabulary can't be trimmed")
    tokenizer = read_tokenizer(source / TOKENIZER)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    seen = {number for coded in tokenizer.encode_batch(list(texts)) for number in coded.ids}
    content = json.loads((source / TOKENIZER).read_text(encoding="utf-8"))
    trimmed = trim(content, seen)
    for path in source.iterdir():
        if path.is_file() and path.name not in (TOKENIZER, "gradus.json", "config.json"):
            shutil.copyfile(path, folder / path.name)
    (folder / TOKENIZER).write_text(
        json.dumps(trimmed.tokenizer, ensure_ascii=False), encoding="utf-8"
    )
    check_same(source / TOKENIZER, folder / TOKENIZER, trimmed, texts)
    _write_settings(source, folder, trimmed)
    _write_tables(folder, trimmed, int(_config(source)["vocab_size"]))
    return trimmed


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def _write_settings(source: Path, folder: Path, trimmed: Trimmed) -> None:
    """The model's and the tokenizer's settings with new ids."""
    new, config = trimmed.new_ids, _config(source)
    config["vocab_size"] = len(trimmed.kept)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"):
        if isinstance(config.get(name), int):
            config[name] = new.get(config[name])
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    path = folder / "tokenizer_config.json"
    if path.is_file():
        settings = json.loads(path.read_text(encoding="utf-8"))
        listed = settings.get("added_tokens_decoder", {})
        if listed:
            kept = {str(new[int(i)]): entry for i, entry in listed.items() if int(i) in new}
            settings["added_tokens_decoder"] = kept
            path.write_text(json.dumps(settings, indent=2), encoding="utf-8")


def _write_tables(folder: Path, trimmed: Trimmed, size: int) -> None:
    """Every table with a row a token, cut to the rows that are kept."""
    import torch
    from safetensors.torch import load_file, save_file

    rows, cut = torch.tensor(trimmed.kept), 0
    for path in sorted(folder.glob("*.safetensors")):
        tensors = load_file(path)
        for name, values in tensors.items():
            if values.ndim == 2 and len(values) == size and any(t in name for t in _TABLES):
                tensors[name], cut = values[rows].contiguous(), cut + 1
        save_file(tensors, path, metadata={"format": "pt"})
    if not cut:
        raise CheckpointError(f"{folder}: no embedding table with {size:,} rows to trim was found")
