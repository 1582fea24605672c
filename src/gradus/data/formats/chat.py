"""Conversations with a language model: messages, alpaca and sharegpt records."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from gradus.data.conversations import ROLES, Conversation, Reply, Turn
from gradus.data.formats.base import Format, FormatConfig, RawRecord, Tally
from gradus.data.formats.files import plain_suffix
from gradus.data.formats.json_records import Json
from gradus.data.formats.jsonl import Jsonl
from gradus.data.values import Where, as_text, json_kind
from gradus.errors import DataError, unknown
from gradus.records import Target

# What the speakers are called in records in use, beside the roles themselves.
_SPEAKERS: Final = {
    **{role: role for role in ROLES},
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
Read = tuple[list[Turn], tuple[str, ...]]
"""The turns of a record, and the fields that they were made of."""
_OWN: Final = ("text", "reply", "prompt", "response", "output", "completion", "answer")


class ChatConfig(FormatConfig):
    """What the records look like.

    Attributes:
        shape: ``messages`` (a list ``messages`` of ``role`` and ``content``), ``alpaca``
            (``instruction``, ``input``, ``output``) or ``sharegpt`` (a list ``conversations`` of
            ``from`` and ``value``); ``auto`` goes by the fields of each record.
    """

    shape: Literal["auto", "messages", "alpaca", "sharegpt"] = "auto"


class Chat(Format):
    """JSON lines or a JSON document of conversations, each of which ends with a reply.

    What is said before the last reply is the text, the last reply is what it is labelled with. In
    training every reply of the assistant counts.
    """

    name: ClassVar[str] = "chat"
    summary: ClassVar[str] = "conversations with a reply: messages, alpaca or sharegpt records"
    example: ClassVar[str] = "{source: {file: instructions.jsonl}, format: chat}"
    implies: ClassVar[Target | None] = "reply"
    fixed: ClassVar[bool] = True
    Config: ClassVar[type[FormatConfig]] = ChatConfig
    options: ChatConfig

    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """One record a conversation, with the fields ``text`` and ``reply`` and those beside."""
        inner: Format = Json() if plain_suffix(path) == ".json" else Jsonl()
        for record in inner.records(path, encodings=encodings, tally=tally):
            fields, sheet, line = record
            shape = self._shape(fields, Where(sheet.file, line, None))
            turns, used = _READERS[shape](fields, sheet.file, line)
            text, reply = _parted(turns, Where(sheet.file, line, used[0]))
            beside = {
                name: value
                for name, value in fields.items()
                if name not in used and name.strip().lower() not in _OWN
            }
            yield RawRecord({**beside, "text": text, "reply": reply}, sheet, line)

    def _shape(self, fields: Mapping[str, Any], where: Where) -> str:
        if self.options.shape != "auto":
            return self.options.shape
        for name, shape in _FOUND_BY.items():
            if name in fields:
                return shape
        raise where.error(
            "no conversation: a record needs 'messages', 'conversations', or 'instruction' and "
            f"'output'; it has {', '.join(fields) or 'no fields'}"
        )


def _messages(fields: Mapping[str, Any], file: Path, line: int) -> Read:
    return _listed(fields, "messages", "role", "content", file, line), ("messages",)


def _sharegpt(fields: Mapping[str, Any], file: Path, line: int) -> Read:
    turns = _listed(fields, "conversations", "from", "value", file, line)
    if isinstance(fields.get("system"), str) and fields["system"].strip():
        turns = [("system", fields["system"]), *turns]
    return turns, ("conversations", "system")


def _alpaca(fields: Mapping[str, Any], file: Path, line: int) -> Read:
    """Instruction and input are one question, a blank line between (Taori et al. 2023)."""
    for name in ("instruction", "output"):
        if name not in fields:
            raise DataError("is missing in an alpaca record", file=file, line=line, field=name)
    asked = as_text(fields["instruction"], Where(file, line, "instruction"))
    given = fields.get("input")
    if given is not None:
        more = as_text(given, Where(file, line, "input"), allow_empty=True)
        asked = f"{asked}\n\n{more}" if more.strip() else asked
    output = as_text(fields["output"], Where(file, line, "output"))
    return [("user", asked), ("assistant", output)], ("instruction", "input", "output")


_READERS: Final = {"messages": _messages, "alpaca": _alpaca, "sharegpt": _sharegpt}
_FOUND_BY: Final = {"messages": "messages", "conversations": "sharegpt", "instruction": "alpaca"}


def _listed(
    fields: Mapping[str, Any], name: str, role_key: str, said_key: str, file: Path, line: int
) -> list[Turn]:
    listed = fields.get(name)
    where = Where(file, line, name)
    if not isinstance(listed, list) or not listed:
        what = "is missing" if name not in fields else f"is {json_kind(listed)}"
        raise where.error(f"must be a list of turns with {role_key} and {said_key}, {what}")
    turns = []
    for number, item in enumerate(listed):
        at = Where(file, line, f"{name}[{number}]")
        if not isinstance(item, Mapping) or role_key not in item or said_key not in item:
            raise at.error(f"must be an object with {role_key} and {said_key}")
        speaker = str(item[role_key]).strip().lower()
        if speaker not in _SPEAKERS:
            raise at.error(unknown(role_key, speaker, _SPEAKERS))
        turns.append((_SPEAKERS[speaker], as_text(item[said_key], at)))
    return turns


def _parted(turns: Sequence[Turn], where: Where) -> tuple[str, Reply]:
    """What comes before the last reply, and that reply."""
    role, reply = turns[-1]
    if role != "assistant":
        raise where.error(
            f"must end with a reply of the assistant, ends with a turn of the {role}: drop it"
        )
    before = tuple(turns[:-1])
    if not any(speaker == "user" for speaker, _ in before):
        raise where.error("holds a reply and nothing that it replies to")
    for number, ((one, _), (two, _)) in enumerate(itertools.pairwise(turns), start=2):
        if one == two == "assistant":
            raise where.error(f"holds two replies in a row, at turn {number}")
        if two == "system":
            raise where.error(f"holds a system turn that isn't the first, at turn {number}")
    if len(before) == 1:
        return before[0][1], Reply(reply)
    return Conversation(before), Reply(reply)
