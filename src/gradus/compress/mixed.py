"""Scheme `mixed`: four, eight or 32 bits for each product, as few as an accuracy budget admits."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gradus.compress.base import COARSE, Allowance, Material
from gradus.compress.onnx_scheme import OnnxScheme, Rewrite, integer_range
from gradus.parity.base import Bounds

if TYPE_CHECKING:
    import numpy as np

    from gradus.compress.classifier import Classifier
    from gradus.compress.integers import Form
    from gradus.predict.base import Predictor

# Bits of a weight with its share of the scales: a scale of 32 bits for 32 weights, or for a column.
_BITS: Final = {"float32": 32.0, "int8": 8.0, "int4-weights": 5.0}
_SPANS_SAMPLE: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product with constant weights.

    Attributes:
        name: of its weights.
        parameters: how many.
        harm: mean KL(parent || child), in nats, when this product alone takes fewer bits.
    """

    name: str
    parameters: int
    harm: float


class MixedPrecision(OnnxScheme):
    """Each product gets the fewest bits that the budget on dev.select leaves room for.

    Every product is taken from `int8-dynamic`'s eight bits to four by itself, and the divergence
    from the parent that this makes is its sensitivity. Products then go to four bits in the order
    of harm for each bit saved, as many as keep the budget (bisection: harm adds up). Where eight
    bits throughout already break it, the most sensitive stay in float32 instead.

    The choice is made on dev.select; that it holds is for a gate to say, on other items.
    """

    summary: ClassVar[str] = "four, eight or 32 bits a product by sensitivity, under a budget"
    budget: ClassVar[bool] = True
    bounds: ClassVar[Bounds] = COARSE
    dtype: ClassVar[str] = "int8, int4 and float32 mixed"

    def rewrite(self, model: Any, classifier: Classifier, material: Material) -> Rewrite:
        """Find the forms and put them in place."""
        from gradus.compress.integers import quantise_graph

        assert material.allowance is not None  # the step gives one to schemes with a budget
        most, facts, notes = integer_range()
        with tempfile.TemporaryDirectory() as place:
            search = Search(model, classifier, material, most, Path(place), self.dtype)
            forms, found = search.run(material.allowance)
        done = quantise_graph(model, most=most, forms=forms)
        return Rewrite(
            rewritten=done.rewritten,
            kept_parameters=done.kept_parameters,
            facts={**facts, "mixed": found},
            notes=(*notes, _note(found)),
        )


def _note(found: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{n} in {form}" for form, n in found["forms"].items())
    kept = "within" if found["keeps_budget"] else "outside, as eight bits and float32 are too,"
    return (
        f"Products: {counts}; {found['metric']} on dev.select {found['value']:.4f} against the "
        f"parent's {found['parent']:.4f}, {kept} the {found['lose']:g} that may be lost."
    )


class Search:
    """The search for the forms of one graph's products."""

    def __init__(
        self,
        model: Any,
        classifier: Classifier,
        material: Material,
        most: int,
        place: Path,
        dtype: str,
    ) -> None:
        self._model, self._classifier, self._material = model, classifier, material
        self._most, self._place = most, place
        self._preprocessing = {**classifier.preprocessing(), "dtype": dtype}
        classifier.copy_tokenizer(place)
        self.tried = 0

    def run(self, allowed: Allowance) -> tuple[dict[str, Form], dict[str, Any]]:
        """The form of every product that isn't in eight bits, and what the report says of it."""
        whole = self._outputs({}, "float32")
        value = allowed.value(self._predictor({}, "int8"))
        # Eight bits throughout keep the budget: go down from there. Otherwise: up.
        narrow: Form = "int4-weights" if allowed.keeps(value) else "float32"
        products = self._products(whole, narrow)
        if narrow == "int4-weights":
            order = sorted(products, key=lambda p: (p.harm / p.parameters, p.name))
            taken, value = self._most_that_keep(order, narrow, allowed, value)
        else:
            order = sorted(products, key=lambda p: (-p.harm / p.parameters, p.name))
            taken, value = self._fewest_that_keep(order, narrow, allowed, value)
        forms = {product.name: narrow for product in order[:taken]}
        counts = {"int8": len(order) - taken, narrow: taken}
        bits = sum(_BITS[forms.get(p.name, "int8")] * p.parameters for p in products)
        return forms, {
            "metric": allowed.metric,
            "parent": allowed.parent,
            "lose": allowed.lose,
            "value": value,
            "keeps_budget": allowed.keeps(value),
            "forms": {form: n for form, n in counts.items() if n},
            "bits_per_weight": bits / max(sum(p.parameters for p in products), 1),
            "graphs_tried": self.tried,
            "products": [
                {
                    "weights": p.name,
                    "parameters": p.parameters,
                    "harm": p.harm,
                    "form": forms.get(p.name, "int8"),
                }
                for p in order
            ],
        }

    def _most_that_keep(
        self, order: Sequence[Product], form: Form, allowed: Allowance, value: float
    ) -> tuple[int, float]:
        """The longest beginning of `order` that keeps the budget in `form`, with its value."""
        low, high = 0, len(order)
        while low < high:
            middle = (low + high + 1) // 2
            found = self._value(order[:middle], form, allowed)
            if allowed.keeps(found):
                low, value = middle, found
            else:
                high = middle - 1
        return low, value

    def _fewest_that_keep(
        self, order: Sequence[Product], form: Form, allowed: Allowance, value: float
    ) -> tuple[int, float]:
        """The shortest beginning of `order` in `form` that keeps the budget, or all of it."""
        low, high = 0, len(order)
        value = self._value(order, form, allowed)
        while low < high:
            middle = (low + high) // 2
            found = self._value(order[:middle], form, allowed)
            if allowed.keeps(found):
                high, value = middle, found
            else:
                low = middle + 1
        return high, value

    def _value(self, products: Sequence[Product], form: Form, allowed: Allowance) -> float:
        return allowed.value(self._predictor({p.name: form for p in products}, "int8"))

    def _products(self, whole: np.ndarray, form: Form) -> list[Product]:
        """Every product with the harm of taking it from eight bits to `form`, or to eight bits."""
        from gradus.compress.integers import products

        weights = {i.name: i for i in self._model.graph.initializer}
        found = []
        for name in products(self._model):
            # Towards float32, what eight bits do to this product alone is what would be mended.
            forms, rest = (
                ({name: "int8"}, "float32") if form == "float32" else ({name: form}, "int8")
            )
            harm = self._harm(whole, self._outputs(forms, rest))  # type: ignore[arg-type]  # both are Forms
            size = 1
            for length in weights[name].dims:
                size *= int(length)
            found.append(Product(name=name, parameters=size, harm=harm))
        return found

    def _harm(self, whole: np.ndarray, narrow: np.ndarray) -> float:
        from gradus.parity import compare

        target = str(self._preprocessing.get("target", "label"))
        if target == "number":
            found = compare(whole, narrow, handoff="mixed", outputs="number").mean_logit
        else:
            found = compare(whole, narrow, handoff="mixed").kl
        return float("inf") if found is None else found

    def _outputs(self, forms: Mapping[str, Form], rest: Form) -> np.ndarray:
        predictor = self._predictor(forms, rest)
        texts = list(self._material.texts)
        match predictor.target:
            case "spans":
                return predictor.tag_log_probs(texts[:_SPANS_SAMPLE])
            case "number":
                return predictor.numbers(texts)[:, None]
        return predictor.log_probs(texts)

    def _predictor(self, forms: Mapping[str, Form], rest: Form) -> Predictor:
        """The graph with these forms, ready to predict."""
        import onnx

        from gradus.compress.export import write_graph
        from gradus.compress.integers import quantise_graph
        from gradus.predict.onnx import GRAPH, OnnxPredictor

        copy = onnx.ModelProto()
        copy.CopyFrom(self._model)
        quantise_graph(copy, most=self._most, form=rest, forms=forms)
        size = write_graph(copy, self._place / GRAPH)
        self.tried += 1
        return OnnxPredictor(
            folder=self._place,
            labels=self._classifier.manifest.labels,
            preprocessing=self._preprocessing,
            threads=self._material.threads,
            size_bytes=size,
        )
