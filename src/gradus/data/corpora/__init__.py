"""Corpora: unlabelled documents to pretrain on, cleaned, split by content and tokenised once.

Reading a plan needs `CorpusConfig` alone; everything else is imported when it is first asked for.

>>> from gradus.data.corpora import CorpusConfig
>>> CorpusConfig(source={"file": "plays/*.txt"}, options={"whole": True}).shares()["train"]
0.9
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from gradus.data.corpora.config import CleanConfig, CorpusConfig

if TYPE_CHECKING:
    from gradus.data.corpora.corpus import Corpus, load_corpus, open_corpus
    from gradus.data.corpora.documents import Document, Documents
    from gradus.data.corpora.shards import Shards
    from gradus.data.corpora.tokenising import tokenise

_WHERE: Final = {
    "Corpus": "corpus",
    "load_corpus": "corpus",
    "open_corpus": "corpus",
    "Document": "documents",
    "Documents": "documents",
    "Shards": "shards",
    "tokenise": "tokenising",
}

__all__ = [
    "CleanConfig",
    "Corpus",
    "CorpusConfig",
    "Document",
    "Documents",
    "Shards",
    "load_corpus",
    "open_corpus",
    "tokenise",
]


def __getattr__(name: str) -> Any:
    """Import what needs numpy when it is asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__} has no {name}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
