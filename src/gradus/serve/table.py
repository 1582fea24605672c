"""The routes and engines of a server, by name; nothing is imported until it is needed."""

from __future__ import annotations

import importlib
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

ENGINES: Final[dict[str, str]] = {
    "llama-cpp": "gradus.serve.engines.llama_cpp:LlamaCppEngine",
    "gradus": "gradus.serve.engines.gradus:GradusEngine",
    "vllm": "gradus.serve.engines.vllm:VllmEngine",
    "predict": "gradus.serve.predicting:Predicting",
    "embed": "gradus.serve.predicting:Embedding",
}
"""Name to ``module:class``, a subclass of `gradus.serve.engine.Engine`. The order counts: ``auto``
is the first that takes the checkpoint."""


def find(target: str) -> Any:
    """What ``module:attribute`` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def engine(name: str, checkpoint: str) -> Any:
    """The class of an engine; ``auto`` is the first that takes the checkpoint.

    An engine of one's own is named as ``module:class``.

    Raises:
        UnknownName: there is no such engine.
    """
    if ":" in name:
        return find(name)
    if name in ENGINES:
        return find(ENGINES[name])
    if name != "auto":
        raise UnknownName("engine", name, (*ENGINES, "auto"))
    for target in ENGINES.values():
        found = find(target)
        if found.takes(checkpoint):
            return found
    return find(ENGINES["predict"])  # whose message says what is wrong
