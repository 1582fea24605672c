"""Scheme `torchao-int8`: int8 weights, int8 activations scaled by token, in torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gradus.compress.base import Compressed, Material, Scheme
from gradus.errors import CheckpointError

if TYPE_CHECKING:
    from gradus.compress.classifier import Classifier


class TorchaoInt8(Scheme):
    """Linear products in int8 through torchao, symmetric, a scale for each row of weights and for
    each token.

    The model stays a module of torch, on whatever device torch knows: for services that compile it
    or have a graphics card. On processors ONNX Runtime is faster (`scheme: auto` measures it).
    """

    kind: ClassVar[str] = "torchao"
    summary: ClassVar[str] = "int8 weights, int8 activations scaled by token, in torch by torchao"

    def write(self, classifier: Classifier, folder: Path, *, material: Material) -> Compressed:
        """Quantise the linear products, write weights, config and the tokenizer's files."""
        from gradus.compress import torchao_module as torchao
        from gradus.compress.export import check_tokens
        from gradus.predict.graph import TOKENIZER, encoder

        preprocessing = {**classifier.preprocessing(), "dtype": "int8"}
        classifier.copy_tokenizer(folder)
        check_tokens(classifier, encoder(folder / TOKENIZER, preprocessing), material.texts)
        before = sum(tensor.nbytes for tensor in classifier.module.state_dict().values())
        turned = torchao.quantise(classifier.module.backbone)
        if not turned:
            raise CheckpointError(
                f"{classifier.folder}: a {classifier.family} keeps its matrices in a kind of layer "
                "that torchao leaves alone; take scheme: int8-dynamic"
            )
        torchao.write(classifier.module, folder)
        after = (folder / torchao.WEIGHTS).stat().st_size
        return Compressed(
            preprocessing=preprocessing,
            facts={
                "weight_bytes_before": before,
                "weight_bytes": after,
                "size_ratio": after / before,
                "products": turned,
            },
        )
