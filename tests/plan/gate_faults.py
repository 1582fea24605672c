"""Bad gates of the good plan, and exactly what is said about each."""

from __future__ import annotations

# Path, line and text of a fault.
Expected = tuple[str, int, str]

# What is replaced in the good plan, by what, and the one fault that this gives.
GATE_FAULTS: dict[str, tuple[str, str, Expected]] = {
    "unknown metric": (
        "accuracy >= 0.95",
        "acuracy >= 0.95",
        (
            "steps.tuned.gates[0]",
            25,
            "gate 'acuracy >= 0.95', column 1: unknown metric 'acuracy': did you mean 'accuracy'?",
        ),
    ),
    "a metric that the step can't produce": (
        "    step: floor\n    data: news",
        '    step: floor\n    data: news\n    gates: ["f1[sport] >= 0.2"]',
        ("steps.floor.gates[0]", 18, "step 'floor' isn't measured by f1; it can be by accuracy"),
    ),
    "a reference that isn't measured so": (
        "f1[sport] >= 0.9",
        "log_loss < floor",
        (
            "steps.tuned.gates[2]",
            25,
            "step 'floor' isn't measured by log_loss; it can be by accuracy",
        ),
    ),
    "a metric of one label": (
        "f1[sport] >= 0.9",
        "f1 >= 0.9",
        (
            "steps.tuned.gates[2]",
            25,
            "gate 'f1 >= 0.9', column 1: f1 is asked of one label: write f1[LABEL], "
            "or f1_macro, f1_micro, f1_weighted for all",
        ),
    ),
    "a label too many": (
        "f1[sport] >= 0.9",
        "accuracy[sport] >= 0.9",
        (
            "steps.tuned.gates[2]",
            25,
            "gate 'accuracy[sport] >= 0.9', column 9: "
            "accuracy is not asked of a single label: leave out [sport]",
        ),
    ),
    "dangling reference of a gate": (
        "accuracy > floor",
        "accuracy > flor",
        ("steps.tuned.gates[1]", 25, "unknown model or step 'flor': did you mean 'floor'?"),
    ),
    "a gate on a later step": (
        "accuracy > floor",
        "accuracy > final",
        ("steps.tuned.gates[1]", 25, "cyclic reference: tuned -> final -> tuned"),
    ),
    "no parent": (
        "    step: floor\n    data: news",
        '    step: floor\n    data: news\n    gates: ["accuracy >= parent"]',
        ("steps.floor.gates[0]", 18, "step 'floor' has no parent: it names no model"),
    ),
    "a checkpoint against itself": (
        "    on: news.test",
        '    on: news.test\n    gates: ["accuracy >= small"]',
        (
            "steps.final.gates[0]",
            35,
            "compares 'small' with itself: gates of 'final' are about the last of its models, so "
            "put the one that is judged last",
        ),
    ),
    "unknown data set of a gate": (
        "accuracy >= 0.95",
        "new.accuracy >= 0.95",
        (
            "steps.tuned.gates[0]",
            25,
            "unknown data set or benchmark 'new': did you mean 'news'?",
        ),
    ),
    "items without data": (
        'model: tuned\n    gates: ["accuracy >= tuned - 0.01"',
        'model: encoder\n    gates: ["accuracy >= 0.9"',
        (
            "steps.small.gates[0]",
            29,
            "accuracy is taken on items, but step 'small' has no data",
        ),
    ),
    "a cost that isn't measured": (
        "level: 0.9",
        "cost: false",
        (
            "steps.small.gates[1]",
            29,
            "latency_p50_ms isn't measured: the plan says measure.cost: false",
        ),
    ),
    "gates that are a text": (
        'gates: ["accuracy >= tuned - 0.01", "latency_p50_ms <= 0.6 * parent"]',
        "gates: accuracy >= 0.9",
        ("steps.small.gates", 29, "should be a list, is the text 'accuracy >= 0.9'"),
    ),
    "on_undecided": (
        "on_undecided: stop",
        "on_undecided: halt",
        ("steps.small.on_undecided", 30, "should be 'warn' or 'stop', is the text 'halt'"),
    ),
    "unknown fact of data": (
        "rows >= 100",
        "rws >= 100",
        (
            "data.news.gates[0]",
            11,
            "gate 'rws >= 100', column 1: unknown metric 'rws': did you mean 'rows'?",
        ),
    ),
    "a data gate with a reference": (
        "rows >= 100",
        "rows >= floor",
        ("data.news.gates[0]", 11, "a data gate compares with a number, not with 'floor'"),
    ),
    "a data gate on other data": (
        "rows >= 100",
        "news.rows >= 100",
        ("data.news.gates[0]", 11, "a data gate is of its own data set: write rows alone"),
    ),
    "unknown split of a gate": (
        "accuracy >= 0.95",
        "news.tst.accuracy >= 0.95",
        ("steps.tuned.gates[0]", 25, "unknown split 'tst': did you mean 'test'?"),
    ),
}
