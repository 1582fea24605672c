"""The peer of serve.py: a FastAPI endpoint around ``transformers.pipeline``, as people write it.

python bench/serve_peer.py MODEL LABELS THREADS PORT def|async
"""

from __future__ import annotations

import sys

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


class Asked(BaseModel):
    """The body."""

    text: str


def application(model: str, labels: int, way: str) -> FastAPI:
    """One text a request; `way` says whether the endpoint is ``def`` or ``async def``."""
    app = FastAPI()
    classify = pipeline(
        "text-classification",
        model=AutoModelForSequenceClassification.from_pretrained(model, num_labels=labels),
        tokenizer=AutoTokenizer.from_pretrained(model),
        device="cpu",
    )
    classify("warm up")

    if way == "async":

        @app.post("/classify")
        async def asked_async(asked: Asked) -> list[dict[str, object]]:
            return classify(asked.text, truncation=True, max_length=128)

    else:

        @app.post("/classify")
        def asked(asked: Asked) -> list[dict[str, object]]:
            return classify(asked.text, truncation=True, max_length=128)

    return app


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[3]))
    made = application(sys.argv[1], int(sys.argv[2]), sys.argv[5])
    uvicorn.run(made, host="127.0.0.1", port=int(sys.argv[4]), log_level="warning")
