"""Configs, docstrings and signatures as Markdown, for docs/reference.py."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

_ROLE: Final = re.compile(r"``([^`]+)``")
_ENTRY: Final = re.compile(r"^ {4}(\w+): (.*)$")


def config_table(config: type[BaseModel]) -> str:
    """Key, type, default and meaning of every field, the meaning from the docstring."""
    said = attributes(config)
    rows = []
    for inside, field in config.model_fields.items():
        name = field.alias or inside
        if field.is_required():
            default = "required"
        else:
            value = field.get_default(call_default_factory=True)
            default = code(plainly(value))
        rows.append((f"`{name}`", code(annotation(field.annotation)), default, said.get(name, "")))
    return table(("key", "type", "default", "meaning"), rows) if rows else ""


def attributes(thing: Any) -> dict[str, str]:
    """The entries of the ``Attributes`` sections of a docstring and of those it inherits."""
    if isinstance(thing, type):
        bases = [_attributes(kind) for kind in reversed(thing.__mro__) if kind is not object]
        return {name: text for found in bases for name, text in found.items()}
    return _attributes(thing)


def _attributes(thing: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    current = ""
    inside = False
    for line in inspect.cleandoc(thing.__doc__ or "").splitlines():
        if re.match(r"^(Class a|A)ttributes:$", line):
            inside = True
        elif inside and line and not line.startswith(" "):
            break
        elif inside and (match := _ENTRY.match(line)):
            current = match[1]
            found[current] = match[2]
        elif inside and current and line.strip():
            found[current] += " " + line.strip()
    return {name: inline(text) for name, text in found.items()}


def prose(thing: Any) -> str:
    """A docstring without its sections."""
    return text_of(thing.__doc__)


def text_of(doc: str | None, *, skip_first: bool = False) -> str:
    """Paragraphs before the first section or example, as Markdown."""
    kept: list[str] = []
    for block in inspect.cleandoc(doc or "").split("\n\n"):
        if re.match(r"^(Class attributes|Attributes|Args|Returns|Raises|Yields|Example)s?:", block):
            break
        if block.endswith("::") or block.startswith((" ", ">>>")):
            break
        kept.append(inline(" ".join(block.split())))
    return "\n\n".join(kept[1:] if skip_first else kept)


def described(thing: Any) -> list[str]:
    """A docstring with its sections as lists."""
    parts = [prose(thing)]
    for section in ("Args", "Attributes", "Returns", "Raises"):
        match = re.search(
            rf"^{section}:\n((?:(?: {{4}}.*)?\n?)+)", inspect.cleandoc(thing.__doc__ or ""), re.M
        )
        if match:
            entries = re.sub(r"\n {8}", " ", match[1].rstrip())
            lines = [re.sub(r"^(\w+): ", r"`\1`: ", line.strip()) for line in entries.splitlines()]
            parts += [f"**{section}**", "\n".join(f"- {inline(line)}" for line in lines if line)]
    return parts


def annotation(kind: Any) -> str:
    """A type as a reader of YAML would write it."""
    if isinstance(kind, str):
        return kind
    if kind is None or kind is types.NoneType:
        return "null"
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return annotation(args[0])
    if origin is typing.Literal:
        return " | ".join(str(arg) for arg in args)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(annotation(arg) for arg in args)
    if origin in (list, tuple):
        return f"list of {' and '.join(dict.fromkeys(annotation(a) for a in args if a is not ...))}"
    if origin is not None and issubclass(origin, Mapping):
        return "mapping"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.__name__.removesuffix("Config").lower()
    return {"str": "text", "bool": "true | false", "int": "integer", "float": "number"}.get(
        getattr(kind, "__name__", ""), str(kind).replace("typing.", "")
    )


def plainly(value: Any) -> str:
    """A default as it would stand in YAML."""
    if value is None or value is PydanticUndefined:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, BaseModel):
        given = value.model_dump(mode="json", exclude_unset=True)
        return "{" + ", ".join(f"{k}: {plainly(v)}" for k, v in given.items()) + "}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {plainly(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(plainly(v) for v in value) + "]"
    return str(value).replace("\n", "\\n")


def signature(name: str, function: Callable[..., Any]) -> str:
    """A call as it is written, with types as in the source."""
    made = inspect.signature(function)
    short = [p for p in made.parameters.values() if p.name != "self"]
    lines = [f"    {p}," for p in map(_parameter, _starred(short))]
    return "\n".join([f"{name}(", *lines, f") -> {made.return_annotation}"])


def _starred(parameters: Iterable[inspect.Parameter]) -> Iterable[inspect.Parameter | None]:
    seen = False
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not seen:
            seen = True
            yield None
        yield parameter


def _parameter(parameter: inspect.Parameter | None) -> str:
    return "*" if parameter is None else str(parameter).replace("'", "")


def page(title: str, *parts: str) -> str:
    """A whole page; empty parts are left out."""
    return "\n\n".join([f"# {title}", *(part.strip("\n") for part in parts if part.strip())]) + "\n"


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *([cell(c) for c in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(text: str) -> str:
    """Text that may stand in a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def code(text: str) -> str:
    """Text in backticks."""
    return f"`{text}`"


def fenced(text: str, language: str = "text") -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def inline(text: str) -> str:
    """reStructuredText's double backticks as Markdown's single ones."""
    return _ROLE.sub(r"`\1`", text)
