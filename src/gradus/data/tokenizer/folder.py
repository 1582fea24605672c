"""The folder of a tokenizer, in Hugging Face layout: what `AutoTokenizer` opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from gradus.data.tokenizer.recipe import Recipe

KIND: Final = "tokenizer"
"""Of the checkpoint."""
FILE: Final = "tokenizer.json"
SETTINGS: Final = "tokenizer_config.json"


def write(tokenizer: Any, recipe: Recipe, folder: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json`` into an existing folder."""
    (folder / FILE).write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    roles = recipe.roles
    named = set(roles.values())
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **roles,
        "additional_special_tokens": [one for one in recipe.special if one not in named],
    }
    text = json.dumps(settings, ensure_ascii=False, indent=2, sort_keys=True)
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Any:
    """The `tokenizers.Tokenizer` of such a folder."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / FILE))
