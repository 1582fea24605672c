"""``gradus doctor``: what this machine can do and what is missing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gradus.cli.options import AsJson


@dataclass(frozen=True)
class Extra:
    """An optional set of packages: the distributions it needs and what they give."""

    name: str
    needs: tuple[str, ...]
    gives: str


EXTRAS: Final = (
    Extra("adapters", ("peft",), "LoRA and other adapters in step finetune"),
    Extra("chinese", ("jieba",), "words of Chinese texts in prepare: segment"),
    Extra("corpus", ("trafilatura",), "text out of web pages, format html"),
    Extra("datasets", ("datasets",), "data sets of the hub, and saved by datasets"),
    Extra("generation", ("rouge-score", "sacrebleu"), "ROUGE and BLEU of what is written"),
    Extra("gguf", ("gguf",), "weights from GGUF files"),
    Extra("hub", ("huggingface-hub",), "weights from the Hugging Face hub by name"),
    Extra(
        "onnx",
        ("onnx", "onnxruntime", "onnxscript"),
        "step quantize: int8 through ONNX Runtime, and prediction with it",
    ),
    Extra(
        "openvino",
        ("openvino", "nncf"),
        "step quantize: int8 through OpenVINO, and prediction with it",
    ),
    Extra("llama", ("xllamacpp",), "writing with GGUF files through llama.cpp"),
    Extra("lm-eval", ("lm-eval",), "tasks of lm-evaluation-harness, and our engine in it"),
    Extra("panel", ("starlette", "uvicorn"), "the page for raters: gradus rate"),
    Extra(
        "serve", ("fastapi", "uvicorn", "prometheus-client"), "answering over HTTP: gradus serve"
    ),
    Extra("postgres", ("psycopg", "sqlalchemy"), "step tune: trials in PostgreSQL"),
    Extra("ray", ("ray",), "gradus serve on a cluster of Ray"),
    Extra("tune", ("optuna", "cmaes", "sqlalchemy"), "step tune: searching settings"),
    Extra("vllm", ("vllm",), "gradus serve: writing on graphics cards"),
    Extra("torchao", ("torchao",), "step quantize: int8 through torchao, and prediction with it"),
    Extra("bench", ("accelerate",), "the peers in bench/: the transformers Trainer"),
)
CORE: Final = (
    "gradus-lm",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "scikit-learn",
    "statsmodels",
    "pyarrow",
    "pydantic",
)


def doctor(
    as_json: AsJson = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Use the ceilings measured before, if any.")
    ] = False,
) -> None:
    """Measure this machine; say which versions are installed and which extras are missing.

    Long work reports what share of the two ceilings measured here it reaches: the rate of matrix
    products and the bandwidth of memory.

    Examples:
      gradus doctor
      gradus doctor --json
    """
    from gradus.cli.output import print_json

    facts = examine(quick=quick)
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def examine(*, quick: bool = False) -> dict[str, Any]:
    """The facts as JSON: `ceilings` are measured anew unless `quick`."""
    from gradus import hardware

    facts = hardware.describe(measured=False)
    facts["ceilings"] = hardware.ceilings() if quick else hardware.measure_ceilings()
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    facts["disk_free_gb"] = round(free, 1)
    facts["memory_gb"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    facts["versions"] = {name: hardware.version(name) for name in CORE}
    facts["gpu"] = _gpu()
    facts["extras"] = [_extra(extra) for extra in EXTRAS]
    return facts


def _extra(extra: Extra) -> dict[str, Any]:
    from gradus import hardware

    missing = [name for name in extra.needs if hardware.version(name) is None]
    return {
        "extra": extra.name,
        "gives": extra.gives,
        "missing": missing,
        "install": f"pip install 'gradus-lm[{extra.name}]'" if missing else None,
    }


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def _print(facts: dict[str, Any]) -> None:
    from gradus.cli.output import print_table

    ceilings = facts["ceilings"]
    rates = ceilings["matmul_gflops"]
    rows = [
        ["processor", facts["processor"]],
        ["cores, threads used", f"{facts['cores']}, {facts['threads']}"],
        ["features", ", ".join(facts["features"]) or "none that matter here"],
        ["memory", f"{facts['memory_gb']} GB"],
        ["disk free here", f"{facts['disk_free_gb']} GB"],
        ["GPU", facts["gpu"] or "none"],
        *(
            [f"matrix product {dtype}", "no kernel" if rate is None else f"{rate:,.0f} GFLOP/s"]
            for dtype, rate in rates.items()
        ),
        ["memory bandwidth", f"{ceilings['bandwidth_gb_s']} GB/s"],
        ["training runs in", facts["dtype"]],
        ["python", facts["python"]],
        *([name, version or "not installed"] for name, version in facts["versions"].items()),
    ]
    print_table(["what", "here"], rows)
    print()
    print_table(
        ["extra", "state", "what it gives"],
        [
            [e["extra"], "installed" if not e["missing"] else e["install"], e["gives"]]
            for e in facts["extras"]
        ],
    )
