"""Every cell of the README's support table: trained, saved, loaded, asked; or clearly refused."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.objectives import families, tagged

from gradus.data.dataset import Split, TrainingData
from gradus.errors import GradusError
from gradus.predict import load
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext
from gradus.steps.finetune import Finetune, FinetuneConfig

ROOT = Path(__file__).resolve().parents[2]


def _support() -> Any:
    spec = importlib.util.spec_from_file_location("support", ROOT / "docs" / "support.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


support = _support()
CELLS = [
    # Every objective and strategy on one family at once, the other families in the slow suite.
    pytest.param(
        objective,
        strategy,
        family,
        marks=() if family == "bert" else (pytest.mark.slow,),
    )
    for objective in support.OBJECTIVES
    for strategy in support.STRATEGIES
    for family in support.FAMILIES
    if (objective, strategy, family) not in support.UNTESTED
]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CheckpointRef]:
    place = tmp_path_factory.mktemp("families")
    return {name: families.write_model(name, place / name) for name in support.FAMILIES}


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def data(objective: str) -> TrainingData:
    """Random words; with spans, those of one kind are names."""
    if objective != "tag":
        target = {"labels": "labels", "regress": "number"}.get(objective, "label")
        return families.data(target, pairs=objective == "pairs", n=40)  # type: ignore[arg-type]
    plain = families.data("label", n=40)

    def spans(part: Split) -> Split:
        words = [tuple((m, m + len(w)) for m, w in _words(text)) for text in part.texts]
        found = [
            tuple(tagged.Span(m, m + len(w), "LOW") for m, w in _words(text) if int(w[1:]) < 20)
            for text in part.texts
        ]
        labels = np.empty(len(found), dtype=object)
        labels[:] = found
        return replace(part, labels=labels, words=words)

    train, select = spans(plain.train), spans(plain.select)
    return replace(plain, labels=("LOW",), train=train, select=select, target="spans")


def _words(text: str) -> list[tuple[int, str]]:
    places, at = [], 0
    for word in text.split(" "):
        places.append((at, word))
        at += len(word) + 1
    return places


@pytest.mark.parametrize(("objective", "strategy", "family"), CELLS)
def test_the_cell_is_what_the_table_says(
    objective: str, strategy: str, family: str, sources: dict[str, CheckpointRef], tmp_path: Path
) -> None:
    rows = data(objective)
    options = {
        "model": "encoder",
        "data": "words",
        "max_tokens": 40,
        "dtype": "float32",
        "objective": {"pairs": "classify", "labels": "classify"}.get(objective, objective),
        **support.STRATEGIES[strategy][1],
    }
    if "adapter" in options:
        options["stages"] = [{"train": "head"}, {"train": "adapter", "epochs": 1, "lr": 1e-2}]
    (tmp_path / "out").mkdir()
    (tmp_path / "work").mkdir()
    context = StepContext(
        id="cell",
        seed=1,
        out=tmp_path / "out",
        work=tmp_path / "work",
        models={"encoder": sources[family]},
        data=rows,
        monitor=Silent(),
        dtype="float32",
        threads=1,
    )

    def run() -> Any:
        return Finetune().run(FinetuneConfig.model_validate(options), context)

    if support.status(objective, strategy, family) == "refused":
        with pytest.raises(GradusError, match=r"prefix"):
            run()
        return
    outcome = run()
    predictor = load(outcome.checkpoint).predictor
    texts = rows.select.texts[:5]
    if rows.target == "number":
        assert np.isfinite(predictor.numbers(texts)).all()
    elif rows.target == "spans":
        assert len(predictor.spans(texts, words=list(rows.select.words or ())[:5])) == 5
    else:
        found = predictor.log_probs(texts)
        assert found.shape == (5, len(rows.labels))
        assert np.isfinite(found).all()


class Silent:
    """Hears everything and says nothing."""

    def score(self, outputs: Any) -> dict[str, float]:
        return {}

    def point(self, **row: Any) -> None:
        pass

    def rewind(self, rows: int) -> None:
        pass

    def progress(self, done: float, total: float, text: str = "") -> None:
        pass

    def note(self, text: str) -> None:
        pass


def test_the_readme_has_the_table_of_today() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == support.written(text), "run: python docs/support.py --write"


def test_every_adapter_of_the_catalog_is_a_strategy() -> None:
    from gradus import registry

    assert {registry.plain(entry) for entry in registry.names("adapters")} <= set(
        support.STRATEGIES
    )
