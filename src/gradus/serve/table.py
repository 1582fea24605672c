"""The routes of a server by name, and its engine; nothing is imported until it is needed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Final

from gradus.errors import UnknownName

ROUTES: Final[dict[str, str]] = {
    "health": "gradus.serve.routes.health:add",
    "page": "gradus.serve.routes.page:add",
    "classify": "gradus.serve.routes.classify:add",
    "tag": "gradus.serve.routes.tag:add",
    "embed": "gradus.serve.routes.embed:add",
    "admin": "gradus.serve.routes.admin:add",
    "openai-completions": "gradus.serve.openai.completions:add",
    "openai-chat": "gradus.serve.openai.chat:add",
    "openai-embeddings": "gradus.serve.openai.embeddings:add",
    "openai-models": "gradus.serve.openai.models:add",
}
"""Name to ``module:function``; the function is called with an `gradus.serve.app.Api`."""


def find(target: str) -> Any:
    """What ``module:attribute`` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def engine(name: str, checkpoint: str) -> Any:
    """The class of an engine; ``auto`` is the first of the catalog that takes the checkpoint.

    An engine of one's own, outside the catalog, is named as ``module:class``.

    Raises:
        UnknownName: there is no such engine.
    """
    from gradus import registry

    if ":" in name:
        # The folder that the server was started in may hold it: behind all others, so that no file
        # there hides a module.
        sys.path.append(str(Path.cwd()))
        return find(name)

    known = registry.names("engines")
    if name != "auto":
        if name not in known and name not in map(registry.plain, known):
            raise UnknownName("engine", name, (*map(registry.plain, known), "auto"))
        return registry.load("engines", name)
    for one in known:
        found = registry.load("engines", one)
        if found.takes(checkpoint):
            return found
    return registry.load("engines", "predict")  # whose message says what is wrong
