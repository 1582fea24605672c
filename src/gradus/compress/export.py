"""From a classifier in torch to a float32 ONNX graph that provably computes the same.

Legend: n texts of L tokens each, h heads, k size of a head, K labels.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from gradus.compress.classifier import Classifier
from gradus.errors import CheckpointError, MissingExtra
from gradus.predict.graph import Encoder, equal_length_batches
from gradus.predict.onnx import open_session

ATTENTION: Final = "gradus_onnx"
OPSET: Final = 18
LARGEST_DIFFERENCE: Final = 1e-3
# Protocol buffers, which an ONNX file is, hold less than 2 GiB.
_MOST_BYTES: Final = 2**31 - 2**24
SUPPORTED: Final = (
    "encoders such as BERT, RoBERTa and DistilBERT, and causal models such as GPT-2, Llama and Qwen"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A float32 graph.

    Attributes:
        model: the onnx.ModelProto.
        bytes: its size as a file.
        difference: greatest difference of a logit from torch's, over `texts` texts.
        attention: ``fused`` (one node for all of attention) or ``eager`` (as the model spells it).
    """

    model: Any
    bytes: int
    difference: float
    texts: int
    attention: str


class _NotFusable(Exception):
    """The model's attention does more than the fused node can."""


def _fused_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as one node, with the signature that transformers calls.

    query, key and value are [n, h, L, k]; returns [n, L, h, k].
    """
    n, heads, length, size = query.shape
    plain = attention_mask is None and sliding_window is None and softcap is None
    if not plain or key.shape[1] != heads:
        raise _NotFusable
    rows = [x.transpose(1, 2).reshape(n, length, heads * size) for x in (query, key, value)]
    mixed = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        rows,
        attrs={"num_heads": heads, "scale": size**-0.5 if scaling is None else scaling},
        dtype=query.dtype,
        shape=(n, length, heads * size),
        version=1,
    )
    return mixed.reshape(n, length, heads, size), None


def export(classifier: Classifier, texts: Sequence[str], *, fuse: bool = True) -> Exported:
    """The classifier as a graph from ``input_ids`` int64 [n, L] to ``logits`` float32 [n, K].

    Attention becomes one fused node where every token sees every other; elsewhere, or with `fuse`
    off, it stays as the model spells it, in standard operators. Whatever was exported is run
    beside torch on `texts`; an export that strays is refused.

    Raises:
        CheckpointError: the exporter doesn't take this architecture, the graph strays from torch
            by more than `LARGEST_DIFFERENCE` in a logit, or it is too large for one file.
        MissingExtra: onnx, onnxscript or onnxruntime isn't installed.
    """
    _check(classifier)
    ids = _samples(classifier, texts)
    classifier.module.backbone.set_attn_implementation("sdpa")  # type: ignore[operator]  # nn.Module types attributes as tensors
    with torch.inference_mode():
        expected = [classifier.module(torch.from_numpy(rows)).numpy() for rows in ids]
    why = ""
    for attention in ("fused", "eager") if fuse and not classifier.causal else ("eager",):
        try:
            model = _traced(classifier, attention)
        except (torch.onnx.OnnxExporterError, _NotFusable) as error:
            why = f"the exporter doesn't take its {attention} attention ({_first_line(error)})"
            continue
        serialised = model.SerializeToString()
        difference = _difference(serialised, ids, expected)
        if difference <= LARGEST_DIFFERENCE:
            return Exported(
                model=model,
                bytes=len(serialised),
                difference=difference,
                texts=sum(len(rows) for rows in ids),
                attention=attention,
            )
        why = (
            f"its graph strays from torch by {difference:.2g} in a logit, more than the "
            f"{LARGEST_DIFFERENCE} allowed"
        )
    raise CheckpointError(
        f"{classifier.folder}: the {classifier.family} model can't be exported to ONNX: {why}. "
        f"Supported are {SUPPORTED}"
    )


def check_tokens(classifier: Classifier, encode: Encoder, texts: Sequence[str]) -> None:
    """See that the tokenizer outside transformers gives the same ids.

    Raises:
        CheckpointError: it doesn't.
    """
    # One long enough to be cut (a token seldom holds 20 characters), and one that is empty.
    joined = " ".join(texts) + " "
    probes = [*texts, joined * (1 + 20 * classifier.max_tokens // len(joined)), ""]
    for text in probes:
        if encode([text]) != classifier.encode([text]):
            raise CheckpointError(
                f"{classifier.folder}: its tokenizer.json gives other tokens than transformers "
                f"does, e.g. for '{text[:60]}'; save the tokenizer again in its fast form"
            )


def _check(classifier: Classifier) -> None:
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "onnx", "exporting to ONNX")
    size = sum(p.numel() * p.element_size() for p in classifier.module.parameters())
    if size > _MOST_BYTES:
        raise CheckpointError(
            f"{classifier.folder}: {size / 1e9:.1f} GB of float32 weights don't fit one ONNX file, "
            "which holds 2 GB; choose a smaller model"
        )


def _samples(classifier: Classifier, texts: Sequence[str]) -> list[np.ndarray]:
    """int64 [n, L] batches: the texts as prediction would group them, and a single token."""
    coded = classifier.encode(texts)
    batches = equal_length_batches(np.array([len(row) for row in coded]))
    found = [np.array([coded[i] for i in rows], dtype=np.int64) for rows in batches]
    longest = max(coded, key=len)
    return [*found, np.array([longest], dtype=np.int64), np.array([longest[:1]], dtype=np.int64)]


def _difference(graph: bytes, ids: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    session = open_session(graph, torch.get_num_threads())
    found = [session.run(None, {"input_ids": rows})[0] for rows in ids]
    differences = [np.abs(a - b).max() for a, b in zip(found, expected, strict=True)]
    # NaN anywhere is a difference without bound.
    return float(np.nan_to_num(np.max(differences), nan=np.inf))


def _traced(classifier: Classifier, attention: str) -> Any:
    """The onnx.ModelProto that torch's exporter makes of the module."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _fused_attention)
    backbone: Any = classifier.module.backbone
    backbone.set_attn_implementation(ATTENTION if attention == "fused" else "eager")
    sample = torch.zeros((2, min(7, classifier.max_tokens)), dtype=torch.int64) + _some_id(backbone)
    try:
        with _quietly(), torch.no_grad():
            program = torch.onnx.export(
                classifier.module,
                (sample,),
                dynamo=True,
                input_names=["input_ids"],
                output_names=["logits"],
                dynamic_shapes=({0: "batch", 1: "length"},),
                opset_version=OPSET,
                external_data=False,
                optimize=True,
                verbose=False,
            )
    finally:
        backbone.set_attn_implementation("sdpa")
    assert program is not None  # with dynamo there is always one
    return _without_traces(program.model_proto)


def _some_id(backbone: Any) -> int:
    """A token id that isn't padding, which some models give a position of its own."""
    return 1 if getattr(backbone.config, "pad_token_id", None) == 0 else 0


def _without_traces(model: Any) -> Any:
    """The exporter notes for every node which source line it came from: paths of this machine."""
    del model.metadata_props[:]
    for item in (
        model.graph,
        *model.graph.node,
        *model.graph.initializer,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        item.doc_string = ""
        del item.metadata_props[:]
    return model


@contextmanager
def _quietly() -> Iterator[None]:
    """What the exporter says is either an error, which is raised, or of no use to a reader."""
    names = ("torch.onnx", "onnxscript", "onnx_ir")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def write_graph(model: Any, path: Path) -> int:
    """Write the graph; gives its size in bytes."""
    content: bytes = model.SerializeToString()
    path.write_bytes(content)
    return len(content)
