"""What pretraining steps went through: losses by tokens, the gap, spikes, speed, samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gradus.report.charts.lines import Series
from gradus.report.format import (
    NONE,
    count,
    duration,
    interval,
    number,
    p_value,
    percent,
    quantity,
    signed,
)
from gradus.report.reading import Fact
from gradus.report.tables import Cell, Table, Tone, make

Row = Mapping[str, Any]
Chart = tuple[str, list[Series]]
Said = tuple[str, Tone, str]

KIND: Final = "pretrain"
POINTS: Final = 300  # of a line: more can't be told apart on a page
BESIDE: Final = 4  # samples side by side
STYLES: Final = 4  # of lines
UNITS: Final = ((1e9, "billion tokens"), (1e6, "million tokens"), (1e3, "thousand tokens"))
SPENT: Final = (
    ("validation", "validation"),
    ("probe", "samples and benchmarks"),
    ("checkpoint", "checkpoints"),
)
NATS: Final = "nats"
ZERO: Final = "zero_"
SPIKE: Final = "spike"
# What a validation may hold, with the title that it has in the table.
VALIDATED: Final = (
    ("train_loss", "train loss"),
    ("select_loss", "validation loss"),
    ("select_bits_per_byte", "bits per byte"),
    ("select_token_perplexity", "token perplexity"),
    ("select_masked_accuracy", "masked accuracy"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a model wrote after a prompt when it had seen so many tokens."""

    tokens: int
    text: str


@dataclass(frozen=True, slots=True)
class Watched:
    """A prompt and what followed it as training went on; `shown` are some of `samples`."""

    prompt: str
    samples: tuple[Sample, ...]

    @property
    def shown(self) -> tuple[Sample, ...]:
        """The first, the last and what lies evenly between."""
        last = len(self.samples) - 1
        if last < BESIDE:
            return self.samples
        places = sorted({round(i * last / (BESIDE - 1)) for i in range(BESIDE)})
        return tuple(self.samples[place] for place in places)


@dataclass(frozen=True, slots=True)
class Pretrained:
    """One step's section: sentences with sign and tone, charts over tokens, tables, samples."""

    step: str
    said: list[Said]
    charts: list[Chart]
    axis: str
    validations: Table
    spikes: Table
    speed: list[tuple[str, str]]
    prompts: list[Watched]


def pretraining(known: Fact) -> list[Pretrained]:
    """A section for each pretraining step that left curves by tokens."""
    return [_section(step) for step in known["steps"] if is_pretraining(step)]


def is_pretraining(step: Fact) -> bool:
    """Whether a step's curves are drawn by tokens here, not by epochs among the others."""
    return step["step"] == KIND and any("tokens" in row for row in _rows(step))


def _rows(step: Fact) -> list[Row]:
    return [] if step["curves"] is None else list(step["curves"]["rows"])


def _section(step: Fact) -> Pretrained:
    rows = [row for row in _rows(step) if "tokens" in row]
    size, axis = _unit(max(row["tokens"] for row in rows))
    validated = _validated(rows)
    return Pretrained(
        step=step["id"],
        said=_said(step, rows, validated),
        charts=_charts(rows, size),
        axis=axis,
        validations=_validations(validated),
        spikes=_spikes(rows),
        speed=_speed(step),
        prompts=_prompts(rows),
    )


def _validated(rows: Sequence[Row]) -> list[Row]:
    """A row for each validation, with what its probes found put in."""
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        probed = {key: value for key, value in row.items() if key.startswith(ZERO)}
        known = row if "select_loss" in row else probed
        if known:
            found.setdefault(int(row["step"]), {}).update(known)
    return [row for row in found.values() if "select_loss" in row]


def _unit(most: float) -> tuple[float, str]:
    return next(((size, name) for size, name in UNITS if most >= size), (1.0, "tokens"))


def _said(step: Fact, rows: Sequence[Row], validated: Sequence[Row]) -> list[Said]:
    said: list[Said] = []
    last = rows[-1]
    seen = f"{number(last['tokens'])} tokens in {count(int(last['step']), 'update')}"
    if validated:
        best = min(validated, key=lambda row: row["select_loss"])
        seen += f"; validation loss {number(validated[-1]['select_loss'], NATS)} at the end"
        if best is not validated[-1]:
            seen += f", lowest {number(best['select_loss'], NATS)} after {_after(best)}"
    said.append(("", "", f"{seen}."))
    said += _gap(step, [row for row in validated if row.get("gap") is not None])
    spikes = Counter(str(row[SPIKE]) for row in rows if SPIKE in row)
    if spikes:
        told = ", ".join(f"{n} {what}" for what, n in spikes.items())
        said.append(("!", "warn", f"{count(spikes.total(), 'loss spike')}: {told}."))
    return said


def _after(row: Row) -> str:
    return f"{number(row['tokens'])} tokens"


def _gap(step: Fact, measured: Sequence[Row]) -> list[Said]:
    if not measured:
        return []
    last = measured[-1]
    text = f"Gap between validation and train loss at the end: {signed(last['gap'], NATS)} nats"
    bounds = interval(last.get("gap_low"), last.get("gap_high"), NATS)
    text = f"{text} a token {bounds}".rstrip()
    test = step["facts"].get("gap_test")
    how = f" ({str(test).rstrip('.')})" if test else ""
    warned = next((row for row in measured if row.get("gap_warned")), None)
    if warned is None:
        return [("≈", "muted", f"{text}; it never widened significantly{how}.")]
    p = p_value(warned.get("gap_p"))
    since = f"{_after(warned)}{', ' + p if p else ''}"
    falls = last["select_loss"] <= min(row["select_loss"] for row in measured)
    meaning = "the validation loss itself still fell" if falls else "overfitting"
    tone: Tone = "warn" if falls else "bad"
    return [("▼", tone, f"{text}. It widened significantly after {since}{how}: {meaning}.")]


def _charts(rows: Sequence[Row], size: float) -> list[Chart]:
    """Losses with their spikes, scores on dev.select, the gap, benchmarks, rate and speed."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    apart = ("select_loss", "select_loss_low", "select_loss_high")
    scores = [n for n in names if n.startswith("select_") and n not in apart]
    groups = [
        ("Loss, nats a token", ["train_loss", "select_loss", "spike_loss"]),
        *((_title(name), [name]) for name in scores if "{" not in name),
        *_parts(rows, [name for name in scores if "{" in name]),
        ("Gap, nats a token", ["gap", "gap_low", "gap_high"]),
        *((_title(name), [name]) for name in names if name.startswith(ZERO)),
        ("Learning rate", ["lr"]),
        ("Tokens a second", ["tokens_per_second"]),
    ]
    made = [
        (title, [s for i, name in enumerate(keys, 1) if (s := _series(rows, name, i, size)).points])
        for title, keys in groups
    ]
    return [(title, series) for title, series in made if series]


def _parts(rows: Sequence[Row], names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """A chart for each score and what it is broken down by, ``select_NAME{domain=PLAY}``.

    More lines than there are styles can't be told apart: those with the highest values are drawn.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        score, _, part = name.partition("{")
        groups.setdefault((score, part.partition("=")[0]), []).append(name)
    charts = []
    for (score, by), parts in groups.items():
        last = {n: next(r[n] for r in reversed(rows) if r.get(n) is not None) for n in parts}
        shown = sorted(parts, key=lambda name: -last[name])[:STYLES]
        which = f", the {STYLES} highest" if len(parts) > STYLES else ""
        charts.append((f"{_title(score)} by {by}{which}", shown))
    return charts


def _title(name: str) -> str:
    plain = name.removeprefix("select_").removeprefix(ZERO).replace("_", " ")
    return f"{plain} on dev.select" if name.startswith("select_") else f"{plain}, zero-shot"


def _series(rows: Sequence[Row], key: str, style: int, size: float) -> Series:
    kept = [row for row in rows if isinstance(row.get(key), int | float)]
    every = -(-len(kept) // POINTS) or 1
    thinned = kept[::-1][::every][::-1]  # the last point stays
    alone = key == "spike_loss"  # a spike is a point, not a part of a line
    return Series(
        name={"lr": "learning rate", "select_loss": "validation", "train_loss": "train"}.get(
            key, _part(key)
        ),
        style=style,
        points=tuple((row["tokens"] / size, float(row[key])) for row in thinned),
        breaks=tuple(range(1, len(thinned))) if alone else (),
    )


def _part(key: str) -> str:
    """What a line is called: the part of a breakdown, or the column."""
    _, _, part = key.rstrip("}").partition("=")
    return part or key.replace("_", " ").removeprefix("select ")


def _validations(validated: Sequence[Row]) -> Table:
    kept = [(key, title) for key, title in VALIDATED if any(key in row for row in validated)]
    kept += [
        (key, key.removeprefix(ZERO).replace("_", " "))
        for key in dict.fromkeys(key for row in validated for key in row if key.startswith(ZERO))
    ]
    gaps = any(row.get("gap") is not None for row in validated)
    spec = [("tokens", False), ("update", True), *((title, True) for _, title in kept)]
    spec += [("gap", True)] if gaps else []
    return make(
        spec,
        [
            (
                Cell(number(row["tokens"])),
                Cell(number(row["step"])),
                *(Cell(_value(row, key)) for key, _ in kept),
                *([_gap_cell(row)] if gaps else []),
            )
            for row in validated
        ],
    )


def _value(row: Row, key: str) -> str:
    value = row.get(key)
    fixed = NATS if key.endswith(("loss", "bits_per_byte", "accuracy")) else ""
    return number(value, fixed) if isinstance(value, int | float) else NONE


def _gap_cell(row: Row) -> Cell:
    bounds = interval(row.get("gap_low"), row.get("gap_high"), NATS)
    if row.get("gap_warned"):
        return Cell(signed(row.get("gap"), NATS), bounds, sign="▼", tone="bad")
    return Cell(signed(row.get("gap"), NATS), bounds)


def _spikes(rows: Sequence[Row]) -> Table:
    spec = [("tokens", False), ("update", True), ("loss", True), ("expected", True)]
    return make(
        [*spec, ("what was done", False)],
        [
            (
                Cell(number(row["tokens"])),
                Cell(number(row["step"])),
                Cell(number(row.get("spike_loss"), NATS)),
                Cell(number(row.get("spike_usual"), NATS)),
                Cell(_done(row)),
            )
            for row in rows
            if SPIKE in row
        ],
    )


def _done(row: Row) -> str:
    to = row.get("spike_to_step")
    return str(row[SPIKE]) if to is None else f"{row[SPIKE]} to update {number(to)}"


def _speed(step: Fact) -> list[tuple[str, str]]:
    """Tokens, operations and rates of the whole step, and where its time went."""
    cost = step["cost"]
    seconds = cost.get("train_seconds")
    told = [
        ("tokens seen", _told(cost.get("train_tokens"))),
        ("training time", None if seconds is None else duration(seconds)),
        ("rate", _told(cost.get("tokens_per_second"), "tokens/s")),
        ("floating-point operations", _told(cost.get("flops"))),
        ("share of the ceiling", _share(cost.get("ceiling_share"))),
    ]
    for name, title in SPENT:
        spent = cost.get(f"{name}_seconds")
        share = None if spent is None or not seconds else f"{100 * spent / seconds:.1f}%"
        told.append((f"share of time in {title}", share))
    return [(name, value) for name, value in told if value is not None]


def _told(value: float | None, unit: str = "") -> str | None:
    return None if value is None else quantity(value, unit)


def _share(value: float | None) -> str | None:
    return None if value is None else percent(value)


def _prompts(rows: Sequence[Row]) -> list[Watched]:
    found: dict[str, list[Sample]] = {}
    for row in rows:
        if "sample" in row:
            sample = Sample(int(row["tokens"]), str(row["sample"]))
            found.setdefault(str(row.get("prompt", "")), []).append(sample)
    return [Watched(prompt, tuple(samples)) for prompt, samples in found.items()]
