"""The head of a card: what the Hub reads, as YAML.

Keys and the model index follow https://github.com/huggingface/hub-docs (modelcard.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gradus.cards.licences import OTHER, UNKNOWN
from gradus.cards.measured import Row

_TASKS: Final = {
    "label": ("text-classification", "Text Classification"),
    "labels": ("text-classification", "Multi-label Text Classification"),
    "number": ("text-classification", "Text Regression"),
    "spans": ("token-classification", "Token Classification"),
    "reply": ("text-generation", "Text Generation"),
    "text": ("text-generation", "Text Generation"),
    "masked": ("fill-mask", "Fill-Mask"),
}
_BY_BENCHMARK: Final = {
    "classify": "label",
    "multilabel": "labels",
    "regress": "number",
    "tag": "spans",
    "reply": "reply",
    "masked": "masked",
}
# What some reader of YAML takes for the end of a line.
_LINE_ENDS: Final = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_RELATIONS: Final = {
    "finetune": "finetune",
    "pretrain": "finetune",
    "distil": "finetune",
    "prune": "finetune",
    "quantize": "quantized",
}


def metadata(known: Mapping[str, Any]) -> dict[str, Any]:
    """The head's content, as `huggingface_hub.ModelCardData` has it; unknown keys left out."""
    task = _TASKS.get(known["checkpoint"]["target"])
    hubs = _hub_models(known)
    found: dict[str, Any] = {
        **_license(known["licence"]),
        "language": _languages(known),
        "library_name": "gradus",
        "pipeline_tag": task[0] if task else None,
        "base_model": hubs,
        "base_model_relation": _RELATIONS.get(known["made"].get("kind") or "") if hubs else None,
        "datasets": _hub_data(known),
        "metrics": _metrics(known["measurements"]),
        "tags": _tags(known, task[0] if task else None),
        "model-index": _index(known),
    }
    return {key: value for key, value in found.items() if value not in (None, [], "")}


def yaml_head(content: Mapping[str, Any]) -> str:
    """The head between its two rules; no line of it can be taken for the second."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Strings that hold any kind of line end are quoted with escapes and stay on one line."""

    def quoted(dumper: Any, value: str) -> Any:
        style = '"' if _LINE_ENDS.search(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, quoted)
    plain = _writable(content)
    # As wide as it gets, so that no string is folded.
    text: str = yaml.dump(plain, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1 << 30)
    return f"---\n{text}---\n"


def _writable(value: Any) -> Any:
    """Plain values whose strings UTF-8 can hold."""
    if isinstance(value, Mapping):
        return {_writable(key): _writable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode("utf-8")
    return value


def _license(licence: Mapping[str, Any]) -> dict[str, Any]:
    if licence["hub"] != OTHER:
        return {"license": licence["hub"]}
    name = re.sub(r"[^a-z0-9.]+", "-", str(licence["said"]).lower()).strip("-.")
    found = {"license": OTHER, "license_name": name[:80] or UNKNOWN}
    return found | ({"license_link": "LICENSE"} if "LICENSE" in licence.get("files", ()) else {})


def _languages(known: Mapping[str, Any]) -> list[str]:
    """Those that every source names on its own card; the data say nothing of theirs."""
    roots = [set(one["language"]) for one in known["lineage"] if one["root"]]
    return sorted(set.intersection(*roots)) if roots else []


def _hub_models(known: Mapping[str, Any]) -> list[str]:
    named = [one["origin"].get("hub") for one in known["lineage"] if one["root"]]
    return list(dict.fromkeys(str(name) for name in named if name))


def _hub_data(known: Mapping[str, Any]) -> list[str]:
    named = [
        source["origin"].get("hub")
        for data in known["data"]
        if data["trained_on"]
        for source in data["sources"]
    ]
    return list(dict.fromkeys(str(name) for name in named if name))


def _metrics(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["metric"] for row in rows if row["indexed"]))


def _tags(known: Mapping[str, Any], task: str | None) -> list[str]:
    kind = known["checkpoint"]["kind"]
    found = ["gradus", kind, known["made"].get("kind")]
    return list(dict.fromkeys(tag for tag in found if tag and tag != task))


def _index(known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model index: a result for each data set and split, test before dev.gate."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in known["measurements"]:
        if row["indexed"]:
            groups.setdefault((row["benchmark"], row["data"], row["split"]), []).append(row)
    if not groups:
        return []
    data = {one["name"]: one for one in known["data"]}
    results = [_result(known, rows, data.get(key[1], {})) for key, rows in groups.items()]
    return [{"name": known["name"], "results": results}]


def _result(
    known: Mapping[str, Any], rows: Sequence[Row], data: Mapping[str, Any]
) -> dict[str, Any]:
    first = rows[0]
    kind = first["benchmark"].partition(".")[0]
    target = _BY_BENCHMARK.get(kind, "text")
    task, task_name = _TASKS[target]
    hubs = [s["origin"] for s in data.get("sources", ()) if s["origin"].get("hub")]
    origin: Mapping[str, Any] = hubs[0] if hubs else {}
    name = first["data"] or kind
    digest = data.get("split_digests", {}).get(first["split"])
    dataset = {
        "type": str(origin.get("hub") or name),
        "name": name,
        "config": origin.get("config"),
        "split": first["split"] or None,
        "revision": origin.get("revision"),
        "args": {"digest": digest} if digest else None,
    }
    return {
        "task": {"type": task, "name": task_name},
        "dataset": {key: value for key, value in dataset.items() if value is not None},
        "metrics": [_metric(row) for row in rows],
    }


def _metric(row: Row) -> dict[str, Any]:
    """One metric; what its value rests on stands in ``args``."""
    args: dict[str, Any] = {"n": row["n"], "unit": row["unit"]}
    if row["ci_low"] is not None and row["ci_high"] is not None:
        args |= {
            "ci_low": row["ci_low"],
            "ci_high": row["ci_high"],
            "ci_method": row["ci_method"],
            "level": row["level"],
        }
    args |= {"contract": dict(row["contract"])} if row["contract"] else {}
    return {
        "type": row["metric"],
        "value": row["value"],
        "name": row["metric"].replace("_", " "),
        "args": args,
    }
