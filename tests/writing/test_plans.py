"""Plans in which writers write: configs, names, gates on what they wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gradus.plan import check_plan, load_plan, schema

GOOD: dict[str, Any] = {
    "name": "tales",
    "corpora": {"plays": {"source": {"folder": "plays"}}},
    "models": {
        "small": {"folder": "small"},
        "large": {"folder": "large"},
        "encoder": {"folder": "encoder"},
    },
    "steps": [
        {
            "id": "written",
            "step": "sample",
            "writers": ["small", "large"],
            "prompts": {"corpus": "plays", "number": 5},
            "decoding": {"temperature": 0.8},
            "reference": "large",
            "embedder": "encoder",
            "training": "plays",
            "gates": [
                "distinct_2 >= human - 0.05",
                "reference_perplexity < small",
                "written.reference_perplexity < 1.2 * human",
                "relevance >= 0.1",
            ],
        }
    ],
}


def faults(**changes: Any) -> list[tuple[str, str]]:
    step = {**GOOD["steps"][0], **changes}
    step = {key: value for key, value in step.items() if value is not None}
    text = yaml.safe_dump({**GOOD, "steps": [step]}, allow_unicode=True)
    return [(fault.path, fault.message) for fault in check_plan(text)]


def test_a_good_plan_names_its_writers_and_what_measures_them() -> None:
    assert faults() == []
    spec = load_plan(yaml.safe_dump(GOOD)).step("written")
    assert spec.models == ("small", "large", "large", "encoder")
    assert spec.corpora == ("plays", "plays")
    assert spec.config["prompts"]["split"] == "dev.gate"


@pytest.mark.parametrize(
    ("changes", "path", "said"),
    [
        ({"writers": ["small", "huge"]}, "steps.written.writers[1]", "unknown model or step"),
        ({"writers": ["small", "human"]}, "steps.written.writers", "stands for people"),
        ({"writers": ["small", "small"]}, "steps.written.writers", "more than once: small"),
        ({"writers": []}, "steps.written.writers", ""),
        ({"prompts": {"corpus": "poems"}}, "steps.written.prompts.corpus", "unknown corpus"),
        ({"prompts": {"number": 3}}, "steps.written.prompts", "name one of corpus, file"),
        ({"prompts": ["a"], "human": True, "gates": []}, "steps.written", "isn't known"),
        ({"decoding": {}, "each": 2}, "steps.written", "writes the same text every time"),
        ({"decoding": {"temprature": 1}}, "steps.written.decoding.temprature", ""),
        ({"seeds": 3}, "steps.written.seeds", "asked for with 'each'; leave 'seeds' out"),
        ({"training": "poems"}, "steps.written.training", "unknown corpus"),
    ],
)
def test_what_is_wrong_with_a_step(changes: dict[str, Any], path: str, said: str) -> None:
    found = faults(**changes)
    assert any(where == path and said in why for where, why in found), found


@pytest.mark.parametrize(
    ("gate", "said", "changes"),
    [
        ("distinct_2 > humans", "did you mean 'human'", {}),
        ("distinct_2 > large", "about 'large' itself, the last of the writers", {}),
        ("distinct_2 > parent", "no parent here", {}),
        ("distinct_2 > encoder", "unknown writer 'encoder': known are human, large, small", {}),
        ("plays.distinct_2 > human", "unknown samples 'plays'", {}),
        ("distinct_2{language=en} > human", "isn't taken on slices", {}),
        ("distinct_2 > human", "unknown writer 'human'", {"human": False}),
        ("accuracy > 0.5", "isn't measured by accuracy", {}),
        ("reference_perplexity < human", "isn't measured by reference", {"reference": None}),
        ("relevance > human", "isn't measured by relevance", {"embedder": None}),
        ("divergence < small", "isn't measured by divergence", {"human": False}),
        ("self_bleu <= human", "people wrote one to each prompt where models write 4", {"each": 4}),
        ("novelty_4 > human", "isn't measured by novelty_4", {"training": None}),
    ],
)
def test_gates_that_ask_for_what_wont_be_known(
    gate: str, said: str, changes: dict[str, Any]
) -> None:
    found = faults(gates=[gate], **changes)
    assert [path for path, _ in found] == ["steps.written.gates[0]"], found
    assert said in found[0][1]


def test_a_gate_on_writings_of_a_step_that_has_none() -> None:
    step = {"id": "final", "step": "evaluate", "models": ["small"], "on": "plays"}
    text = yaml.safe_dump({**GOOD, "steps": [{**step, "gates": ["distinct_2 > 0.5"]}]})
    assert "isn't measured by distinct_2" in str(check_plan(text)[0])


def test_prompts_of_a_file_may_have_what_people_wrote() -> None:
    assert faults(prompts={"file": "prompts.jsonl"}, gates=["distinct_2 > human"]) == []
    assert faults(prompts=["a", "b"], gates=["distinct_2 > small"]) == []
    assert faults(prompts=["a", "b"], gates=["distinct_2 > human"])


def test_editors_are_told_of_lists_of_prompts() -> None:
    made = schema()
    (kind,) = (
        one for one in made["properties"]["steps"]["items"]["oneOf"] if one["title"] == "sample.v1"
    )
    mapping, plain = kind["properties"]["prompts"]["anyOf"]
    assert "characters" in made["$defs"][mapping["$ref"].rpartition("/")[2]]["properties"]
    assert plain["items"] == {"type": "string"}


def test_checking_needs_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(GOOD))
    code = (
        "import sys; from gradus.plan import load_plan; load_plan(sys.argv[1]);"
        "print([m for m in ('torch', 'transformers', 'scipy', 'sklearn') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "plan.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
