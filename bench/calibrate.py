"""Whether calibrated probabilities mean what they say, on BANKING77's test questions.

    python bench/calibrate.py --json              about 4 minutes on 2 cores
    python bench/calibrate.py --json --run DIR    the figures of a run that is there, test unread
    python bench/calibrate.py --quick --json      a fifth of the rows, the head alone trained

The plan is plans/calibrate-banking77.yaml, run as it ships but for the gates before the last step,
which could end it early. Four figures of the last step, each a gate of the plan, by the code that
judges gates: the debiased expected calibration error (L1, 15 bins of equal mass, Kumar et al. 2019)
against its bound; log-loss against that before calibration; the area under the risk-coverage curve
against that of a random order, and against that of the uncalibrated model's margin. The last three
are paired tests on the same questions, one-sided at 5 %, in fixed sequence. A run reads test once.
"""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from common import Result, finish, parser, ratio, say, shared_data, shipped_plan

BOUND: Final = 0.01
QUICK_ROWS: Final = 2600
PEERS: Final = {
    "ece_debiased <= 0.01": ("debiased ECE of the calibrated checkpoint", "the bound"),
    "log_loss < tuned": ("log-loss after temperature scaling", "before"),
    "aurc < calibrated.aurc_random": ("area under the risk-coverage curve", "a random order"),
    "aurc < tuned.aurc_margin": ("the same", "the uncalibrated margin"),
}


def plan(quick: bool) -> dict[str, Any]:
    """The plan that ships, without the gates that could end it early."""
    raw = shipped_plan("calibrate-banking77")
    raw["vars"]["data"] = str(shared_data())
    raw["measure"] = {"cost": False}
    for step in raw["steps"][:-1]:
        step.pop("gates", None)
    if quick:
        (data,) = raw["data"].values()
        data["limit"] = QUICK_ROWS
        raw["steps"][0]["stages"] = [{"train": "head"}]
    return raw


def record_of(folder: Path) -> Any:
    """The record of a run that is there.

    Raises:
        SystemExit: there is none.
    """
    from gradus.runner.store import RunFolder

    found = RunFolder(folder.resolve()).load()
    if found is None:
        raise SystemExit(f"{folder}: no run stands there")
    return found


def results_of(record: Any) -> tuple[list[Result], dict[str, Any]]:
    """The gates of the last step as results, and what else is worth knowing."""
    final = record.steps[-1]
    results = []
    for verdict in final.gates:
        name, peer = PEERS[verdict.gate]
        results.append(
            Result(
                name=f"{name}: {verdict.verdict.value}{'' if verdict.claim else ', without claim'}",
                peer=peer,
                ours=verdict.value,
                theirs=verdict.reference,
                unit="nats" if "log_loss" in verdict.gate else "proportion",
                ratio=ratio(verdict.value, verdict.reference, lower_is_better=True),
                target=1.0,
            )
        )
    wanted = ("accuracy", "log_loss", "ece", "ece_debiased", "aurc", "aurc_margin", "aurc_random")
    measured = {
        f"{m.checkpoint}.{m.metric}": {"value": m.value, "low": m.ci_low, "high": m.ci_high}
        for m in final.measurements
        if m.metric in wanted
    }
    (calibrated,) = (step for step in record.steps if step.id == "calibrated")
    return results, {
        "temperature": calibrated.facts["temperature"],
        "select": calibrated.facts["select"],
        "measured": measured,
        "verdicts": [{"gate": v.gate, "why": v.why} for v in final.gates],
        "n": final.gates[0].n,
    }


def main() -> None:
    """Run the plan, or read a run, and print its figures."""
    import gradus

    options = parser(__doc__)
    options.add_argument("--run", type=Path, help="a run folder of the plan; runs nothing")
    options.add_argument("--runs-dir", type=Path, help="where the run is kept")
    arguments = options.parse_args()
    if arguments.run is not None:
        results, facts = results_of(record_of(arguments.run))
        finish(results, as_json=arguments.json, **facts)
        return
    kept = arguments.runs_dir
    with nullcontext(kept) if kept else tempfile.TemporaryDirectory() as folder:
        say("running the plan")
        record = gradus.run(plan(arguments.quick), runs_dir=Path(folder))
        results, facts = results_of(record)
    finish(results, as_json=arguments.json, **facts)


if __name__ == "__main__":
    main()
