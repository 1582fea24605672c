"""One small file in each published format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ARTICLE = {
    "article": "(CNN) The river rose in the night. The bridge was closed .",
    "highlights": "River rises .\nBridge closed .",
    "id": "92c514c913c0bdfe25341af9fd72b29db544099b",
}
NQ = [
    {"question": "when was the last time anyone was on the moon", "answer": ["14 December 1972"]},
    {"question": "who wrote he ain't heavy", "answer": ["Bobby Scott", "Bob Russell"]},
    {"question": "how many seasons of the bastard are there", "answer": ["one", "one season"]},
    {"question": "what is the river", "answer": ["the water"]},
]
COQA: dict[str, Any] = {
    "version": "1.0",
    "data": [
        {
            "source": "mctest",
            "id": "3dr23u6we5exclen4th8uq9rb42tel",
            "filename": "mc160.test.41",
            "story": "Once upon a time, in a barn near a farm house, there lived a white kitten.",
            "questions": [
                {"input_text": "What color was Cotton?", "turn_id": 1},
                {"input_text": "Where did she live?", "turn_id": 2},
            ],
            "answers": [
                {
                    "span_start": 59,
                    "span_end": 93,
                    "span_text": "a white kitten",
                    "input_text": "white",
                    "turn_id": 1,
                },
                {
                    "span_start": 18,
                    "span_end": 80,
                    "span_text": "in a barn",
                    "input_text": "in a barn",
                    "turn_id": 2,
                },
            ],
            "additional_answers": {
                str(person): [
                    {
                        "span_start": 0,
                        "span_end": 5,
                        "span_text": "white",
                        "input_text": answer,
                        "turn_id": turn + 1,
                    }
                    for turn, answer in enumerate(given)
                ]
                for person, given in enumerate(
                    [("white", "in a barn"), ("White", "in a barn"), ("it was white", "a barn")]
                )
            },
            "name": "mc160.test.41",
        }
    ],
}
SQUAD: dict[str, Any] = {
    "version": "v2.0",
    "data": [
        {
            "title": "Normans",
            "paragraphs": [
                {
                    "context": "The Normans gave their name to Normandy, a region in France.",
                    "qas": [
                        {
                            "question": "In what country is Normandy located?",
                            "id": "56ddde6b9a695914005b9628",
                            "answers": [
                                {"text": "France", "answer_start": 53},
                                {"text": "France", "answer_start": 53},
                            ],
                            "is_impossible": False,
                        },
                        {
                            "plausible_answers": [{"text": "Normans", "answer_start": 4}],
                            "question": "Who gave their name to Normandy in the 1000's?",
                            "id": "5ad39d53604f3c001a3fe8d1",
                            "answers": [],
                            "is_impossible": True,
                        },
                    ],
                }
            ],
        }
    ],
}


def files(folder: Path) -> dict[str, Path]:
    """One file in each published format."""
    made = {
        "cnn-dailymail": json.dumps(ARTICLE) + "\n" + json.dumps(ARTICLE) + "\n",
        "natural-questions": "".join(json.dumps(row) + "\n" for row in NQ),
        "coqa": json.dumps(COQA),
        "squad": json.dumps(SQUAD),
        "wmt": "".join(f"Sentence {i} is here.\n" for i in range(8)),
    }
    (folder / "wmt.ref").write_text("".join(f"Phrase {i} est là.\n" for i in range(8)), "utf-8")
    paths = {name: folder / (f"{name}.src" if name == "wmt" else f"{name}.json") for name in made}
    for name, path in paths.items():
        path.write_text(made[name], "utf-8")
    return paths
