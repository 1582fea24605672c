"""Which tokenizers count as the same, and what is said of others."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from gradus.errors import TrainingError
from gradus.training.teachers.tokens import difference, require_same

TOKENS = ["<s>", "</s>", "a", "b", "c", "ab", "bc"]


def tokenizer(
    tokens: list[str] | None = None,
    merges: list[tuple[str, str]] | None = None,
    *,
    lower: bool = False,
    **special: str,
) -> Any:
    vocabulary = {token: number for number, token in enumerate(tokens or TOKENS)}
    made = Tokenizer(models.BPE(vocabulary, [("a", "b"), ("b", "c")] if merges is None else merges))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if lower:
        made.normalizer = normalizers.Lowercase()
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


def test_the_same_text_in_the_same_tokens() -> None:
    assert difference(tokenizer(), tokenizer()) is None
    assert difference(tokenizer(bos_token="<s>"), tokenizer(eos_token="</s>")) is None
    require_same(tokenizer(), tokenizer(), "teacher 'large'")


@pytest.mark.parametrize(
    ("teacher", "told"),
    [
        (
            tokenizer(["<s>", "</s>", "a", "c", "b", "ab", "bc"]),
            "token 3 is 'c' for the teacher and 'b' for the student",
        ),
        (
            tokenizer([*TOKENS, "d"]),
            r"token 7 is 'd' for the teacher and missing for the student \(8 tokens and 7\)",
        ),
        (tokenizer(merges=[("b", "c"), ("a", "b")]), "from merge 0 on they join others"),
        (tokenizer(merges=[("a", "b")]), "from merge 1 on"),
        (tokenizer(lower=True), r"normalizer differs \(Lowercase and none\)"),
    ],
)
def test_the_first_difference_is_named(teacher: Any, told: str) -> None:
    with pytest.raises(TrainingError, match=f"^teacher 'large': .*{told}"):
        require_same(tokenizer(), teacher, "teacher 'large'")
