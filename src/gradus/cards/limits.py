"""What a card says that isn't known: plain sentences, each from facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gradus.cards.licences import UNKNOWN
from gradus.cards.measured import Row, compared
from gradus.report.format import count, number, percent

FEW: Final = 300
WIDE: Final = 0.1
"""From so many items on, and up to such a width of the interval, no more is said of it."""


def limits(known: Mapping[str, Any]) -> list[str]:
    """Sentences on what wasn't measured, and on what the numbers don't carry."""
    return [
        *_measured(known),
        *_test(known),
        *_looks(known),
        *_few(known["measurements"]),
        *_seeds(known),
        *_slices(known),
        *_gates(known["verdicts"]),
        *_computed(known),
        *_abstains(known),
        *_window(known),
        *_licences(known),
    ]


def _measured(known: Mapping[str, Any]) -> Iterator[str]:
    if not known["measurements"]:
        yield "Nothing was measured of this checkpoint, as far as its folder and the run tell."
        return
    whole = [row for row in known["measurements"] if row["role"] == "whole"]
    for data in dict.fromkeys(row["data"] for row in whole if row["optimistic"]):
        yield (
            f"The two halves of dev of {data} are joined: the data behind its figures on dev also "
            "chose the model, so these are optimistic and not in the model index."
        )
    names = list(dict.fromkeys(row["data"] for row in whole))
    if len(names) == 1:
        yield f"All figures are of {names[0]}; on texts of another origin nothing was measured."


def _test(known: Mapping[str, Any]) -> Iterator[str]:
    tested = {row["data"] for row in known["measurements"] if row["split"] == "test"}
    for data in known["data"]:
        name, readings = data["name"], data["readings"]
        if readings is None:
            continue
        if name in tested:
            times = _times(readings)
            last = (
                ": each reading makes the next figure on it a little less trustworthy"
                if readings > 1
                else ""
            )
            yield f"The test split of {name} has been read {times} in all runs{last}."
        elif readings:
            yield (
                f"The test split of {name} has been read {_times(readings)} in all runs, never "
                "with this checkpoint as far as this run tells."
            )
        else:
            yield f"The test split of {name} has never been read."


def _looks(known: Mapping[str, Any]) -> Iterator[str]:
    used = {row["data"] for row in known["measurements"] if row["split"] == "dev.gate"}
    for data in known["data"]:
        looks = data["looks"].get("dev.gate", 0)
        if data["name"] in used and looks > 1:
            yield (
                f"Checkpoints were measured {looks:,} times on dev.gate of {data['name']}, and "
                "what was seen there may have led what came after."
            )


def _times(n: int) -> str:
    return "once" if n == 1 else count(n, "time")


def _few(rows: Sequence[Row]) -> Iterator[str]:
    places = dict.fromkeys((row["data"], row["split"]) for row in rows if row["role"] == "whole")
    for data, split in places:
        here = [
            row
            for row in rows
            if (row["data"], row["split"], row["role"]) == (data, split, "whole")
            and row["ci_low"] is not None
            and row["ci_high"] is not None
        ]
        first = next(iter(compared(here)), None)
        if first is None:
            continue
        width = first["ci_high"] - first["ci_low"]
        if first["n"] >= FEW and (first["unit"] != "proportion" or width <= WIDE):
            continue
        where = ".".join(part for part in (data, split) if part)
        unit = first["unit"]
        yield (
            f"Figures on {where} rest on {count(first['n'], 'item')}: {first['metric']} may be "
            f"anything from {number(first['ci_low'], unit)} to {number(first['ci_high'], unit)} "
            f"({percent(first['level'])} confidence)."
        )


def _seeds(known: Mapping[str, Any]) -> Iterator[str]:
    made = known["made"]
    if made.get("repeat") is not None:
        many = max((row["seeds"] for row in known["measurements"]), default=1)
        yield (
            f"The step was repeated with {many} seeds, and this is seed {made['repeat']}. "
            "Intervals were computed over all seeds, not for this one alone."
        )
    elif made.get("step") is not None and known["checkpoint"]["facts"].get("stages"):
        yield "It was trained with one seed: how much another would change wasn't measured."


def _slices(known: Mapping[str, Any]) -> Iterator[str]:
    if not known["measurements"]:
        return
    parts = [row["metric"] for row in known["measurements"] if "{" in row["metric"]]
    by = {metric.partition("{")[2].partition("=")[0] for metric in parts}
    if not by & {"language", "script"}:
        yield "Languages weren't told apart: which it is good at wasn't measured."
    if not by:
        yield "No groups within the data (lengths, sources, languages) were measured apart."


def _gates(verdicts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for verdict in verdicts:
        gate, said = verdict["gate"], verdict["verdict"]
        if said == "closed":
            yield f"The gate '{gate}' is closed: {verdict['why']}."
        elif said == "undecided":
            needed = verdict["n_needed"]
            more = f"; about {needed:,} items would decide" if needed else ""
            yield f"The gate '{gate}' is undecided on {count(verdict['n'], 'item')}{more}."
        if not verdict["claim"]:
            yield (
                f"No claim rests on the gate '{gate}': an earlier test of the plan failed "
                "(fixed-sequence testing)."
            )


def _computed(known: Mapping[str, Any]) -> Iterator[str]:
    measured = known["contract"].get("dtype", [])
    trained = known["checkpoint"]["facts"].get("dtype")
    if not measured:
        return
    backends = known["contract"].get("backend", [])
    on = f" with {' and '.join(backends)}" if backends else ""
    text = f"It was measured in {' and '.join(measured)}{on}"
    if isinstance(trained, str) and trained not in measured:
        text += f", and trained in {trained}"
    yield f"{text}; in another dtype or runtime the figures may differ."


def _abstains(known: Mapping[str, Any]) -> Iterator[str]:
    after = known["checkpoint"]["preprocessing"].get("postprocess")
    below = after.get("abstain_below") if isinstance(after, Mapping) else None
    if isinstance(below, int | float):
        what = "leaves spans out" if known["checkpoint"]["target"] == "spans" else "abstains"
        yield f"It {what} where the probability is below {number(below, 'proportion')}."


def _window(known: Mapping[str, Any]) -> Iterator[str]:
    most = known["checkpoint"]["preprocessing"].get("max_tokens")
    if not isinstance(most, int):
        return
    share = find_share(known["checkpoint"]["facts"])
    text = f"It sees at most {most:,} tokens of a text"
    if share is None:
        yield f"{text}; how many of the texts are longer wasn't counted."
    elif share == 0:
        yield f"{text}; none of those that it learnt from is longer."
    else:
        said = "less than 0.1%" if share < 0.001 else f"{100 * share:.1f}%"
        yield f"{text}; {said} of those that it learnt from are longer and were cut."


def find_share(value: Any) -> float | None:
    """``truncated_share`` wherever it stands in a step's facts; the first where there are more."""
    if isinstance(value, Mapping):
        share = value.get("truncated_share")
        if isinstance(share, int | float) and not isinstance(share, bool):
            return float(share)
        value = list(value.values())
    for inner in value if isinstance(value, list | tuple) else ():
        found = find_share(inner)
        if found is not None:
            return found
    return None


def _licences(known: Mapping[str, Any]) -> Iterator[str]:
    licence = known["licence"]
    if licence["hub"] == UNKNOWN:
        yield f"Its licence is unknown: {licence['why']}."
    for one in known["lineage"]:
        said = one["licence"]
        if said and said["others"]:
            yield (
                f"On the licence of {one['name']} there are two opinions: {said['said']} "
                f"according to {said['where']}, {' and '.join(said['others'])}."
            )
    unsaid = [
        data["name"]
        for data in known["data"]
        if any(source["licence"]["hub"] == UNKNOWN for source in data["sources"])
    ]
    if unsaid:
        yield f"The licence of the data is unknown: {', '.join(dict.fromkeys(unsaid))}."
