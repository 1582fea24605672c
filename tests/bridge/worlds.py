"""A tiny model on disk and local tasks of every kind that the harness has."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

POSITIONS = 48
SENTENCES = (
    "The cat sat on the mat and looked at the rain in the garden.",
    "A small boat came over the sea to the old town in the morning.",
    "Bread, milk and two red apples were on the table in the kitchen.",
    "Naïve café guests paid 12.50 for tea; the waiter said nothing.",
    "In winter the river froze, and the children went over the ice.",
    "The teacher wrote a long line of numbers on the black board.",
    "Rain fell on the mat, the cat ran into the kitchen for milk.",
    "Old boats lie in the garden of the house near the river.",
    "Two guests came to the town in winter and asked for bread.",
    "Numbers were read out in the morning, and nobody looked up.",
)


def make_model(folder: Path, *, family: str, bos: bool) -> Path:
    """A model of the family with a byte-level tokenizer; `bos` puts a token before every text."""
    import torch
    import transformers as t
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(SENTENCES, trainer)
    if bos:
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 0)]
        )
    first = {"bos_token": "<s>"} if bos else {}
    tokenizer = t.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="</s>", pad_token="</s>", **first
    )
    sizes = {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": 1}
    config = {
        "gpt2": lambda: t.GPT2Config(
            **sizes, n_embd=32, n_layer=2, n_head=4, n_positions=POSITIONS
        ),
        "llama": lambda: t.LlamaConfig(
            **sizes,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=64,
            max_position_embeddings=POSITIONS,
        ),
    }[family]()
    torch.manual_seed(5)
    model = t.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tasks(folder: Path) -> Path:
    """Local tasks, each with its data beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(3)
    _write(folder, "questions", [_question(draw, number) for number in range(14)])
    _write(folder, "shots", [_question(draw, 100 + number) for number in range(6)])
    _write(folder, "endings", [_ending(sentence) for sentence in SENTENCES])
    _write(folder, "pages", [{"page": page} for page in _pages(draw)])
    _write(folder, "gaps", [_gap(sentence) for sentence in SENTENCES])
    _write(folder, "yes-no", [_statement(draw, sentence) for sentence in SENTENCES])
    (folder / "scoring.py").write_text(OWN_SCORING)
    for name, task in TASKS.items():
        (folder / f"{name}.yaml").write_text(_yaml(folder, name, task))
    (folder / "all_choices.yaml").write_text("group: all_choices\ntask: [choice, shots]\n")
    return folder


def _question(draw: random.Random, number: int) -> dict[str, Any]:
    subject = SENTENCES[number % len(SENTENCES)]
    # Some are longer than the model has positions for.
    body = " ".join([subject] * (4 if number % 5 == 4 else 1))
    options = [" ".join(draw.sample(subject.split(), size)) for size in (1, 2, 4, 3)]
    options = options[: 2 + number % 3]
    return {"body": body, "options": options, "answer": draw.randrange(len(options))}


def _ending(sentence: str) -> dict[str, Any]:
    words = sentence.split()
    return {"start": " ".join(words[:-1]), "end": words[-1]}


def _pages(draw: random.Random) -> list[str]:
    sizes = (1, 2, 5, 9, 3)
    return [" ".join(draw.sample(SENTENCES, size)) for size in sizes]


def _gap(sentence: str) -> dict[str, Any]:
    words = sentence.split()
    before, after = " ".join(words[:3]), " ".join(words[4:])
    return {"before": before, "fillers": [words[3], "boat"], "after": after, "right": 0}


def _statement(draw: random.Random, sentence: str) -> dict[str, Any]:
    return {"text": sentence, "label": draw.randrange(2), "both": [0, 1]}


def _write(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text(text)


def _yaml(folder: Path, name: str, task: Mapping[str, Any]) -> str:
    files = {split: str(folder / f"{data}.jsonl") for split, data in task["files"].items()}
    head = [
        f"task: {name}",
        "dataset_path: json",
        f"dataset_kwargs: {json.dumps({'data_files': files})}",
        "test_split: test",
        "metadata: {version: 2.0}",
    ]
    return "\n".join([*head, task["yaml"].strip()]) + "\n"


def _metrics(*names: str) -> str:
    return "metric_list:\n" + "".join(f"  - {{metric: {name}}}\n" for name in names)


CHOICE = """
output_type: multiple_choice
doc_to_text: "{{body}}\\nThen:"
doc_to_choice: options
doc_to_target: answer
"""
YES_NO = """
output_type: multiple_choice
doc_to_text: "{{text}} Good?"
doc_to_choice: ["no", "yes"]
"""
TASKS: dict[str, dict[str, Any]] = {
    "choice": {
        "files": {"test": "questions"},
        "yaml": CHOICE + _metrics("acc", "acc_norm") + "tag: choosing\n",
    },
    "shots": {
        "files": {"test": "questions", "train": "shots"},
        "yaml": CHOICE
        + _metrics("acc", "acc_norm")
        + "training_split: train\nfewshot_split: train\nnum_fewshot: 1\ntag: choosing\n",
    },
    "gaps": {
        "files": {"test": "gaps"},
        "yaml": """
output_type: multiple_choice
doc_to_text: right
doc_to_choice: "{{[before + ' ' + fillers[0], before + ' ' + fillers[1]]}}"
doc_to_target: after
"""
        + _metrics("acc"),
    },
    "ending": {
        "files": {"test": "endings"},
        "yaml": """
output_type: loglikelihood
doc_to_text: start
doc_to_target: "{{' ' + end}}"
"""
        + _metrics("perplexity", "acc"),
    },
    "pages": {
        "files": {"test": "pages"},
        "yaml": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: page
"""
        + _metrics("word_perplexity", "byte_perplexity", "bits_per_byte"),
    },
    "reply": {
        "files": {"test": "endings"},
        "yaml": """
output_type: generate_until
doc_to_text: start
doc_to_target: end
generation_kwargs: {until: [" the", "."], max_gen_toks: 12, do_sample: false}
filter_list:
  - {name: whole, filter: [{function: take_first}]}
  - name: first-letters
    filter:
      - {function: regex, regex_pattern: "([a-z]+)"}
      - {function: take_first}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}
  - {metric: ter, aggregation: ter, higher_is_better: false}
""",
    },
    "judged": {
        "files": {"test": "yes-no"},
        "yaml": YES_NO + "doc_to_target: label\n" + _metrics("acc", "mcc", "f1", "brier_score"),
    },
    "either": {
        "files": {"test": "yes-no"},
        "yaml": YES_NO + "doc_to_target: both\n" + _metrics("acc"),
    },
    "own": {
        "files": {"test": "endings"},
        "yaml": """
output_type: generate_until
doc_to_text: start
doc_to_target: end
process_results: !function scoring.process
generation_kwargs: {until: ["."], max_gen_toks: 6, do_sample: false}
metric_list:
  - {metric: letters, aggregation: mean, higher_is_better: false}
  - {metric: some, aggregation: mean, higher_is_better: true}
  - {metric: longest, aggregation: !function scoring.longest, higher_is_better: true}
""",
    },
    "unsafe": {
        "files": {"test": "endings"},
        "yaml": """
output_type: generate_until
doc_to_text: start
doc_to_target: end
unsafe_code: true
generation_kwargs: {until: ["."], max_gen_toks: 6, do_sample: false}
"""
        + _metrics("exact_match"),
    },
}
OWN_SCORING = """
def process(doc, results):
    letters = float(len(results[0]))
    found = {"letters": letters}
    if doc["end"][0] in "gm":
        found["longest"] = found["some"] = letters
    return found


def longest(values):
    return max(values)
"""
