"""A card's facts as README.md: the head that the Hub reads, then what people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from gradus.cards.licences import UNKNOWN
from gradus.cards.measured import COST, PARITY, Row, compared
from gradus.cards.metadata import metadata, yaml_head
from gradus.checkpoints.seen import SEEN
from gradus.report.format import NONE, count, duration, moment, number, plain
from gradus.report.markdown import fence, table, text
from gradus.report.tables import Cell, make, measured, verdict

_LOCAL = ("file", "folder", "gguf")
_COMMANDS = {"text": "generate", "reply": "generate"}


def render(known: Mapping[str, Any]) -> str:
    """The whole card as UTF-8 text with line ends of Unix."""
    parts = [
        yaml_head(metadata(known)) + f"\n# {text(known['name'])}",
        _warning(known),
        _intro(known),
        *_section("Use", _use(known)),
        *_section("Results", _results(known), _seeds(known), _gates(known)),
        *_section("Limits", "\n".join(f"- {text(one)}" for one in known["limits"])),
        *_section("Lineage", _lineage(known)),
        *_section("Data", _data(known)),
        *_section("Licence", _licence(known)),
        *_section("How it was made", _made(known), _cost(known)),
        *_section("How it was measured", _contract(known), _every(known)),
    ]
    body = "\n\n".join(part for part in parts if part)
    return body.encode("utf-8", "replace").decode("utf-8") + "\n"


def _section(title: str, *bodies: str) -> list[str]:
    kept = [body for body in bodies if body]
    return [f"## {title}", *kept] if kept else []


def _warning(known: Mapping[str, Any]) -> str:
    closed = [v for v in known["verdicts"] if v["verdict"] == "closed"]
    if not closed:
        return ""
    named = ", ".join(f"“{v['gate']}”" for v in closed)
    said = "A gate is closed" if len(closed) == 1 else f"{len(closed)} gates are closed"
    return f"> **{said}: {text(named)}.** The plan that made this checkpoint asked for more."


def _intro(known: Mapping[str, Any]) -> str:
    checkpoint, made = known["checkpoint"], known["made"]
    what = f"A checkpoint of kind {checkpoint['kind']}"
    if checkpoint["target"] is not None:
        what += f" for {_task(known)}"
    if made["step"] is not None:
        what += f", made by the step {made['step']} ({made['kind']}) of the plan {made['plan']}"
    labels = checkpoint["labels"]
    lines = [f"{text(what)}."]
    if labels:
        shown = ", ".join(labels[:50])
        more = f" and {len(labels) - 50} more" if len(labels) > 50 else ""
        lines.append(f"It knows {count(len(labels), 'label')}: {text(shown)}{more}.")
    if made.get("about"):
        lines.append(text(made["about"]))
    return "\n\n".join(lines)


def _task(known: Mapping[str, Any]) -> str:
    return {
        "label": "one label a text",
        "labels": "any number of labels a text",
        "number": "a number a text",
        "spans": "labelled spans of a text",
        "reply": "replies to texts",
        "text": "going on with texts",
        "masked": "filling gaps in texts",
    }.get(known["checkpoint"]["target"], str(known["checkpoint"]["target"]))


def _use(known: Mapping[str, Any]) -> str:
    command = _COMMANDS.get(known["checkpoint"]["target"], "predict")
    if known["checkpoint"]["target"] in (None, "masked"):
        return ""
    given = '--prompt "Once"' if command == "generate" else "--input texts.txt"
    lines = ["pip install gradus-lm", f"gradus {command} FOLDER {given}"]
    shown = fence("\n".join(lines)).replace("```", "```bash", 1)
    said = "FOLDER is a copy of this one; the files are checked against their hashes on loading."
    return f"{shown}\n\n{said}"


def _results(known: Mapping[str, Any]) -> str:
    rows = [r for r in known["measurements"] if r["role"] in ("whole", "writing")]
    own = [row for row in rows if row["seeds"] == 1]
    return table(_table(compared(own)))


def _seeds(known: Mapping[str, Any]) -> str:
    rows = [r for r in known["measurements"] if r["role"] == "whole" and r["seeds"] > 1]
    if not rows:
        return ""
    many = max(row["seeds"] for row in rows)
    return f"Over all {many} seeds of the step:\n\n{table(_table(compared(rows)))}"


def _table(rows: Sequence[Row]) -> Any:
    spec = [("on", False), ("metric", False), ("value", True), ("interval", True)]
    spec += [("items", True), ("note", False)]
    return make(
        spec,
        [
            (
                Cell(_where(row)),
                Cell(row["metric"]),
                Cell(_value(row)),
                Cell(_interval(row)),
                Cell(number(row["n"])),
                Cell(_note(row)),
            )
            for row in rows
        ],
    )


def _where(row: Row) -> str:
    place = ".".join(part for part in (row["data"], row["split"]) if part)
    return place or str(row["benchmark"])


def _value(row: Row) -> str:
    return measured({**row, "ci_low": None, "ci_high": None}).text


def _interval(row: Row) -> str:
    return measured(row).small


def _note(row: Row) -> str:
    found = []
    if row["optimistic"]:
        found.append("optimistic: these data chose the model too")
    if row["seeds"] > 1:
        found.append(f"over {row['seeds']} seeds")
    if "sample" in row["contract"]:
        found.append(f"a sample: {row['contract']['sample']}")
    return ", ".join(found)


def _gates(known: Mapping[str, Any]) -> str:
    spec = [("gate", False), ("verdict", False), ("why", False)]
    rows = [
        (Cell(v["gate"]), verdict(v["verdict"]), Cell(v["why"] if v["claim"] else _unclaimed(v)))
        for v in known["verdicts"]
    ]
    return table(make(spec, rows))


def _unclaimed(found: Mapping[str, Any]) -> str:
    return f"{found['why']} (no claim: an earlier test of the plan failed)"


def _lineage(known: Mapping[str, Any]) -> str:
    spec = [("generation", True), ("name", False), ("kind", False), ("from", False)]
    spec += [("licence", False), ("digest", False)]
    rows = [
        (
            Cell(str(one["generation"])),
            Cell(one["name"]),
            Cell(one["kind"]),
            Cell(_origin(one["origin"])),
            Cell(_said(one["licence"])),
            Cell(one["digest"]),
        )
        for one in known["lineage"]
    ]
    said = f"SHA-256 of this checkpoint's content: `{known['checkpoint']['digest']}`."
    shown = table(make(spec, rows)) or "It was made from no other model."
    return f"{said}\n\n{shown}"


def _origin(origin: Mapping[str, Any]) -> str:
    """How a plan names it, without the folders of the machine that it was made on."""
    shown = {
        key: PurePath(value).name if key in _LOCAL and isinstance(value, str) else value
        for key, value in origin.items()
        if key != "license"
    }
    return plain(shown)


def _said(licence: Mapping[str, Any] | None) -> str:
    if licence is None:
        return ""
    return UNKNOWN if licence["hub"] == UNKNOWN else str(licence["said"])


def _data(known: Mapping[str, Any]) -> str:
    spec = [("data", False), ("used to", False), ("split", False), ("size", True)]
    spec += [("from", False), ("licence", False), ("digest", False)]
    rows = []
    for data in known["data"]:
        uses = [("train", data["trained_on"]), ("measure", data["measured_on"])]
        used = " and ".join(name for name, holds in uses if holds)
        origin = "; ".join(dict.fromkeys(_origin(s["origin"]) for s in data["sources"]))
        licence = "; ".join(dict.fromkeys(_said(s["licence"]) for s in data["sources"]))
        lead = [data["name"], used]
        rows.append(_data_row(lead, "all", NONE, origin, licence, data["digest"]))
        for split, digest in data["split_digests"].items():
            sizes = data["splits"].get(split, {})
            size = sizes.get("rows", sizes.get("documents"))
            rows.append(_data_row(["", ""], split, number(size), "", "", digest))
    return table(make(spec, rows))


def _data_row(lead: list[str], *rest: str) -> tuple[Cell, ...]:
    return tuple(Cell(str(part)) for part in (*lead, *rest))


def _licence(known: Mapping[str, Any]) -> str:
    licence = known["licence"]
    said = licence["said"] or licence["hub"]
    files = licence.get("files", ())
    beside = f" Texts that came with its sources: {text(', '.join(files))}." if files else ""
    return f"{text(said)}: {text(licence['why'])}.{beside}"


def _made(known: Mapping[str, Any]) -> str:
    checkpoint, made = known["checkpoint"], known["made"]
    pairs: list[tuple[str, str]] = []
    if made["run"] is not None:
        pairs += [("run", made["run"]), ("seed of the plan", str(made["seed"]))]
        pairs += [("fingerprint of the step", made["fingerprint"] or NONE)]
    pairs += [
        ("saved", moment(checkpoint["created"])),
        ("gradus", checkpoint["gradus"]),
        ("size", f"{checkpoint['size_bytes'] / 1e6:.1f} MB"),
    ]
    pairs += [(name.replace("_", " "), plain(v)) for name, v in _brief(checkpoint["facts"])]
    pairs += [(f"note {i}", note) for i, note in enumerate(made["notes"], start=1)]
    return _pairs(pairs)


def _brief(facts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What a step says of itself in one value or a short list; tables stay in the run."""
    found = []
    for name, value in facts.items():
        if name == SEEN:
            continue
        if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
            if name == "stages":
                found += [(f"stage {i}", _stage(one)) for i, one in enumerate(value, start=1)]
        elif len(plain(value)) <= 300:
            found.append((name, value))
    return found


def _stage(told: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's settings and how it ended, without its curves."""
    return {
        name.replace("_", " "): value
        for name, value in told.items()
        if not isinstance(value, list | Mapping)
        and "{" not in name
        and name != "stage"
        and len(plain(value)) <= 60
    }


def _cost(known: Mapping[str, Any]) -> str:
    pairs = []
    for name, value in known["cost"].items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            in_time = name.endswith("seconds")
            shown = duration(value) if in_time else number(value)
            pairs.append((name.replace("_", " "), shown))
    if pairs and known["environment"].get("processor"):
        at = known["environment"]
        cores = f"{at['processor']}, {count(at.get('threads', 1), 'thread')}"
        pairs.append(("processor", cores))
    return f"Cost of the step:\n\n{_pairs(pairs)}" if pairs else ""


def _contract(known: Mapping[str, Any]) -> str:
    return _pairs([(key, ", ".join(values)) for key, values in known["contract"].items()])


def _every(known: Mapping[str, Any]) -> str:
    rows = known["measurements"]
    shown = [*(r for r in rows if r["role"] not in (COST, PARITY)), *_late(rows)]
    if not shown:
        return ""
    made = table(_table(shown))
    head = f"<details><summary>Every measurement ({len(shown)})</summary>"
    return f"{head}\n\n{made}\n\n</details>"


def _late(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["role"] in (COST, PARITY)]


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- {text(name)}: {text(str(value))}" for name, value in pairs)
