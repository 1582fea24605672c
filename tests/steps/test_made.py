"""A step that is named must make what is needed there: seen before anything is computed."""

from __future__ import annotations

from gradus.plan import check_plan

PLAN = """\
name: plays
corpora: {plays: {source: {folder: plays}}}
data: {news: {source: {file: news.csv}}}
steps:
  - {id: tok, step: tokenizer, corpus: plays}
  - id: base
    step: pretrain
    corpus: plays
    tokenizer: tok
    model: {architecture: gpt2, layers: 2, width: 64}
    block: 32
    steps: 20
  - {id: seen, step: evaluate, models: [base], on: plays}
  - {id: tuned, step: finetune, model: base, data: news}
"""


def faults(old: str, new: str) -> list[tuple[str, str]]:
    assert old in PLAN
    return [(fault.path, fault.message) for fault in check_plan(PLAN.replace(old, new))]


def test_the_right_ones_are_no_fault() -> None:
    assert faults("tokenizer: tok", "tokenizer: tok") == []


def test_a_tokenizer_is_no_model() -> None:
    assert faults("models: [base]", "models: [base, tok]") == [
        (
            "steps.seen.models[1]",
            "'tok' is a step 'tokenizer', which makes a tokenizer; name a step that makes a model",
        )
    ]


def test_an_evaluation_makes_nothing() -> None:
    ((path, message),) = faults("finetune, model: base", "finetune, model: seen")
    assert path == "steps.tuned.model"
    assert message.startswith("'seen' is a step 'evaluate', which makes nothing;")


def test_a_tokenizer_may_be_a_models() -> None:
    again = "steps: 20\n  - {id: more, step: pretrain, corpus: plays, tokenizer: base, block: 32,\n"
    again += "     steps: 20, model: {architecture: gpt2, layers: 2, width: 64}}"
    assert faults("steps: 20", again) == []
    ((_, message),) = faults(
        "steps: 20",
        again.replace("tokenizer: base", "tokenizer: old").replace(
            "  - {id: more",
            "  - {id: old, step: evaluate, models: [base], on: plays}\n  - {id: more",
        ),
    )
    assert message.endswith("name a step that makes a tokenizer or a model")
