"""Writes the table of what is supported into README.md: objective x strategy x architecture family.

A cell is ``measured`` when bench/ has a figure of it on real data, ``tested`` when
tests/docs/test_support.py trains, saves, loads and predicts with it, ``refused`` when it ends with
a clear error, ``untested`` otherwise. The test runs exactly the cells that stand here as tested.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

README: Final = Path(__file__).resolve().parent.parent / "README.md"
BEGIN: Final = "<!-- support:begin -->"
END: Final = "<!-- support:end -->"

FAMILIES: Final = {
    "bert": "BERT",
    "roberta": "RoBERTa",
    "distilbert": "DistilBERT",
    "gpt2": "GPT-2",
    "llama": "Llama",
    "qwen": "Qwen",
}
OBJECTIVES: Final = {
    "classify": "one label",
    "labels": "several labels",
    "pairs": "pairs of texts",
    "regress": "a number",
    "tag": "spans",
}
STRATEGIES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "solved head": ("solved head", {"stages": [{"train": "head"}]}),
    "top layers": (
        "top layers",
        {"stages": [{"train": "head"}, {"train": "top-1", "epochs": 1, "lr": 1e-3}]},
    ),
    "all layers": (
        "all layers",
        {"stages": [{"train": "head"}, {"train": "all", "epochs": 1, "lr": 1e-3}]},
    ),
    "lora": ("LoRA", {"adapter": {"name": "lora", "rank": 2}}),
    "dora": ("DoRA", {"adapter": {"name": "lora", "rank": 2, "dora": True}}),
    "ia3": ("IA3", {"adapter": "ia3"}),
    "prompt-tuning": ("prompt tuning", {"adapter": {"name": "prompt-tuning", "tokens": 3}}),
    "prefix-tuning": ("prefix tuning", {"adapter": {"name": "prefix-tuning", "tokens": 3}}),
}
MEASURED: Final = {
    ("classify", "solved head", "bert"),  # bench/finetune.py
    ("classify", "all layers", "bert"),  # bench/quality.py --only banking77
    ("classify", "top layers", "bert"),  # bench/quality.py --only news
    ("classify", "lora", "bert"),  # bench/quality.py --only lora-banking77
    ("tag", "all layers", "bert"),  # bench/quality.py --only conll2003
}
REFUSED: Final = {
    # DistilBERT's attention takes no keys from before, so there is nothing to put a prefix in.
    *((objective, "prefix-tuning", "distilbert") for objective in OBJECTIVES),
}
UNTESTED: Final[set[tuple[str, str, str]]] = set()


def status(objective: str, strategy: str, family: str) -> str:
    """What is known of one cell."""
    cell = (objective, strategy, family)
    if cell in MEASURED:
        return "measured"
    if cell in REFUSED:
        return "refused"
    return "untested" if cell in UNTESTED else "tested"


def table() -> str:
    """The table in Markdown; objectives with the same cells share a row."""
    lines = [
        "| strategy | objective | " + " | ".join(FAMILIES.values()) + " |",
        "|---|---|" + "---|" * len(FAMILIES),
    ]
    for strategy, (name, _) in STRATEGIES.items():
        rows: dict[tuple[str, ...], list[str]] = {}
        for objective, said in OBJECTIVES.items():
            cells = tuple(status(objective, strategy, family) for family in FAMILIES)
            rows.setdefault(cells, []).append(said)
        for cells, said in rows.items():
            lines.append(f"| {name} | {', '.join(said)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def written(readme: str) -> str:
    """The README with the table put between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    """Write the table, or print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put it into README.md")
    if parser.parse_args().write:
        README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())


if __name__ == "__main__":
    main()
