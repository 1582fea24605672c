"""A plan file as a plain tree that remembers on which line each part stands.

YAML 1.1 reads ``1e-3`` as text, ``on`` and ``no`` as booleans, ``12:30`` as a number and ``010`` as
eight. The scalars here are those of YAML 1.2's core schema instead: what looks like a number is
one, and only ``true`` and ``false`` are booleans. Keys are always text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

import yaml

from gradus.plan.faults import Faults, Mark, Tree, TreePath

FLOAT: Final = re.compile(
    r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
    r"|\.(?:nan|NaN|NAN)",
)
INT: Final = re.compile(r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+")
_MOST_NODES: Final = 100_000
_TAG: Final = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Composes nodes; their values are made here, not by the loader's constructors."""

    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML declares it so


def _implicit(tag: str, pattern: str, first: list[str]) -> None:
    # `first` holds the characters that such a scalar may begin with.
    _Loader.add_implicit_resolver(_TAG + tag, re.compile(rf"(?:{pattern})\Z"), first)


_implicit("null", "|~|null|Null|NULL", ["", *"~nN"])
_implicit("bool", "true|True|TRUE|false|False|FALSE", [*"tTfF"])
_implicit("int", INT.pattern, [*"-+0123456789"])
_implicit("float", FLOAT.pattern, [*"-+0123456789."])
_implicit("merge", "<<", ["<"])


def read(text: str, faults: Faults) -> Tree:
    """The tree of a plan's text; what can't be read becomes faults.

    Anchors, aliases and ``<<`` merges work; a duplicate key, a tag and a number that isn't finite
    are faults.
    """
    # The loader's constructor reads already, and meets characters that YAML doesn't allow.
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.add_line(mark.line + 1 if mark else 0, f"not valid YAML: {error.problem}")
        return Tree()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        faults.add_line(line, f"not valid YAML: the character {error.character!r} isn't allowed")
        return Tree()
    except (ValueError, OverflowError):
        # PyYAML hands the number of an escape such as "\UFFFFFFFF" to chr unchecked.
        faults.add_line(0, "not valid YAML: an escape names a character that doesn't exist")
        return Tree()
    except RecursionError:
        faults.add_line(0, "not valid YAML: nested too deeply")
        return Tree()
    if node is None:
        faults.add_line(0, "the plan is empty")
        return Tree()
    builder = _Builder(faults)
    faults.tree = builder.tree
    value = builder.build(node, ())
    return _rooted(value, builder.tree, faults)


def from_mapping(raw: Mapping[str, Any], faults: Faults) -> Tree:
    """The tree of a plan that was made in Python; it has no lines."""
    faults.tree = Tree(marks={(): Mark(0)})
    value = _plain(raw, (), faults)
    return _rooted(value, faults.tree, faults)


def read_value(text: str) -> Any:
    """The value of a piece of YAML on one line, as ``--set`` has it.

    Raises:
        ValueError: it isn't YAML; the message says why.
    """
    faults = Faults()
    tree = read(f"value: {text}", faults)
    if faults:
        raise ValueError(faults.sorted()[0].message)
    if set(tree.value) != {"value"}:
        raise ValueError("not one value")
    return tree.value["value"]


def _rooted(value: Any, tree: Tree, faults: Faults) -> Tree:
    if not isinstance(value, dict):
        if not faults:
            faults.add_line(
                tree.marks[()].line, "a plan is a mapping with the keys name, data, models, steps"
            )
        value = {}
    tree.value = value
    return tree


@dataclass
class _Builder:
    """Turns YAML nodes into a tree."""

    faults: Faults
    tree: Tree = field(default_factory=lambda: Tree(marks={}))
    nodes: int = 0
    ancestors: set[int] = field(default_factory=set)

    def build(self, node: yaml.Node, path: TreePath) -> Any:
        """The value of `node`, which stands at `path`."""
        self.tree.marks.setdefault(path, Mark(node.start_mark.line + 1))
        self.nodes += 1
        if id(node) in self.ancestors:
            return self._bad(path, "an alias refers to what contains it")
        if self.nodes > _MOST_NODES:
            return self._bad((), f"more than {_MOST_NODES:,} values, aliases counted")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            return self._bad(path, _not_allowed(node.tag))
        self.ancestors.add(id(node))
        if isinstance(node, yaml.MappingNode):
            value: Any = self._mapping(node, path)
        else:
            value = [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        self.ancestors.discard(id(node))
        return value

    def _mapping(self, node: yaml.MappingNode, path: TreePath) -> dict[str, Any]:
        value: dict[str, Any] = {}
        merges = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.add(path, "a key is a list or a mapping; it should be a text", line)
                continue
            if key_node.tag == _TAG + "merge":
                merges.append(value_node)
                continue
            key = str(key_node.value)
            place = (*path, key)
            if key in value:
                first = self.tree.marks[place].line
                self.faults.add(place, f"the key '{key}' stands here and in line {first}", line)
                continue
            self.tree.marks[place] = Mark(line)
            value[key] = self.build(value_node, place)
        own = dict(self.tree.marks) if merges else {}
        for merge in merges:
            for key, item in self._merged(merge, path).items():
                value.setdefault(key, item)
        # What the mapping writes itself keeps its own lines.
        self.tree.marks.update(own)
        return value

    def _merged(self, node: yaml.Node, path: TreePath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for part in parts:
            value = self.build(part, path) if isinstance(part, yaml.MappingNode) else None
            if value is None:
                self._bad((*path, "<<"), "only mappings can be merged")
                continue
            found = {**value, **found}
        return found

    def _scalar(self, node: yaml.ScalarNode, path: TreePath) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        try:
            match kind:
                case "str" | "merge":
                    return text
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}[text.lower()]
                case "int":
                    digits = text.replace("_", "")
                    return int(digits, 16 if digits[:2] == "0x" else 10)
                case "float":
                    number = text.replace("_", "").lower()
                    return self._finite(float(re.sub(r"\.(?=inf|nan)", "", number)), path)
        except (KeyError, ValueError):
            return self._bad(path, f"'{text[:40]}' can't be read as {kind}")
        return self._bad(path, _not_allowed(node.tag))

    def _finite(self, number: float, path: TreePath) -> float | None:
        if math.isfinite(number):
            return number
        self._bad(path, "should be a finite number")
        return None

    def _bad(self, path: TreePath, message: str) -> None:
        self.faults.add(path, message)
        self.faults.poison(path)


def _not_allowed(tag: str) -> str:
    return f"the tag {tag.replace(_TAG, '!!')} isn't allowed in a plan"


def _plain(value: Any, path: TreePath, faults: Faults) -> Any:
    """`value` as dicts, lists and scalars."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v, (*path, str(k)), faults) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, i), faults) for i, item in enumerate(value)]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        faults.add(path, "should be a finite number")
        faults.poison(path)
        return None
    if value is None or type(value) in (bool, int, float, str):
        return value
    faults.add(path, f"is a Python {type(value).__name__}, which a plan has no form for")
    faults.poison(path)
    return None
