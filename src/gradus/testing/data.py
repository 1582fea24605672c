"""The contracts of metrics and benchmarks, of sources and formats."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from gradus import registry
from gradus.metrics.base import Items, Metric, Observed, Predictions
from gradus.records import Span, Target
from gradus.testing.base import Contract, refused
from gradus.testing.world import Rows, World

if TYPE_CHECKING:
    from gradus.data.formats.base import Row, Tally

_COSTS = ("latency", "throughput", "memory", "size")


_TARGETS: Final[Mapping[str, Target]] = {
    "labelsets": "labels",
    "labelset probabilities": "labels",
    "numbers": "number",
    "spans": "spans",
}
"""The data that a metric's needs are met by; one label a text for all others."""


_ANSWERS: Final[Mapping[str, Target]] = {
    "texts": "text",
    "greedy": "text",
    "gaps": "masked",
    "options": "option",
    "replies": "reply",
    "outcomes": "outcome",
    "writings": "writing",
}
"""What a language model is asked for where a metric needs it."""


_LABELS: Final[Mapping[str, int]] = {"penalty": 1}
"""The label that a metric is tried on where it isn't one of the first."""


def answers(target: Target, size: int = 60) -> Items:
    """A language model's answers, drawn from the population that its metrics are tried on."""
    from gradus.testing import populations

    need = next(need for need, of in _ANSWERS.items() if of == target)
    world = populations.World(accuracy=0.6, size=size)
    found: Items = populations.BUILDERS[need](world, np.random.default_rng(0))
    return found


def real_predictions(world: World) -> Items:
    """What a model fitted on train says of test.

    For one label a text it is a baseline, with the class shares as its parent's say.
    """
    from gradus.measure import quality
    from gradus.predict import load

    if world.target != "label":
        predictor = load(world.model(_predictor(world))).predictor
        found = world.dataset.splits["test"], world.dataset.labels
        return quality.predictions(predictor, *found, target=world.target)
    outcome = world.run("baseline", {"data": "news"}, world.folder / "predictions")
    assert outcome.checkpoint is not None
    split, labels = world.dataset.splits["test"], world.dataset.labels
    both = (
        quality.predictions(load(path).predictor, split, labels)
        for path in (outcome.checkpoint, outcome.extras["majority"])
    )
    own, parent = (p for p in both if isinstance(p, Predictions))
    return quality.with_parent(own, parent)


def real_costs(world: World) -> Observed:
    """What it costs to run a baseline, or where there is none, a model fitted on train."""
    from gradus.measure import cost
    from gradus.predict import load

    predictor = load(Path(world.model(_predictor(world)).path)).predictor
    texts = world.dataset.splits["test"].texts[:8]
    observed = cost.observe(
        {"floor": predictor}, texts, repeats=6, budget_seconds=1.0, memory_mb={"floor": 200.0}
    )
    return observed["floor"]


def _predictor(world: World) -> str:
    """The world's checkpoint that says something about its target: spans have no baseline."""
    return "tuned" if world.target == "spans" else "floor"


class MetricContract(Contract):
    """A number in its range whatever the items' order; its fast forms agree with the plain one."""

    section: ClassVar[str] = "metrics"

    @property
    def target(self) -> Target:
        """What the metric can be computed from."""
        return {**_TARGETS, **_ANSWERS}.get(self.made.needs, "label")

    def metric(self) -> Metric:
        """The metric, of the first label where it is one for each."""
        kind: type[Metric] = self.made
        return kind(_LABELS.get(self.plain, 0)) if kind.per_label else kind()

    def observed(self, folder: Path) -> Any:
        """What the metric is computed from: real predictions, answers, or real timings."""
        if self.made.needs in _ANSWERS:
            return answers(self.target)
        world = self.world(folder)
        return real_costs(world) if self.made.needs in _COSTS else real_predictions(world)

    def test_it_declares_what_its_number_means(self) -> None:
        """Name, unit, direction, range and source."""
        metric = self.metric()
        assert metric.name == self.plain
        assert metric.unit
        assert metric.direction in ("higher", "lower")
        low, high = metric.range
        assert low < high
        assert len(metric.source) > 10
        assert metric.interval in ("wilson", "bootstrap", "order statistic", "none")

    def test_a_number_in_its_range(self, tmp_path: Path) -> None:
        """On real input the value is finite and within the declared range."""
        value = self.metric()(self.observed(tmp_path))
        assert isinstance(value, float)
        assert math.isfinite(value)
        low, high = self.metric().range
        assert low <= value <= high

    def test_the_order_of_items_has_no_part(self, tmp_path: Path) -> None:
        """The same items in another order give the same value."""
        observed = self.observed(tmp_path)
        if not isinstance(observed, Items):
            return
        order = np.random.default_rng(0).permutation(len(observed))
        np.testing.assert_allclose(
            self.metric()(observed.take(order)), self.metric()(observed), rtol=1e-12
        )

    def test_its_fast_forms_agree(self, tmp_path: Path) -> None:
        """Weightings give what resamples give; successes give the value."""
        observed = self.observed(tmp_path)
        if not isinstance(observed, Items):
            return
        metric = self.metric()
        draws = np.random.default_rng(0).integers(0, len(observed), (5, len(observed)))
        counts = np.stack([np.bincount(d, minlength=len(observed)) for d in draws]).astype(float)
        weighted = metric.weighted(observed, counts)
        if weighted is not None:
            plain = [metric(observed.take(rows)) for rows in draws]
            np.testing.assert_allclose(weighted, plain, rtol=1e-9, atol=1e-12)
        successes = metric.successes(observed) if metric.interval == "wilson" else None
        if successes is not None:
            assert math.isclose(metric.of_share(float(successes.mean())), metric(observed))

    def test_its_interval_holds_the_value(self, tmp_path: Path) -> None:
        """Where it has an interval, the value lies within."""
        from gradus.stats.intervals import interval

        metric, observed = self.metric(), self.observed(tmp_path)
        low, high = interval(metric, observed, level=0.95, draws=200, seed=0).ends()
        value = metric(observed)
        assert low is None or low <= value + 1e-9
        assert high is None or value <= high + 1e-9


class BenchmarkContract(Contract):
    """A benchmark's metrics are in the catalog and can be computed as its protocol says."""

    section: ClassVar[str] = "benchmarks"

    @property
    def target(self) -> Target:
        """The benchmark's own, or what one on a published file observes."""
        return self.made.target or getattr(self.made, "kind", None) or "label"

    def test_its_name_is_versioned(self) -> None:
        """Measurements carry the same name as the catalog."""
        assert self.made.name == registry.resolve("benchmarks", self.entry)
        assert len(self.made.protocol) > 60

    def test_every_metric_is_known_and_computed(self, tmp_path: Path) -> None:
        """The rooms that measure give a record of each of its metrics."""
        from gradus.measure import cost, quality

        wanted = set(self.made.metrics)
        assert wanted <= {registry.plain(name) for name in registry.names("metrics")}
        common = {"data": "news", "split": "test", "checkpoint": "floor", "contract": {}}
        settings: dict[str, Any] = {"common": common, "level": 0.95, "seed": 0}
        if self.target in _ANSWERS.values():
            observed = answers(self.target)
            wanted = set(self.made.metrics_on(observed))
            found = quality.measurements(observed, draws=100, **settings)
            mine = {m.metric.partition("[")[0] for m in found if m.value is not None}
            assert wanted == mine if self.made.target else wanted <= mine
            return
        world = self.world(tmp_path)
        found = quality.measurements(real_predictions(world), draws=100, **settings)
        found += cost.measurements(real_costs(world), **settings)
        mine = {m.metric.partition("[")[0] for m in found if m.benchmark == self.made.name}
        assert mine == wanted


class SourceContract(Contract):
    """The example is well formed, and what it points at is found."""

    section: ClassVar[str] = "sources"

    def example(self) -> dict[str, Any]:
        """The source of the class's `example`."""
        import yaml

        raw = yaml.safe_load(self.made.example)
        assert isinstance(raw, dict)
        return raw

    def place(self, folder: Path) -> Path | None:
        """Put there what the example points at, relative to the folder that is given back.

        None says that the example can't be located here, e.g. without a network.
        """
        raise NotImplementedError(f"the contract of source '{self.entry}' must say what is there")

    def test_the_example_is_well_formed(self) -> None:
        """It names this source alone, and a field that isn't known is refused by name."""
        from gradus import sources

        example = self.example()
        assert self.made.key == self.plain
        assert self.made.key in example
        for purpose in self.made.purposes:
            assert sources.check(example, purpose=purpose) == []
            (fault,) = sources.check({**example, "no_such_field": 1}, purpose=purpose)
            assert "no_such_field" in fault

    def test_the_example_is_found(self, tmp_path: Path) -> None:
        """The path exists, the origin says how a plan would name it."""
        from gradus import sources

        folder = self.place(tmp_path)
        if folder is None:
            return
        example = self.example()
        if "data" in self.made.purposes:
            located = sources.locate_data(example, folder)
            assert located.path.exists()
            assert located.origin[self.made.key]
        else:
            ref = sources.locate_weights("example", example, folder)
            assert len(ref.digest) == 64
            assert ref.origin[self.made.key]

    def test_what_is_absent_is_one_clear_error(self, tmp_path: Path) -> None:
        """Nothing there: `SourceError`, which names what was looked for."""
        from gradus import sources
        from gradus.errors import SourceError

        if self.place(tmp_path) is None:
            return
        missing = {self.made.key: "no-such-thing-here"}

        def locate() -> object:
            if "data" in self.made.purposes:
                return sources.locate_data(missing, tmp_path)
            return sources.locate_weights("x", missing, tmp_path)

        assert "no-such-thing-here" in str(refused(SourceError, locate))


class FormatContract(Contract):
    """Rows come back as they were written, with the file and line where each stands."""

    section: ClassVar[str] = "formats"
    options: ClassVar[Mapping[str, Any]] = {}

    def write(self, folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
        """Write `rows` in this format; gives the path and ``columns`` as a plan has them."""
        raise NotImplementedError(f"the contract of format '{self.entry}' must write it")

    def expected(self, rows: Rows) -> list[tuple[Any, Any]]:
        """What is read where `rows` were written; of spans, the first word with the label."""
        if self.made.implies != "spans":
            return list(rows)
        return [
            (" ".join(text.split()), (Span(0, len(text.split()[0]), label),))
            for text, label in rows
        ]

    def read(self, path: Path, columns: Mapping[str, str], tally: Tally | None = None) -> list[Row]:
        """The rows of what was written at `path`; a folder's files in the order of their names."""
        from gradus.data.fields import ColumnsConfig
        from gradus.data.rows import read_rows

        reader = self.made(self.made.Config(**self.options))
        whole = path.is_file() or self.made.folder
        files = [path] if whole else sorted(p for p in path.rglob("*") if p.is_file())
        return list(
            read_rows(
                reader,
                files,
                target=self.made.implies or "label",
                columns=ColumnsConfig(**columns),
                encodings=None if tally is not None else ("utf-8",),
                tally=tally,
            )
        )

    def test_the_example_is_a_data_set(self) -> None:
        """The example is an entry of a plan's ``data:``."""
        import yaml

        from gradus.data.config import DataConfig

        config = DataConfig.model_validate(yaml.safe_load(self.made.example))
        assert config.format in ("auto", registry.resolve("formats", self.entry))
        assert self.made.name == self.plain
        assert all(s.startswith(".") and s == s.lower() for s in self.made.suffixes)

    def test_rows_come_back(self, tmp_path: Path) -> None:
        """Texts and labels are those that were written; lines count from 1."""
        from gradus.data.formats.base import Tally

        wanted = self.world(tmp_path).rows
        path, columns = self.write(tmp_path / "written", wanted)
        tally = Tally()
        rows = self.read(path, columns, tally)
        found = sorted((row.text, row.label) for row in rows)
        assert found == sorted(self.expected(wanted))
        assert all(row.file.exists() and row.line >= 1 for row in rows)
        assert len({(row.file, row.line) for row in rows}) == len(rows)
        assert tally.files == len({row.file for row in rows})

    def test_bytes_that_are_no_text_are_one_clear_error(self, tmp_path: Path) -> None:
        """`DataError` names the file, or the folder where that is the data set."""
        from gradus.errors import DataError

        path, columns = self.write(tmp_path / "written", self.world(tmp_path).rows[:4])
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        broken = max(files, key=lambda p: p.stat().st_size)
        content = broken.read_bytes()
        broken.write_bytes(content[: len(content) // 2] + b"\xff\xfe\x81" + content[-5:])
        error = refused(DataError, lambda: self.read(path, columns))
        assert error.file in (str(broken), str(path))
